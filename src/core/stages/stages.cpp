#include "core/stages/stages.h"

#include <utility>

namespace kiro::stages {

namespace {

bool is_reasoning(const chat::Event &event) {
    return std::holds_alternative<chat::ReasoningDelta>(event) ||
           std::holds_alternative<chat::ReasoningSignature>(event) ||
           std::holds_alternative<chat::OpaqueReasoning>(event);
}

} // namespace

Stages::Stages(const chat::ReplyContext &context, bool stream, std::string_view answer)
    : reasoning_(context.reasoning) {
    if (context.tagged_reasoning)
        tags_.emplace(context.reasoning);
    if (context.callable != nullptr && !context.callable->empty())
        leaked_.emplace(*context.callable, answer);
    if (!context.stop.empty())
        stops_.emplace(context.stop);
    if (context.max_tokens > 0)
        limit_.emplace(context.max_tokens);
    if (context.output == chat::OutputKind::text)
        return;
    if (stream)
        output_.emplace<Fence>();
    else
        output_.emplace<JsonAnswer>(context.output, context.output_schema);
}

void Stages::from(Step step, const chat::Event &event, Sink out) {
    switch (step) {
    case Step::tags:
        if (tags_) {
            tags_->take(event, [&](const chat::Event &next) { from(Step::visible, next, out); });
            return;
        }
        [[fallthrough]];
    case Step::visible:
        if (!reasoning_ && is_reasoning(event))
            return;
        [[fallthrough]];
    case Step::leaked:
        if (leaked_) {
            leaked_->take(event, [&](const chat::Event &next) { from(Step::stops, next, out); });
            return;
        }
        [[fallthrough]];
    case Step::stops:
        if (stops_) {
            stops_->take(event, [&](const chat::Event &next) { from(Step::limit, next, out); });
            return;
        }
        [[fallthrough]];
    case Step::limit:
        if (limit_) {
            limit_->take(event, [&](const chat::Event &next) { from(Step::output, next, out); });
            return;
        }
        [[fallthrough]];
    case Step::output:
        if (auto *fence = std::get_if<Fence>(&output_)) {
            fence->take(event, out);
            return;
        }
        if (auto *answer = std::get_if<JsonAnswer>(&output_)) {
            answer->take(event, out);
            return;
        }
        out(event);
    }
}

void Stages::finish(Sink out) {
    if (std::exchange(finished_, true))
        return;
    if (tags_)
        tags_->finish([&](const chat::Event &next) { from(Step::visible, next, out); });
    if (leaked_)
        leaked_->finish([&](const chat::Event &next) { from(Step::stops, next, out); });
    if (stops_)
        stops_->finish([&](const chat::Event &next) { from(Step::limit, next, out); });
    if (auto *fence = std::get_if<Fence>(&output_))
        fence->finish(out);
    if (auto *answer = std::get_if<JsonAnswer>(&output_))
        answer->finish(out);
}

std::optional<chat::Stop> Stages::stop() const {
    if (limit_ && limit_->reached())
        return chat::Stop::max_tokens;
    if (stops_ && stops_->hit())
        return chat::Stop::stop_sequence;
    return std::nullopt;
}

std::string_view Stages::problem() const {
    const auto *answer = std::get_if<JsonAnswer>(&output_);
    return answer != nullptr ? std::string_view(answer->problem()) : std::string_view();
}

std::size_t Stages::size() const {
    const auto *answer = std::get_if<JsonAnswer>(&output_);
    return answer != nullptr ? answer->size() : 0;
}

} // namespace kiro::stages
