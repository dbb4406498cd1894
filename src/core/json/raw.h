// Raw strings: what stands between the quotes of a JSON string, escapes kept.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kiro::json {

using Raw = std::string_view;

inline bool has_escapes(Raw raw) {
    return raw.find('\\') != Raw::npos;
}

// Appends the UTF-8 text of raw. Lone surrogates become U+FFFD. False: raw has a malformed escape; out
// then ends with what stood before it.
bool unescape(Raw raw, std::string &out);

// The UTF-8 text of a raw string that is known to be well formed.
std::string unescaped(Raw raw);

// Compares the text of raw with UTF-8; no allocation unless raw has escapes.
bool equals(Raw raw, std::string_view utf8);

// True if the text has nothing but white space (space, tab, line ends, no-break space, BOM).
bool is_blank(Raw raw);

// The number of characters; a surrogate pair counts as two.
size_t length(Raw raw);

// The first characters of raw, whole ones.
Raw prefix(Raw raw, size_t characters);

// Appends one code point.
void append_utf8(std::string &out, uint32_t code_point);

// The length of the UTF-8 sequence at the start of text, which is not empty; 0 if it is not UTF-8.
size_t utf8_sequence(std::string_view text);

// Four hex digits at p, or a value above 0xFFFF if they are none.
uint32_t hex4(const char *p);

inline bool is_high_surrogate(uint32_t unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}
inline bool is_low_surrogate(uint32_t unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

} // namespace kiro::json
