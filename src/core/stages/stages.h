/*
 * What happens to an answer between the upstream's events and the client's dialect. Each stage takes an event
 * and gives events; one that the request does not need is not there.
 *
 *   tags -> reasoning that nobody asked for is dropped -> calls in the text -> stop texts -> token limit ->
 * JSON without a fence
 */
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <variant>

#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "core/stages/fence.h"
#include "core/stages/json_answer.h"
#include "core/stages/leaked_calls.h"
#include "core/stages/sink.h"
#include "core/stages/stop_texts.h"
#include "core/stages/tags.h"
#include "core/stages/token_limit.h"

namespace kiro::stages {

class Stages {
public:
    // stream: the answer goes out while it comes. answer: its id.
    Stages(const chat::ReplyContext &context, bool stream, std::string_view answer);

    void take(const chat::Event &event, Sink out) { from(Step::tags, event, out); }

    // Gives what was held back, at the end of the answer however it came; the first call counts.
    void finish(Sink out);

    // Set when a stage ended the answer: nothing more comes out but what finish() gives.
    std::optional<chat::Stop> stop() const;

    // The raw stop text that ended the answer.
    std::string_view stop_text() const { return stops_ ? stops_->text() : std::string_view(); }

    // After finish(): what is wrong with a JSON answer; empty: nothing, or nothing is known.
    std::string_view problem() const;

    // Of the text that came in: what turned out to be reasoning.
    tokens::Characters tagged_reasoning() const { return tags_ ? tags_->reasoning() : tokens::Characters(); }

    // Calls that were made of text.
    std::size_t rescued() const { return leaked_ ? leaked_->rescued() : 0; }

    // Bytes held for the end.
    std::size_t size() const;

private:
    enum class Step { tags, visible, leaked, stops, limit, output };

    void from(Step step, const chat::Event &event, Sink out);

    bool reasoning_;
    bool finished_ = false;
    std::optional<TagParser> tags_;
    std::optional<LeakedCalls> leaked_;
    std::optional<StopTexts> stops_;
    std::optional<TokenLimit> limit_;
    std::variant<std::monostate, Fence, JsonAnswer> output_;
};

} // namespace kiro::stages
