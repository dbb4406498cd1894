#include "core/tokens/estimate.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace kiro::tokens {

namespace {

struct Leads {
    uint64_t all = 0;
    uint64_t three = 0; // 1110....
    uint64_t continuations = 0;
};

#if defined(__x86_64__)
uint64_t sum_of(__m128i bytes) {
    __m128i sums = _mm_sad_epu8(bytes, _mm_setzero_si128());
    return static_cast<uint64_t>(_mm_cvtsi128_si64(sums)) +
           static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums)));
}

// Counts what is not ASCII, up to less than 16 bytes before end.
const char *count_blocks(const char *p, const char *end, Leads &leads) {
    const __m128i zero = _mm_setzero_si128();
    while (end - p >= 16) {
        __m128i high = zero, three = zero, continuations = zero; // a counter for each of 16 places
        const char *stop = p + std::min<std::ptrdiff_t>((end - p) / 16, 255) * 16;
        for (; p != stop; p += 16) {
            __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
            high = _mm_sub_epi8(high, _mm_cmpgt_epi8(zero, x));
            continuations = _mm_sub_epi8(continuations, _mm_cmpgt_epi8(_mm_set1_epi8(-64), x));
            __m128i nibble = _mm_and_si128(x, _mm_set1_epi8(static_cast<char>(0xF0)));
            three = _mm_sub_epi8(three, _mm_cmpeq_epi8(nibble, _mm_set1_epi8(static_cast<char>(0xE0))));
        }
        uint64_t sum = sum_of(continuations);
        leads.all += sum_of(high) - sum;
        leads.three += sum_of(three);
        leads.continuations += sum;
    }
    return p;
}
#else
const char *count_blocks(const char *p, const char *end, Leads &leads) {
    constexpr uint64_t high = 0x8080808080808080ULL;
    for (; end - p >= 8; p += 8) {
        uint64_t x;
        std::memcpy(&x, p, 8);
        uint64_t upper = x & high;
        if (upper == 0)
            continue;
        uint64_t lead = upper & x << 1;             // 11......
        uint64_t three = lead & x << 2 & ~(x << 3); // 1110....
        leads.all += static_cast<uint64_t>(std::popcount(lead));
        leads.three += static_cast<uint64_t>(std::popcount(three));
        leads.continuations += static_cast<uint64_t>(std::popcount(upper ^ lead));
    }
    return p;
}
#endif

} // namespace

void Characters::add(std::string_view utf8) {
    const char *end = utf8.data() + utf8.size();
    Leads leads;
    for (const char *p = count_blocks(utf8.data(), end, leads); p != end; p++) {
        auto c = static_cast<unsigned char>(*p);
        leads.all += c >= 0xC0;
        leads.three += (c & 0xF0) == 0xE0;
        leads.continuations += (c & 0xC0) == 0x80;
    }
    size += utf8.size();
    ascii += utf8.size() - leads.all - leads.continuations;
    wide += leads.three;
    other += leads.all - leads.three;
}

uint64_t estimate(const Characters &c) {
    double tokens = static_cast<double>(c.ascii) / 3.6 + static_cast<double>(c.wide) * 1.1 +
                    static_cast<double>(c.other) / 2;
    return static_cast<uint64_t>(tokens * 1.1);
}

} // namespace kiro::tokens
