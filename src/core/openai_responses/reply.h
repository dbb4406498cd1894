// Responses answers: SSE events, or one object.
#pragma once

#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "core/chat/search.h"
#include "core/openai_responses/output.h"
#include "kiro/kiro.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace kiro::openai_responses {

// response.status.
inline std::string_view stop_word(chat::Stop stop) noexcept {
    return status_of(stop).word;
}

class StreamWriter {
public:
    StreamWriter(const chat::ReplyHead &head, const chat::ReplyContext &context);

    void write(const chat::Event &event, std::string &out);
    void search(const chat::Search &search, std::string &out);
    void finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out);
    void fail(const kiro_failure &failure, std::string &out);
    void ping(std::string &out);

    std::string_view stop_word(chat::Stop stop) const noexcept { return openai_responses::stop_word(stop); }

    // The end repeats everything.
    std::size_t size() const noexcept { return items_.size() + text_.size(); }

private:
    void event(std::string_view type, std::string &out);
    void item_event(std::string_view type, std::string &out);
    void lifecycle(std::string_view type, const Ending &ending, std::string &out);
    void begin(std::string &out);
    void open(ItemKind kind, std::string &out);
    void close(bool complete, std::string_view seal, std::string &out);
    void add_item(std::size_t from, std::string &out);
    void seal(std::string_view data, bool own, std::string &out);

    void add(const chat::TextDelta &event, std::string &out);
    void add(const chat::ReasoningDelta &event, std::string &out);
    void add(const chat::ReasoningSignature &event, std::string &out);
    void add(const chat::OpaqueReasoning &event, std::string &out);
    void add(const chat::FinishedCall &event, std::string &out);
    void add(const chat::CallStart &event, std::string &out);
    void add(const chat::CallInput &event, std::string &out);
    void add(const chat::CallEnd &event, std::string &out);
    void input(std::string_view text, std::string &out);
    void end_call(bool whole, std::string_view input, std::string &out);

    struct Call {
        std::string id, name, name_space;
        bool freeform = false;
    };

    Envelope envelope_;
    std::string items_;  // the finished ones
    std::string text_;   // of the open one
    std::string id_;     // of the open one
    std::string target_; // ,"item_id":...: of the open one
    Call call_;          // the open one, if it is one
    std::uint64_t sequence_ = 0;
    std::uint64_t index_ = 0; // of the open or next item
    ItemKind open_ = ItemKind::none;
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

    std::string_view stop_word(chat::Stop stop) const noexcept { return openai_responses::stop_word(stop); }
    std::size_t size() const noexcept { return items_.size() + text_.size(); }

private:
    void open(ItemKind kind);
    void close(bool complete, std::string_view seal);

    void add(const chat::TextDelta &event);
    void add(const chat::ReasoningDelta &event);
    void add(const chat::ReasoningSignature &event);
    void add(const chat::OpaqueReasoning &event);
    void add(const chat::FinishedCall &event);
    void add(const chat::CallStart &) {} // calls are whole where nothing is streamed
    void add(const chat::CallInput &) {}
    void add(const chat::CallEnd &) {}

    Envelope envelope_;
    std::string items_; // the finished ones
    std::string text_;  // of the open one
    std::uint64_t index_ = 0;
    ItemKind open_ = ItemKind::none;
};

} // namespace kiro::openai_responses
