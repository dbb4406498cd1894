// Runs of plain bytes in a JSON string: what is most of a body, so 16 bytes at a time.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace kiro::json {

namespace detail {

constexpr uint64_t every_byte(uint8_t b) {
    return 0x0101010101010101ULL * b;
}

// The high bit of each byte that ends a run of plain string bytes. Above the lowest one there may be false
// ones, as borrows ripple upwards.
constexpr uint64_t specials(uint64_t x) {
    uint64_t quote = x ^ every_byte('"');
    uint64_t backslash = x ^ every_byte('\\');
    uint64_t hit = ((quote - every_byte(1)) & ~quote) | ((backslash - every_byte(1)) & ~backslash) |
                   ((x - every_byte(0x20)) & ~x);
    return hit & every_byte(0x80);
}

constexpr std::array<bool, 256> make_letters() {
    std::array<bool, 256> table{};
    for (char c : std::string_view("\"\\/bfnrt"))
        table[static_cast<unsigned char>(c)] = true;
    return table;
}

constexpr auto letters = make_letters();

#if defined(__SSE2__)
// 0xFF for each byte that ends a run.
inline __m128i specials(const char *p) {
    __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
    __m128i quote = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1F)), x);
    return _mm_or_si128(_mm_or_si128(quote, backslash), control);
}

inline uint64_t bits(__m128i bytes) {
    return static_cast<unsigned>(_mm_movemask_epi8(bytes));
}
#endif

} // namespace detail

// The first quote, backslash or control character from p on, or end.
inline const char *skip_plain(const char *p, const char *end) {
#if defined(__SSE2__)
    int runs = 0; // that were plain: most strings are short, and some very long
    for (; end - p >= 16; p += 16) {
        if (int hit = _mm_movemask_epi8(detail::specials(p)); hit != 0)
            return p + std::countr_zero(static_cast<unsigned>(hit));
        if (++runs < 4)
            continue;
        for (; end - p >= 80; p += 64) {
            __m128i first = _mm_or_si128(detail::specials(p + 16), detail::specials(p + 32));
            __m128i second = _mm_or_si128(detail::specials(p + 48), detail::specials(p + 64));
            if (_mm_movemask_epi8(_mm_or_si128(first, second)) != 0)
                break;
        }
    }
#endif
    if constexpr (std::endian::native == std::endian::little) {
        for (; end - p >= 8; p += 8) {
            uint64_t word;
            std::memcpy(&word, p, 8);
            if (uint64_t hit = detail::specials(word))
                return p + std::countr_zero(hit) / 8;
        }
    }
    while (p != end && static_cast<unsigned char>(*p) >= 0x20 && *p != '"' && *p != '\\')
        p++;
    return p;
}

// May an escape be a backslash and this alone?
inline bool is_escape_letter(char c) {
    return detail::letters[static_cast<unsigned char>(c)];
}

// Past plain bytes and escapes of one letter, to anything else or end. Prose has such an escape every few
// words: the hits of 64 bytes are found at once.
inline const char *skip_text(const char *p, const char *end) {
#if defined(__SSE2__)
    while (end - p > 64) { // the letter behind the last backslash is there too
        __m128i a = detail::specials(p), b = detail::specials(p + 16);
        __m128i c = detail::specials(p + 32), d = detail::specials(p + 48);
        if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) == 0) {
            p += 64;
            continue;
        }
        uint64_t hits =
            detail::bits(a) | detail::bits(b) << 16 | detail::bits(c) << 32 | detail::bits(d) << 48;
        const char *next = p + 64;
        while (hits != 0) {
            int at = std::countr_zero(hits);
            if (p[at] != '\\' || !is_escape_letter(p[at + 1]))
                return p + at;
            next += at == 63;
            hits &= ~(uint64_t{3} << at);
        }
        p = next;
    }
#endif
    for (;;) {
        p = skip_plain(p, end);
        if (end - p < 2 || *p != '\\' || !is_escape_letter(p[1]))
            return p;
        p += 2;
    }
}

} // namespace kiro::json
