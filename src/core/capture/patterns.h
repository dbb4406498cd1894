// What looks like a secret, whoever's it is.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace kiro::capture {

// found(begin, end) for each.
void find_patterns(std::string_view text, const std::function<void(size_t, size_t)> &found);

// Names of JSON members, headers and arguments whose values are secret: "refreshToken", "X-Api-Key",
// "client_secret".
bool names_secret(std::string_view name);

} // namespace kiro::capture
