// A raw string character by character: what it stands for and how many raw bytes it takes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/json/raw.h"

namespace kiro::json {

struct Character {
    std::array<char, 4> utf8{};
    uint8_t size = 0; // of the text
    uint8_t raw = 0;  // of the raw bytes; escaped surrogates are one character

    // The character if it is ASCII, else 0.
    char ascii() const { return size == 1 && static_cast<unsigned char>(utf8[0]) < 0x80 ? utf8[0] : '\0'; }
    std::string_view text() const { return {utf8.data(), size}; }
};

// The first one of raw, which is well formed and not empty.
Character first_character(Raw raw);

// The longest beginning of raw, which is well formed, that has at most so many bytes (not below 12) and ends
// between two characters.
Raw slice(Raw raw, size_t bytes);

} // namespace kiro::json
