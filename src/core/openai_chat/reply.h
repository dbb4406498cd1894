// Chat Completions answers: chunks over SSE, or one object.
#pragma once

#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "kiro/kiro.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace kiro::openai_chat {

// finish_reason.
std::string_view stop_word(chat::Stop stop, bool legacy_functions) noexcept;

class StreamWriter {
public:
    StreamWriter(const chat::ReplyHead &head, const chat::ReplyContext &context);

    void write(const chat::Event &event, std::string &out);
    void finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out);
    void fail(const kiro_failure &failure, std::string &out);
    void ping(std::string &out);

    std::string_view stop_word(chat::Stop stop) const noexcept;
    std::size_t size() const noexcept { return 0; } // keeps nothing

private:
    void begin(bool call, std::string &out);
    void add(const chat::TextDelta &event, std::string &out);
    void add(const chat::ReasoningDelta &event, std::string &out);
    void add(const chat::ReasoningSignature &, std::string &) {}
    void add(const chat::OpaqueReasoning &, std::string &) {}
    void add(const chat::FinishedCall &event, std::string &out);
    void add(const chat::CallStart &event, std::string &out);
    void add(const chat::CallInput &event, std::string &out) { input(event.text, out); }
    void add(const chat::CallEnd &, std::string &) {}
    void input(std::string_view text, std::string &out);

    std::string prefix_;    // up to "choices":
    std::string delta_;     // up to the delta
    std::string text_;      // up to the contents of "content"
    std::string reasoning_; // up to the contents of "reasoning_content"
    std::string input_;     // up to the contents of the last call's input; empty: it has no place
    std::uint64_t calls_ = 0;
    bool include_usage_;
    bool legacy_functions_;
    bool functions_only_;
    bool begun_ = false;
};

class Collector {
public:
    Collector(const chat::ReplyHead &head, const chat::ReplyContext &context);

    void write(const chat::Event &event, std::string &out);
    void finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out);
    void fail(const kiro_failure &failure, std::string &out);
    void ping(std::string &) {} // an object has no place for it

    std::string_view stop_word(chat::Stop stop) const noexcept;
    std::size_t size() const noexcept { return text_.size() + reasoning_.size() + calls_.size(); }

private:
    void add(const chat::TextDelta &event) { text_.append(event.text); }
    void add(const chat::ReasoningDelta &event) { reasoning_.append(event.text); }
    void add(const chat::ReasoningSignature &) {}
    void add(const chat::OpaqueReasoning &) {}
    void add(const chat::FinishedCall &event);
    void add(const chat::CallStart &) {} // calls are whole where nothing is streamed
    void add(const chat::CallInput &) {}
    void add(const chat::CallEnd &) {}

    std::string prefix_; // up to the message's role
    std::string text_;
    std::string reasoning_;
    std::string calls_; // the elements of tool_calls, or the legacy call
    bool legacy_functions_;
    bool functions_only_;
};

} // namespace kiro::openai_chat
