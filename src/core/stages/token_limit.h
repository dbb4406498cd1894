/*
 * Ends the answer when it is longer than the client allows, at a character. The length is an estimate: it is
 * low on purpose (see cost() in the source), so that an answer that a model's own count would let pass is not
 * cut. A tool call that does not fit is left out, as half of one is worth nothing; one that is passed on
 * while it comes ends there.
 */
#pragma once

#include <cstdint>
#include <string_view>

#include "core/stages/sink.h"

namespace kiro::stages {

class TokenLimit {
public:
    explicit TokenLimit(std::uint64_t tokens);

    void take(const chat::Event &event, Sink out);

    bool reached() const { return reached_; }

private:
    std::string_view fitting(std::string_view text);

    std::uint64_t left_; // in ninths of a token
    bool reached_ = false;
};

} // namespace kiro::stages
