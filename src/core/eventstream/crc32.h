// CRC-32 of IEEE 802.3, as the event stream's framing uses it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kiro::eventstream {

// Continues crc, which is 0 at the start, over n bytes.
std::uint32_t crc32(std::uint32_t crc, const char *data, std::size_t n) noexcept;

} // namespace kiro::eventstream
