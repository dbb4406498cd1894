// Where in a text a value stands, told as a path that shows nothing of the values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/json/validate.h"

namespace kiro::json {

/*
 * "messages[3].content[0]" for the innermost value that holds the byte at offset of a valid text, or one that
 * is up levels above it. Printable ASCII without quotes and backslashes, at most max_path bytes: of a key
 * other characters are percent-encoded and a long one is cut, of a long path the middle leaves ("..." each).
 */
std::string path_at(std::string_view text, const Index &index, size_t offset, size_t up = 0);

constexpr size_t max_path = 200;
constexpr size_t max_path_key = 48;

} // namespace kiro::json
