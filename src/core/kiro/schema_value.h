// Slices of JSON, as the cleaning of schemas looks at them.
#pragma once

#include <string>
#include <string_view>

#include "core/json/raw.h"

namespace kiro::kiro {

using json::Raw;

inline bool is_string(std::string_view value) {
    return value.starts_with('"');
}
inline bool is_list(std::string_view value) {
    return value.starts_with('[');
}
inline bool is_object(std::string_view value) {
    return value.starts_with('{');
}

// Of a JSON string or list, without what is around it.
inline Raw contents(std::string_view string) {
    return string.substr(1, string.size() - 2);
}

// A member's key, or an item, in an object or list that is being written.
void append_key(std::string &out, Raw key);
void append_item(std::string &out, std::string_view item);

// The value of a member, empty if there is none; of several the last.
std::string_view member_of(std::string_view object, std::string_view key);

// The upstream takes it where a value stands: no integer that needs more than 32 bits, not nested deep.
bool is_plain_value(std::string_view value);

std::string without_space(std::string_view json);

// Some JSON as part of a JSON string.
std::string as_text(std::string_view value);

} // namespace kiro::kiro
