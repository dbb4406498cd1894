// The upstream's rules for a request body, checked by other means than the core's own.
#pragma once

#include <string>
#include <string_view>

namespace kiro::test {

// Empty if body is a request that the upstream accepts, else what is wrong with it.
std::string broken_rule(std::string_view body);

} // namespace kiro::test
