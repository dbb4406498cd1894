/*
 * What the strict readers of the three dialects have in common, and what a client would show of an answer.
 * The readers are the judges of the tests: they insist on every rule of the client contract, also where no
 * known client does, and throw BadStream.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <simdjson.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace test {

struct SeenTool {
    std::string id, name, input; // minified

    bool operator==(const SeenTool &) const = default;
};

struct SeenSearch {
    std::string id, input;
    std::string result; // minified content, empty: none yet
};

struct Seen {
    std::string text, reasoning, signature, opaque;
    std::vector<SeenTool> tools;
    std::vector<SeenTool> cut; // that broke off while they were passed on, their input as it is
    std::vector<SeenSearch> searches;
    std::vector<std::string> blocks;                  // Anthropic, Responses: the types in order
    std::vector<std::string> tool_types, tool_spaces; // OpenAI: of the calls
    std::string stop;
    std::string stop_text; // Anthropic: stop_sequence
    uint64_t input = 0, output = 0;
    bool usage = false;
    bool error = false; // the stream ended with one
    std::string error_type;
    bool streamed_calls = false; // calls are passed on while they come
};

struct BadStream : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void need(bool condition, std::string_view what) {
    if (!condition) {
        throw BadStream(std::string(what));
    }
}

inline void need(bool condition, std::string_view what, std::string_view which) {
    if (!condition) {
        throw BadStream(std::string(what).append(" ").append(which));
    }
}

inline bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

struct SseEvent {
    std::string name, data;
    bool comment = false;
};

// Events by the narrowest reading of the format: an optional event line, one data line, a blank line.
inline std::vector<SseEvent> split_sse(std::string_view text) {
    std::vector<SseEvent> events;
    while (!text.empty()) {
        const size_t end = text.find("\n\n");
        need(end != text.npos, "stream does not end with a blank line");
        std::string_view block = text.substr(0, end);
        text.remove_prefix(end + 2);
        SseEvent event;
        if (block.starts_with(":")) {
            need(block.find('\n') == block.npos && block.find('\r') == block.npos,
                 "comment with a second line");
            event.comment = true;
        } else {
            if (block.starts_with("event: ")) {
                const size_t line = block.find('\n');
                need(line != block.npos, "event without data");
                event.name = block.substr(7, line - 7);
                need(!event.name.empty(), "empty event line");
                block.remove_prefix(line + 1);
            }
            need(block.starts_with("data: "), "no data line");
            need(block.find('\n') == block.npos && block.find('\r') == block.npos,
                 "more than one line of data");
            event.data = block.substr(6);
        }
        events.push_back(event);
    }
    return events;
}

using Json = simdjson::dom::element;

// Also proves that it is UTF-8 and that no escape is half a character.
inline Json parse_json(simdjson::dom::parser &parser, const std::string &text) {
    Json value;
    need(parser.parse(text).get(value) == simdjson::SUCCESS, "not JSON:", text);
    return value;
}

inline bool has(const Json &object, const char *key) {
    Json value;
    return object[key].get(value) == simdjson::SUCCESS;
}

inline Json get(const Json &object, const char *key) {
    Json value;
    need(object[key].get(value) == simdjson::SUCCESS, "no", key);
    return value;
}

inline std::string str(const Json &object, const char *key) {
    std::string_view value;
    need(object[key].get(value) == simdjson::SUCCESS, "no string", key);
    return std::string(value);
}

inline std::string filled(const Json &object, const char *key) {
    std::string value = str(object, key);
    need(!value.empty(), "empty", key);
    return value;
}

inline uint64_t num(const Json &object, const char *key) {
    uint64_t value = 0;
    need(object[key].get(value) == simdjson::SUCCESS, "no integer", key);
    return value;
}

inline simdjson::dom::array list(const Json &object, const char *key) {
    simdjson::dom::array value;
    need(object[key].get(value) == simdjson::SUCCESS, "no array", key);
    return value;
}

inline Json sub(const Json &object, const char *key) {
    const Json value = get(object, key);
    need(value.is_object(), "no object", key);
    return value;
}

// An object has members of these names only, and each once.
inline void only_keys(const Json &object, std::initializer_list<std::string_view> names) {
    need(object.is_object(), "not an object");
    const simdjson::dom::object members = object.get_object();
    std::vector<std::string_view> seen;
    for (const auto member : members) {
        need(one_of(member.key, names), "unknown member", member.key);
        need(std::find(seen.begin(), seen.end(), member.key) == seen.end(), "twice the member", member.key);
        seen.push_back(member.key);
    }
}

inline std::string minified_object(const std::string &text) {
    simdjson::dom::parser parser;
    const Json value = parse_json(parser, text);
    need(value.is_object(), "arguments are no object:", text);
    return simdjson::minify(value);
}

inline bool is_object(const std::string &text) {
    simdjson::dom::parser parser;
    Json value;
    return parser.parse(text).get(value) == simdjson::SUCCESS && value.is_object();
}

// A call of a tool that takes an object. Only one that was passed on while it came may have none.
inline void add_call(Seen &seen, SeenTool tool) {
    if (seen.streamed_calls && !is_object(tool.input)) {
        seen.cut.push_back(std::move(tool));
        return;
    }
    tool.input = minified_object(tool.input);
    seen.tools.push_back(std::move(tool));
}

// A call that broke off ends the turn as if it had reached its length.
inline void check_cut_calls(const Seen &seen) {
    need(seen.cut.empty() || seen.error ||
             one_of(seen.stop, {"length", "max_tokens", "incomplete/max_output_tokens"}),
         "a cut call in an answer that ends with", seen.stop);
}

// Every call of an answer has an id of its own: results come back by it.
inline void need_own_ids(const std::vector<SeenTool> &tools) {
    for (size_t i = 0; i < tools.size(); ++i) {
        for (size_t k = 0; k < i; ++k) {
            need(tools[i].id != tools[k].id, "two calls with the id", tools[i].id);
        }
    }
}

} // namespace test

#include "support/anthropic_reader.h"
#include "support/openai_chat_reader.h"
#include "support/responses_reader.h"
