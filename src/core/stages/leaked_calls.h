/*
 * Makes real calls of those that the model wrote into its text (chat/leaked_call.h): at the start of a line,
 * outside of code fences, complete, and of a tool that it may call. What may still become one is held back,
 * up to 256 KiB; all other text passes as it is. White space behind a call goes with it.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/chat/leaked_call.h"
#include "core/stages/sink.h"

namespace kiro::stages {

// Where lines begin, and whether a code fence is open.
class CodeFences {
public:
    // The next character; 0: not ASCII.
    void take(char c);
    void begin_line();

    bool at_line_start() const { return part_ == Part::indent && spaces_ == 0; }
    bool within_line() const { return part_ == Part::rest; }
    bool fenced() const { return open_ > 0; }

private:
    enum class Part : std::uint8_t {
        indent,
        marks, // three or more make a fence
        info,  // behind them
        rest,
    };

    Part part_ = Part::indent;
    unsigned spaces_ = 0;
    char mark_ = 0;
    std::size_t marks_ = 0;
    char open_mark_ = 0;
    std::size_t open_ = 0; // marks of the fence that is open, 0: none
};

class LeakedCalls {
public:
    // tools: must live as long. answer: makes the ids of the calls.
    LeakedCalls(const chat::CallableTools &tools, std::string_view answer)
        : parser_(tools), answer_(answer) {}

    void take(const chat::Event &event, Sink out);
    void finish(Sink out);

    std::size_t rescued() const { return rescued_; }

private:
    void take_text(std::string_view text, Sink out);
    bool take_candidate(std::string_view raw, Sink out);
    void release(Sink out);
    void rescue(Sink out);

    chat::LeakedCallParser parser_;
    std::string answer_;
    CodeFences fences_;
    std::string held_; // raw, not empty: what may become a call
    bool behind_call_ = false;
    std::size_t rescued_ = 0;
};

} // namespace kiro::stages
