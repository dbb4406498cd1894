/*
 * A tool call that a model wrote into its text instead of making it, in one of three forms:
 *
 *   [Called name with args: {...}]
 *   <function_calls><invoke name="name"><parameter name="p">value</parameter>...</invoke>...</function_calls>
 *   <tool_call>{"name": "name", "arguments": {...}}</tool_call>
 *
 * Between tags, and around the object of the last form, white space may stand. A parameter is a string unless
 * the tool's schema gives it another type and the value is JSON; nothing in it is unescaped.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/chat/callable.h"

namespace kiro::chat {

struct RescuedCall {
    Callable tool;
    std::string input; // a JSON object
};

class LeakedCallParser {
public:
    static constexpr std::size_t max_bytes = 256 * 1024;

    enum class Verdict : std::uint8_t { maybe, yes, no };

    // Is this how one begins?
    static bool may_begin(char byte) noexcept { return byte == '[' || byte == '<'; }

    explicit LeakedCallParser(const CallableTools &tools) : tools_(&tools) {}

    void reset();

    // One more byte of UTF-8. After yes or no: reset().
    Verdict take(char byte);

    // After yes: not empty.
    const std::vector<RescuedCall> &calls() const { return calls_; }

private:
    enum class Step : std::uint8_t {
        opener,
        called_name,
        called_args,
        called_json,
        called_close,
        invoke,
        invoke_name,
        in_invoke,
        parameter_name,
        parameter_value,
        after_invoke,
        tag_json,
        tag_close,
        done,
    };
    struct Word;

    Verdict step(char byte);
    Verdict expect(char byte);
    bool token(char byte, std::string_view end);
    bool json(char byte, bool &whole);
    bool begin_call(std::string_view name);
    bool takes_string(std::string_view schema);
    void add_parameter();
    bool read_tag();

    const CallableTools *tools_;
    std::vector<RescuedCall> calls_;
    Step step_ = Step::opener;
    std::size_t bytes_ = 0;
    std::string text_; // of the word, name, value or object that is being read
    std::string parameter_;
    // Of each schema that was looked at: the properties that are no strings.
    std::unordered_map<const char *, std::unordered_set<std::string>> others_;
    std::size_t depth_ = 0; // of the object
    bool string_ = false;
    bool escape_ = false;
};

} // namespace kiro::chat
