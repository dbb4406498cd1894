// Messages answers: SSE events, or one object.
#pragma once

#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "core/chat/search.h"
#include "kiro/kiro.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace kiro::anthropic {

// stop_reason.
std::string_view stop_word(chat::Stop stop) noexcept;

class StreamWriter {
public:
    StreamWriter(const chat::ReplyHead &head, const chat::ReplyContext &context);

    void write(const chat::Event &event, std::string &out);
    void search(const chat::Search &search, std::string &out);
    void finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out);
    void fail(const kiro_failure &failure, std::string &out);
    void ping(std::string &out);

    std::string_view stop_word(chat::Stop stop) const noexcept { return anthropic::stop_word(stop); }
    std::size_t size() const noexcept { return 0; } // keeps nothing

private:
    enum class Block : std::uint8_t { none, text, thinking, call };

    void begin(std::string &out);
    void open(Block block, std::string &out);
    void close(std::string &out);
    void start_block(std::string_view block, std::string &out);
    void begin_delta(std::string_view delta);
    void stop_block(std::string &out);
    void add(const chat::TextDelta &event, std::string &out);
    void add(const chat::ReasoningDelta &event, std::string &out);
    void add(const chat::ReasoningSignature &event, std::string &out);
    void add(const chat::OpaqueReasoning &event, std::string &out);
    void add(const chat::FinishedCall &event, std::string &out);
    void add(const chat::CallStart &event, std::string &out);
    void add(const chat::CallInput &event, std::string &out) { input(event.text, out); }
    void add(const chat::CallEnd &, std::string &out) { close(out); }
    void input(std::string_view text, std::string &out);

    std::string message_start_; // up to the counters
    std::string request_id_;
    chat::InputTokens input_tokens_;
    std::string delta_; // of the open block, up to its contents
    std::uint64_t index_ = 0;
    std::uint64_t searches_ = 0;
    Block open_ = Block::none;
    bool begun_ = false;
};

class Collector {
public:
    Collector(const chat::ReplyHead &head, const chat::ReplyContext &context);

    void write(const chat::Event &event, std::string &out);
    void search(const chat::Search &search, std::string &out);
    void finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out);
    void fail(const kiro_failure &failure, std::string &out);
    void ping(std::string &) {} // an object has no place for it

    std::string_view stop_word(chat::Stop stop) const noexcept { return anthropic::stop_word(stop); }
    std::size_t size() const noexcept { return content_.size(); }

private:
    enum class Block : std::uint8_t { none, text, thinking };

    void open(Block block);
    void close(std::string_view signature = {});
    void element();
    void add(const chat::TextDelta &event);
    void add(const chat::ReasoningDelta &event);
    void add(const chat::ReasoningSignature &event);
    void add(const chat::OpaqueReasoning &event);
    void add(const chat::FinishedCall &event);
    void add(const chat::CallStart &) {} // calls are whole where nothing is streamed
    void add(const chat::CallInput &) {}
    void add(const chat::CallEnd &) {}

    std::string prefix_;
    std::string request_id_;
    std::string content_; // the elements of content
    std::uint64_t searches_ = 0;
    Block open_ = Block::none;
};

} // namespace kiro::anthropic
