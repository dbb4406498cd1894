#include "core/tokens/pieces.h"

#include <cstddef>
#include <cstdint>

#include "core/tokens/tables.h"

namespace kiro::tokens {

namespace {

struct Ascii {
    Class classes[128] = {};

    constexpr Ascii() {
        for (unsigned c = 0; c < 128; c++) {
            if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
                classes[c] = Class::letter;
            else if (c >= '0' && c <= '9')
                classes[c] = Class::number;
            else if (c == ' ' || (c >= '\t' && c <= '\r'))
                classes[c] = Class::space;
        }
    }
};
constexpr Ascii ascii;

struct Character {
    Class kind;
    uint8_t size; // in bytes
};

Character wide_character(const char *p, const char *end) {
    constexpr Character broken{Class::other, 1};
    auto byte = [p](size_t i) -> uint32_t { return static_cast<uint8_t>(p[i]); };
    auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
    uint32_t lead = byte(0);
    auto left = end - p;
    if (lead < 0xE0) {
        if (lead < 0xC2 || left < 2 || !tail(1))
            return broken;
        return {class_of((lead & 0x1F) << 6 | (byte(1) & 0x3F)), 2};
    }
    if (lead < 0xF0) {
        if (left < 3 || !tail(1) || !tail(2))
            return broken;
        return {class_of((lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F)), 3};
    }
    if (lead > 0xF4 || left < 4 || !tail(1) || !tail(2) || !tail(3))
        return broken;
    uint32_t code_point =
        (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    return code_point > 0x10FFFF ? broken : Character{class_of(code_point), 4};
}

inline Character character(const char *p, const char *end) {
    auto c = static_cast<uint8_t>(*p);
    return c < 128 ? Character{ascii.classes[c], 1} : wide_character(p, end);
}

const char *skip(const char *p, const char *end, Class kind) {
    while (p != end) {
        Character c = character(p, end);
        if (c.kind != kind)
            break;
        p += c.size;
    }
    return p;
}

bool is_line_end(char c) {
    return c == '\r' || c == '\n';
}

// Behind an apostrophe. Unicode folds U+017F to s as well, but no token joins it with what follows.
size_t contraction(const char *p, const char *end) {
    auto lower = [&](int i) { return end - p > i ? p[i] | 0x20 : 0; };
    switch (lower(0)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
        return 1;
    case 'r':
    case 'v':
        return lower(1) == 'e' ? 2 : 0;
    case 'l':
        return lower(1) == 'l' ? 2 : 0;
    default:
        return 0;
    }
}

const char *space_end(const char *p, const char *end) {
    const char *at = p, *last = p, *line = nullptr;
    while (at != end) {
        Character c = character(at, end);
        if (c.kind != Class::space)
            break;
        last = at;
        at += c.size;
        if (is_line_end(*last))
            line = at;
    }
    if (line != nullptr)
        return line;
    return at == end || last == p ? at : last; // the last one goes with what follows
}

} // namespace

const char *piece_end(const char *p, const char *end) {
    Character first = character(p, end);
    const char *second = p + first.size;
    switch (first.kind) {
    case Class::letter:
        return skip(second, end, Class::letter);
    case Class::number:
        for (int more = 2; more > 0 && second != end; more--) {
            Character c = character(second, end);
            if (c.kind != Class::number)
                break;
            second += c.size;
        }
        return second;
    default:
        break;
    }
    if (*p == '\'') {
        if (size_t size = contraction(second, end); size > 0)
            return second + size;
    }
    Class follows = Class::number; // stands for nothing of interest
    if (second != end)
        follows = character(second, end).kind;
    if (follows == Class::letter && !is_line_end(*p))
        return skip(second, end, Class::letter);
    if (first.kind == Class::other || (*p == ' ' && follows == Class::other)) {
        const char *at = skip(second, end, Class::other);
        while (at != end && is_line_end(*at))
            at++;
        return at;
    }
    return space_end(p, end);
}

} // namespace kiro::tokens
