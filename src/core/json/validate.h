// The strict pass over a whole JSON text. What is forwarded as raw slices is proved here, and where its parts
// stand is noted on the way, so that nothing reads the text a second time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kiro::json {

constexpr size_t max_depth = 128;
constexpr size_t deepest = 512; // that validate() can follow

struct Validation {
    const char *reason = nullptr; // nullptr: the text is one JSON value by RFC 8259
    size_t offset = 0;            // of the offending byte
    bool lone_surrogates = false; // some \uD800 - \uDFFF escape has no partner

    explicit operator bool() const { return reason == nullptr; }
};

// Each value and each key in the order of the text: where it begins, where it ends, and of an object or array
// the place in the index behind its last part.
using Index = std::vector<uint32_t>;

// index is replaced; it is of use only if the text is valid. Texts of 2 GB have none: throws.
Validation validate(std::string_view text, size_t depth = max_depth, Index *index = nullptr);

// How deep objects and arrays are in each other.
size_t nesting(std::string_view json);

// Makes every lone surrogate escape of a valid text \ufffd: both have six bytes, so slices stay in place.
void replace_lone_surrogates(char *text, size_t length);

} // namespace kiro::json
