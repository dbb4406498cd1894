#include "core/eventstream/crc32.h"

#include <array>

namespace kiro::eventstream {
namespace {

constexpr std::size_t kSlices = 16;
constexpr std::uint32_t kPolynomial = 0xEDB88320; // reflected

using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

// tables[s][b]: what byte b contributes when s bytes follow it.
constexpr Tables make_tables() noexcept {
    Tables tables{};
    for (std::uint32_t b = 0; b < 256; ++b) {
        std::uint32_t crc = b;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        }
        tables[0][b] = crc;
    }
    for (std::size_t s = 1; s < kSlices; ++s) {
        for (std::size_t b = 0; b < 256; ++b) {
            const std::uint32_t crc = tables[s - 1][b];
            tables[s][b] = (crc >> 8) ^ tables[0][crc & 0xFF];
        }
    }
    return tables;
}

constexpr Tables kTables = make_tables();

} // namespace

std::uint32_t crc32(std::uint32_t crc, const char *data, std::size_t n) noexcept {
    const auto *p = reinterpret_cast<const unsigned char *>(data);
    crc = ~crc;
    for (; n >= kSlices; n -= kSlices, p += kSlices) {
        // The first four bytes meet the running value, the others stand alone.
        std::uint32_t next = kTables[15][p[0] ^ (crc & 0xFF)] ^ kTables[14][p[1] ^ ((crc >> 8) & 0xFF)] ^
                             kTables[13][p[2] ^ ((crc >> 16) & 0xFF)] ^ kTables[12][p[3] ^ (crc >> 24)];
        for (std::size_t i = 4; i < kSlices; ++i) {
            next ^= kTables[kSlices - 1 - i][p[i]];
        }
        crc = next;
    }
    for (; n > 0; --n, ++p) {
        crc = (crc >> 8) ^ kTables[0][(crc ^ *p) & 0xFF];
    }
    return ~crc;
}

} // namespace kiro::eventstream
