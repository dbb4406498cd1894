#include "core/eventstream/crc32.h"

#include <array>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kiro::eventstream {
namespace {

constexpr std::size_t kSlices = 16;
constexpr std::uint32_t kPolynomial = 0xEDB88320; // reflected

constexpr std::uint32_t times_x(std::uint32_t value) noexcept {
    return (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
}

using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

// tables[s][b]: what byte b contributes when s bytes follow it.
constexpr Tables make_tables() noexcept {
    Tables tables{};
    for (std::uint32_t b = 0; b < 256; ++b) {
        std::uint32_t crc = b;
        for (int bit = 0; bit < 8; ++bit) {
            crc = times_x(crc);
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

// N bytes at once: the first four meet the running value, the others stand alone.
template <std::size_t N> std::uint32_t step(std::uint32_t crc, const unsigned char *p) noexcept {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return (kTables[N - 1 - I][p[I] ^ (I < 4 ? (crc >> (8 * (I & 3))) & 0xFF : 0)] ^ ...);
    }
    (std::make_index_sequence<N>());
}

// crc is the running value, not inverted.
std::uint32_t by_table(std::uint32_t crc, const unsigned char *p, std::size_t n) noexcept {
    for (; n >= 16; n -= 16, p += 16) {
        crc = step<16>(crc, p);
    }
    if (n >= 8) {
        crc = step<8>(crc, p);
        n -= 8, p += 8;
    }
    if (n >= 4) {
        crc = step<4>(crc, p);
        n -= 4, p += 4;
    }
    for (; n > 0; --n, ++p) {
        crc = (crc >> 8) ^ kTables[0][(crc ^ *p) & 0xFF];
    }
    return crc;
}

#if defined(__x86_64__)

constexpr std::size_t kWorthFolding = 48;

// x^n modulo the polynomial, in the place where a carry-less multiplication of reflected values wants it.
constexpr long long power_of_x(int n) noexcept {
    std::uint32_t value = 0x80000000; // x^0
    for (int i = 0; i < n; ++i) {
        value = times_x(value);
    }
    return static_cast<long long>(std::uint64_t{value} << 1);
}

// Moves 16 bytes of remainder over the next 16 bytes for as long as there are some; what is left has the
// same remainder as all of it. n is at least 16.
__attribute__((target("pclmul,sse4.1"))) std::uint32_t by_folding(std::uint32_t crc, const unsigned char *p,
                                                                  std::size_t n) noexcept {
    const auto load = [](const unsigned char *from) __attribute__((target("pclmul,sse4.1"))) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
    };
    const __m128i shift = _mm_set_epi64x(power_of_x(128 - 32), power_of_x(128 + 32));
    __m128i rest = _mm_xor_si128(load(p), _mm_cvtsi32_si128(static_cast<int>(crc)));
    for (n -= 16, p += 16; n >= 16; n -= 16, p += 16) {
        const __m128i low = _mm_clmulepi64_si128(rest, shift, 0x00);
        const __m128i high = _mm_clmulepi64_si128(rest, shift, 0x11);
        rest = _mm_xor_si128(_mm_xor_si128(low, high), load(p));
    }
    alignas(16) unsigned char bytes[16];
    _mm_store_si128(reinterpret_cast<__m128i *>(bytes), rest);
    return by_table(by_table(0, bytes, sizeof(bytes)), p, n);
}

#endif

} // namespace

std::uint32_t crc32(std::uint32_t crc, const char *data, std::size_t n) noexcept {
    const auto *p = reinterpret_cast<const unsigned char *>(data);
#if defined(__x86_64__)
    if (n >= kWorthFolding && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        return ~by_folding(~crc, p, n);
    }
#endif
    return ~by_table(~crc, p, n);
}

} // namespace kiro::eventstream
