/*
 * JSON that the client wants bare, but the model wraps in a code fence, loses the fence:
 *
 *   white space? ``` language? line end JSON white space? ``` white space?
 *
 * What could still become a fence is held back. Text that begins otherwise passes as it is.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/stages/sink.h"

namespace kiro::stages {

class Fence {
public:
    void take(const chat::Event &event, Sink out);
    void finish(Sink out);

private:
    enum class State : std::uint8_t {
        space,    // in front of the fence
        ticks,    // of the opening fence
        language, // behind them
        inside,
        plain,
    };

    void take_text(std::string_view text, Sink out);
    bool opens(char c, std::string_view raw);

    State state_ = State::space;
    std::string held_;        // raw
    std::size_t ticks_ = 0;   // in held_
    std::size_t letters_ = 0; // of the language
    bool trailing_ = false;   // inside: white space behind ticks is held
};

} // namespace kiro::stages
