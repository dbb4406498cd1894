/*
 * An answer that is collected and must be JSON: its text is kept until it is whole, freed of a code fence or
 * of prose around it if that leaves JSON, and compared with what was asked for.
 */
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/chat/conversation.h"
#include "core/stages/sink.h"

namespace kiro::stages {

class JsonAnswer {
public:
    // schema: of OutputKind::json_schema; outlives this.
    JsonAnswer(chat::OutputKind kind, std::string_view schema) : kind_(kind), schema_(schema) {}

    void take(const chat::Event &event, Sink out);
    void finish(Sink out);

    // After finish(): why the answer is not what was asked for; empty if it is, or if it calls tools.
    const std::string &problem() const { return problem_; }
    std::size_t size() const { return text_.size(); }

private:
    std::string mismatch(std::string_view value) const;

    chat::OutputKind kind_;
    std::string_view schema_;
    std::string text_; // raw
    std::string problem_;
    bool calls_ = false;
};

} // namespace kiro::stages
