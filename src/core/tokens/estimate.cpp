#include "core/tokens/estimate.h"

#include <bit>
#include <cstring>

namespace kiro::tokens {

void Characters::add(std::string_view utf8) {
    constexpr uint64_t high = 0x8080808080808080ULL;
    const char *p = utf8.data();
    const char *end = p + utf8.size();
    uint64_t continuations = 0, leads = 0, wides = 0;
    for (; end - p >= 8; p += 8) {
        uint64_t x;
        std::memcpy(&x, p, 8);
        uint64_t upper = x & high;
        if (upper == 0)
            continue;
        uint64_t lead = upper & x << 1;             // 11......
        uint64_t three = lead & x << 2 & ~(x << 3); // 1110....
        leads += static_cast<uint64_t>(std::popcount(lead));
        wides += static_cast<uint64_t>(std::popcount(three));
        continuations += static_cast<uint64_t>(std::popcount(upper ^ lead));
    }
    for (; p != end; p++) {
        auto c = static_cast<unsigned char>(*p);
        leads += c >= 0xC0;
        wides += (c & 0xF0) == 0xE0;
        continuations += (c & 0xC0) == 0x80;
    }
    size += utf8.size();
    ascii += utf8.size() - leads - continuations;
    wide += wides;
    other += leads - wides;
}

uint64_t estimate(const Characters &c) {
    double tokens = static_cast<double>(c.ascii) / 3.6 + static_cast<double>(c.wide) * 1.1 +
                    static_cast<double>(c.other) / 2;
    return static_cast<uint64_t>(tokens * 1.1);
}

} // namespace kiro::tokens
