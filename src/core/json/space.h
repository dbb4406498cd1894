// The white space of JSON, which is also all that counts as such in a model's text.
#pragma once

#include <string_view>

namespace kiro::json {

inline constexpr std::string_view white_space = " \t\r\n";

constexpr bool is_space(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

} // namespace kiro::json
