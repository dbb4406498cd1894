/*
 * The input of a call that is passed on while it comes. Pieces go in as the contents of JSON strings, and
 * come out so; together they are what the call would be if it had been kept until it was whole (ToolCalls),
 * however it is cut: without white space around it, control characters in strings escaped, and U+FFFD for
 * half a surrogate pair.
 *
 * The brace that closes the object waits for the call's end: what was never ended does not look whole.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/json/surrogates.h"

namespace kiro::kiro {

class ArgumentText {
public:
    // What can go out now; valid until the next call.
    std::string_view take(std::string_view fragment);

    // The end; what take() gave stays valid. whole: all that came is an object, or nothing.
    std::string_view finish(bool whole);

    // What came begins as no object does: nothing of it goes out.
    bool hopeless() const noexcept { return part_ == Part::hopeless; }

private:
    enum class Part : std::uint8_t {
        before,
        structure, // of the object, outside of strings
        string,
        closed,
        hopeless,
    };

    void step(char c, bool control, std::string_view raw);
    void step_string(char c, bool control, std::string_view raw);
    void step_escape(char c, std::string_view raw);
    void end_escape();
    void drop_half();

    Part part_ = Part::before;
    std::size_t depth_ = 0;
    std::string escape_;     // raw: one of the inner text that is not whole yet
    unsigned letters_ = 0;   // of it, behind the backslash
    std::uint32_t unit_ = 0; // what its digits are so far
    std::string half_;       // raw: the escape of a high surrogate
    json::SurrogateJoiner joiner_;
    std::string out_;
};

} // namespace kiro::kiro
