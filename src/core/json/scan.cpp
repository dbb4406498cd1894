#include "core/json/scan.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <simdjson.h>

namespace kiro::json {
namespace {

constexpr int kMaxDepth = 256;

constexpr std::uint64_t kOnes = 0x0101010101010101;
constexpr std::uint64_t kHigh = 0x8080808080808080;

// A set high bit for every zero byte; bytes above the lowest hit may be wrong.
constexpr std::uint64_t zero_bytes(std::uint64_t word) noexcept {
    return (word - kOnes) & ~word & kHigh;
}

struct Cursor {
    const char *at;
    const char *end;
    bool high = false;
    bool surrogates = false;

    void space() noexcept {
        while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
            ++at;
        }
    }

    bool take(char c) noexcept {
        if (at < end && *at == c) {
            ++at;
            return true;
        }
        return false;
    }

    bool word(std::string_view text) noexcept {
        if (static_cast<std::size_t>(end - at) < text.size() ||
            std::memcmp(at, text.data(), text.size()) != 0) {
            return false;
        }
        at += text.size();
        return true;
    }

    bool escape() noexcept { // behind the backslash
        if (at == end) {
            return false;
        }
        switch (*at++) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
            return true;
        case 'u':
            break;
        default:
            return false;
        }
        if (end - at < 4) {
            return false;
        }
        for (int i = 0; i < 4; ++i) {
            const char c = at[i];
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
                return false;
            }
        }
        surrogates |= (at[0] == 'd' || at[0] == 'D') && at[1] >= '8';
        at += 4;
        return true;
    }

    // To the next byte that ends a run of plain ones, or to the end.
    void plain() noexcept {
        while (end - at >= 8) {
            std::uint64_t word8;
            std::memcpy(&word8, at, sizeof(word8));
            const std::uint64_t special = zero_bytes(word8 ^ (kOnes * '"')) |
                                          zero_bytes(word8 ^ (kOnes * '\\')) |
                                          ((word8 - kOnes * 0x20) & ~word8 & kHigh);
            if (special != 0) {
                if constexpr (std::endian::native == std::endian::little) {
                    const int bits = std::countr_zero(special) & ~7; // the lowest hit is a true one
                    high |= (word8 & kHigh & ((std::uint64_t{1} << bits) - 1)) != 0;
                    at += bits / 8;
                    return;
                }
                break;
            }
            high |= (word8 & kHigh) != 0;
            at += 8;
        }
        for (; at != end; ++at) {
            const auto c = static_cast<unsigned char>(*at);
            if (c == '"' || c == '\\' || c < 0x20) {
                return;
            }
            high |= c >= 0x80;
        }
    }

    bool string(std::string_view &value) noexcept { // behind the opening quote
        const char *start = at;
        for (;;) {
            plain();
            if (at == end) {
                return false;
            }
            const char c = *at++;
            if (c == '"') {
                value = {start, static_cast<std::size_t>(at - 1 - start)};
                return true;
            }
            if (c != '\\' || !escape()) {
                return false;
            }
        }
    }

    bool digits() noexcept {
        const char *start = at;
        while (at < end && *at >= '0' && *at <= '9') {
            ++at;
        }
        return at != start;
    }

    bool number() noexcept {
        take('-');
        if (!take('0') && !digits()) {
            return false;
        }
        if (take('.') && !digits()) {
            return false;
        }
        if (take('e') || take('E')) {
            if (!take('+')) {
                take('-');
            }
            return digits();
        }
        return true;
    }

    bool object(int depth) noexcept { // behind the brace
        space();
        if (take('}')) {
            return true;
        }
        do {
            std::string_view key;
            space();
            if (!take('"') || !string(key)) {
                return false;
            }
            space();
            if (!take(':') || !skip(depth)) {
                return false;
            }
            space();
        } while (take(','));
        return take('}');
    }

    bool array(int depth) noexcept { // behind the bracket
        space();
        if (take(']')) {
            return true;
        }
        do {
            if (!skip(depth)) {
                return false;
            }
            space();
        } while (take(','));
        return take(']');
    }

    bool skip(int depth) noexcept {
        Kind kind;
        std::string_view value;
        return this->value(kind, value, depth);
    }

    bool value(Kind &kind, std::string_view &slice, int depth) noexcept {
        space();
        if (at == end) {
            return false;
        }
        const char *start = at;
        bool good = false;
        switch (*at) {
        case '"':
            ++at;
            kind = Kind::string;
            return string(slice);
        case '{':
            ++at;
            kind = Kind::object;
            good = depth < kMaxDepth && object(depth + 1);
            break;
        case '[':
            ++at;
            kind = Kind::array;
            good = depth < kMaxDepth && array(depth + 1);
            break;
        case 't':
            kind = Kind::true_value;
            good = word("true");
            break;
        case 'f':
            kind = Kind::false_value;
            good = word("false");
            break;
        case 'n':
            kind = Kind::null;
            good = word("null");
            break;
        default:
            kind = Kind::number;
            good = number();
        }
        slice = {start, static_cast<std::size_t>(at - start)};
        return good;
    }
};

} // namespace

ObjectScanner::ObjectScanner(std::string_view text) noexcept
    : text_(text), at_(text.data()), end_(text.data() + text.size()) {
    Cursor cursor{at_, end_};
    cursor.space();
    if (!cursor.take('{')) {
        state_ = State::bad;
    }
    at_ = cursor.at;
}

bool ObjectScanner::fail() noexcept {
    state_ = State::bad;
    return false;
}

bool ObjectScanner::next(Member &member) noexcept {
    if (state_ != State::open) {
        return false;
    }
    Cursor cursor{at_, end_, high_};
    cursor.space();
    if (cursor.take('}')) {
        cursor.space();
        if (cursor.at != end_) {
            return fail();
        }
        state_ = State::done;
        return false;
    }
    if (!first_ && !cursor.take(',')) {
        return fail();
    }
    cursor.space();
    if (!cursor.take('"') || !cursor.string(member.key)) {
        return fail();
    }
    cursor.space();
    cursor.surrogates = false;
    if (!cursor.take(':') || !cursor.value(member.kind, member.value, 0)) {
        return fail();
    }
    member.surrogates = cursor.surrogates;
    first_ = false;
    high_ = cursor.high;
    at_ = cursor.at;
    return true;
}

bool ObjectScanner::valid() const noexcept {
    return state_ == State::done && (!high_ || simdjson::validate_utf8(text_.data(), text_.size()));
}

std::optional<double> to_double(std::string_view number) noexcept {
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

std::optional<std::uint64_t> to_uint(std::string_view number) noexcept {
    const auto value = to_double(number);
    if (!value || *value < 0 || *value >= 9007199254740992.0) { // exact as a double
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(*value);
}

} // namespace kiro::json
