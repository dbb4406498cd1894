// Strings and values as an upstream may write them: every form of escape, halves of characters, odd types.
#pragma once

#include "support/choices.h"

#include <string>
#include <string_view>

namespace test {

// A string as it stands between quotes, and what it means: UTF-16, perhaps with halves of pairs.
struct Text {
    std::string raw;
    std::u16string units;

    void operator+=(const Text &other) {
        raw += other.raw;
        units += other.units;
    }
};

inline bool is_high(char16_t unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}
inline bool is_low(char16_t unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

// Halves without a partner become U+FFFD.
inline std::string utf8_of(std::u16string_view units) {
    std::string out;
    for (std::size_t i = 0; i < units.size(); ++i) {
        uint32_t c = units[i];
        if (is_high(units[i]) && i + 1 < units.size() && is_low(units[i + 1])) {
            c = 0x10000 + ((c - 0xD800) << 10) + (units[++i] - 0xDC00u);
        } else if (is_high(units[i]) || is_low(units[i])) {
            c = 0xFFFD;
        }
        if (c < 0x80) {
            out += static_cast<char>(c);
        } else if (c < 0x800) {
            out += static_cast<char>(0xC0 | c >> 6);
            out += static_cast<char>(0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
            out += static_cast<char>(0xE0 | c >> 12);
            out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
            out += static_cast<char>(0x80 | (c & 0x3F));
        } else {
            out += static_cast<char>(0xF0 | c >> 18);
            out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
            out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
            out += static_cast<char>(0x80 | (c & 0x3F));
        }
    }
    return out;
}

// The first are whole characters only.
inline constexpr struct {
    std::string_view raw;
    std::u16string_view units;
} kPieces[] = {
    {"a", u"a"},
    {" ", u" "},
    {"word", u"word"},
    {R"(\n)", u"\n"},
    {R"(\n\n)", u"\n\n"},
    {R"(\")", u"\""},
    {R"(\\)", u"\\"},
    {R"(\/)", u"/"},
    {R"(\t)", u"\t"},
    {R"(\u0000)", std::u16string_view(u"\0", 1)},
    {R"(\u000b)", u"\v"},
    {R"(\u0041)", u"A"},
    {R"(\u00e9)", u"\u00e9"},
    {"\u00e9", u"\u00e9"},
    {"\u65e5", u"\u65e5"},
    {R"(\u2028)", u"\u2028"},
    {"\U0001F642", u"\U0001F642"},
    {R"(\ud83d\ude42)", u"\U0001F642"},
    {R"(\uD83D\uDE42)", u"\U0001F642"},
    {"<thinking>", u"<thinking>"},
    {R"(</thinking>\n\n)", u"</thinking>\n\n"},
    {R"(\u003cthink\u003e)", u"<think>"},
    {"EN", u"EN"},
    {"END", u"END"},
    {"```json", u"```json"},
    {R"({\"a\":1})", u"{\"a\":1}"},
    {"data: [DONE]", u"data: [DONE]"},
    {"\x7f", u"\x7f"},
    {R"(\ud83d)", std::u16string_view(u"\xd83d", 1)},
    {R"(\ude42)", std::u16string_view(u"\xde42", 1)},
};
inline constexpr unsigned kWholePieces = std::size(kPieces) - 2;

// halves: also those that no writer of characters makes.
inline Text random_text(Choices &choices, unsigned longest, bool halves) {
    Text text;
    for (unsigned n = choices.below(longest + 1); n > 0; --n) {
        const auto &piece = kPieces[choices.below(halves ? std::size(kPieces) : kWholePieces)];
        text.raw += piece.raw;
        text.units += piece.units;
    }
    return text;
}

inline constexpr std::string_view kOddValues[] = {
    "null",
    "true",
    "false",
    "0",
    "-1",
    "-0.0",
    "1.5",
    "99.999",
    "100",
    "250.5",
    "1e308",
    "-1e308",
    "1e999",
    "-1e999",
    "123456789012345678901234567890",
    "9007199254740993",
    "18446744073709551615",
    "0.000000000000000000000000000001",
    R"("")",
    R"("text")",
    R"("\u0000")",
    R"("\ud83d")",
    R"("1e3")",
    "[]",
    "{}",
    R"([1,[2,{"a":null}]])",
    R"({"a":{"b":[true]}})",
    R"({"content":"inner","text":"inner","stop":true})",
};

} // namespace test
