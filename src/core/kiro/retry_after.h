// The Retry-After header: seconds or an HTTP date.
#pragma once

#include <cstdint>
#include <string_view>

namespace kiro::kiro {

constexpr std::uint64_t kLongestWait = 24ull * 3600 * 1000; // ms; longer ones are cut

// Milliseconds from now (Unix seconds), 0 if it says nothing.
std::uint64_t retry_after_ms(std::string_view value, std::int64_t now) noexcept;

} // namespace kiro::kiro
