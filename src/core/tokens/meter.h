// A running estimate of tokens, without a vocabulary: ASCII characters / 3.6 + CJK x 1.1 + other
// characters / 2, all x 1.1. One table look-up a byte.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace kiro::tokens {

namespace detail {

// By the first byte of a character; the others weigh nothing.
constexpr std::array<std::uint16_t, 256> make_weights() noexcept {
    std::array<std::uint16_t, 256> weights{};
    for (std::size_t b = 0; b < 256; ++b) {
        if (b < 0x80) {
            weights[b] = 306;
        } else if (b >= 0xE3 && b <= 0xED) { // U+3000 to U+DFFF: mostly CJK
            weights[b] = 1210;
        } else if (b >= 0xC0) {
            weights[b] = 550;
        }
    }
    weights['\\'] = 0;
    return weights;
}

} // namespace detail

class Meter {
public:
    // Text or an escaped slice of it; a backslash weighs nothing.
    void add(std::string_view text) noexcept {
        std::uint64_t sum = 0;
        for (char c : text) {
            sum += kWeights[static_cast<unsigned char>(c)];
        }
        weight_ += sum;
    }

    std::uint64_t tokens() const noexcept { return (weight_ + kUnit - 1) / kUnit; }

private:
    static constexpr std::uint64_t kUnit = 1000;

    static constexpr std::array<std::uint16_t, 256> kWeights = detail::make_weights();

    std::uint64_t weight_ = 0;
};

} // namespace kiro::tokens
