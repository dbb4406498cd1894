// Appends JSON to a string. The caller owns the structure; these own the escaping.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json/raw.h"

namespace kiro::json {

// UTF-8 as the contents of a JSON string, without the quotes. Bytes that are not UTF-8 become U+FFFD.
void append_escaped(std::string &out, std::string_view utf8);

// "..." around append_escaped().
void append_string(std::string &out, std::string_view utf8);

// "..." around a slice that is escaped already.
void append_raw_string(std::string &out, Raw raw);

std::string escaped(std::string_view utf8);

// A valid JSON text without the white space between its parts.
void append_minified(std::string &out, std::string_view json);

void append_int(std::string &out, int64_t value);
void append_uint(std::string &out, uint64_t value);

// The shortest form that reads back to the same value; null for infinities and NaN.
void append_double(std::string &out, double value);

} // namespace kiro::json
