// The strict pass over a whole JSON text. simdjson on demand checks only what it touches, so what is
// forwarded as raw slices has to be proved here.

#pragma once

#include <cstddef>
#include <string_view>

namespace kiro::json {

constexpr size_t max_depth = 128;
constexpr size_t deepest = 512; // that validate() can follow

struct Validation {
    const char *reason = nullptr; // nullptr: the text is one JSON value by RFC 8259
    size_t offset = 0;            // of the offending byte
    bool lone_surrogates = false; // some \uD800 - \uDFFF escape has no partner

    explicit operator bool() const { return reason == nullptr; }
};

Validation validate(std::string_view text, size_t depth = max_depth);

// How deep objects and arrays are in each other.
size_t nesting(std::string_view json);

// Makes every lone surrogate escape of a valid text \ufffd: both have six bytes, so slices stay in place.
void replace_lone_surrogates(char *text, size_t length);

} // namespace kiro::json
