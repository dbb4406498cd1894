// Code points as bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kiro::json {

// Writes the UTF-8 of a code point to out, which has room for four bytes; returns how many it took.
inline size_t encode_utf8(uint32_t cp, char *out) {
    size_t size = 0;
    auto put = [&](uint32_t byte) { out[size++] = static_cast<char>(byte); };
    if (cp < 0x80) {
        put(cp);
    } else if (cp < 0x800) {
        put(0xC0 | cp >> 6);
        put(0x80 | (cp & 0x3F));
    } else if (cp < 0x10000) {
        put(0xE0 | cp >> 12);
        put(0x80 | (cp >> 6 & 0x3F));
        put(0x80 | (cp & 0x3F));
    } else {
        put(0xF0 | cp >> 18);
        put(0x80 | (cp >> 12 & 0x3F));
        put(0x80 | (cp >> 6 & 0x3F));
        put(0x80 | (cp & 0x3F));
    }
    return size;
}

} // namespace kiro::json
