// Validating, forward-only reader of small JSON objects over unpadded memory.
// Values are raw slices of the text; nothing is copied or unescaped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kiro::json {

enum class Kind : std::uint8_t { object, array, string, number, true_value, false_value, null };

struct Member {
    std::string_view key;   // raw, between the quotes
    std::string_view value; // raw; a string without its quotes
    Kind kind = Kind::null;
    bool surrogates = false; // a string with \ud800..\udfff escapes
};

// The members of one object. A text that turns out to be malformed later has
// given its members up to there, so look at valid() before acting on them.
class ObjectScanner {
public:
    explicit ObjectScanner(std::string_view text) noexcept;

    bool next(Member &member) noexcept; // false: no more, or malformed

    // After next() gave false: the whole text is one well-formed object in UTF-8.
    bool valid() const noexcept;

private:
    enum class State : std::uint8_t { open, done, bad };

    bool fail() noexcept;

    std::string_view text_;
    const char *at_;
    const char *end_;
    State state_ = State::open;
    bool first_ = true;
    bool high_ = false; // a byte above 0x7f was seen
};

std::optional<double> to_double(std::string_view number) noexcept;
std::optional<std::uint64_t> to_uint(std::string_view number) noexcept; // a fraction is cut

} // namespace kiro::json
