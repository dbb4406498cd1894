#ifndef KIRO_CORE_KIRO_TIMESTAMP_H
#define KIRO_CORE_KIRO_TIMESTAMP_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace kiro::kiro {

// ISO-8601 date and time to Unix milliseconds: up to nine fractional digits; Z, UTC,
// an offset or nothing (UTC) at the end.
std::optional<int64_t> parse_iso8601(std::string_view text);

// Unix seconds or milliseconds, told apart by size.
std::optional<int64_t> parse_epoch(double value);

} // namespace kiro::kiro

#endif
