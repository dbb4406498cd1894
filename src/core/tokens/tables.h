/*
 * What counting needs to know of cl100k_base, ready to be used where it lies: made from cl100k_base.bin at
 * build time by tools/token_tables.cpp and linked as read-only data. 3.9 MB that all processes share.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace kiro::tokens {

using Token = uint32_t; // its rank

constexpr Token vocabulary_size = 100256;
constexpr Token no_token = (1U << 17) - 1;

enum class Class : uint8_t { other, letter, number, space };

// A state of the automaton that reads tokens byte by byte: the one behind byte c is at base ^ c, if that one
// is of the same byte.
struct State {
    uint64_t bits = 0; // from the lowest: 8 byte, 1 used, 18 base, 17 token

    constexpr uint32_t base() const { return bits >> 9 & 0x3FFFF; }
    constexpr Token token() const { return static_cast<Token>(bits >> 27); } // no_token: not the end of one
    constexpr bool is_of(uint8_t byte) const { return (bits & 0x1FF) == (0x100U | byte); }

    // Behind no byte.
    static constexpr State root(uint32_t base) { return {static_cast<uint64_t>(base) << 9}; }
    static constexpr State make(uint8_t byte, uint32_t base, Token token) {
        return {static_cast<uint64_t>(token) << 27 | static_cast<uint64_t>(base) << 9 | 0x100U | byte};
    }
};

// How merging makes a token. left and right of a single byte are itself.
struct Facts {
    uint64_t bits = 0; // from the lowest: 17 left, 17 right, 17 prefix, 8 length

    constexpr Token left() const { return bits & no_token; }
    constexpr Token right() const { return bits >> 17 & no_token; }
    constexpr Token prefix() const { return bits >> 34 & no_token; } // longest other that it begins with
    constexpr size_t length() const { return bits >> 51; }

    static constexpr Facts make(Token left, Token right, Token prefix, size_t length) {
        return {static_cast<uint64_t>(length) << 51 | static_cast<uint64_t>(prefix) << 34 |
                static_cast<uint64_t>(right) << 17 | left};
    }
};

// Open addressing from the two parts of a token to itself. An entry has 15 bits of the hash above the token.
struct PairHash {
    static constexpr unsigned log_slots = 18;
    static constexpr uint32_t free = UINT32_MAX;

    uint32_t slot;
    uint32_t mark;

    constexpr PairHash(Token left, Token right) {
        uint64_t hash = (static_cast<uint64_t>(left) << 17 | right) * 0x9E3779B97F4A7C15U;
        slot = static_cast<uint32_t>(hash >> (64 - log_slots));
        mark = static_cast<uint32_t>(hash >> 24 & 0x7FFF) << 17;
    }
    constexpr void next() { slot = (slot + 1) & ((1U << log_slots) - 1); }
};

struct Tables {
    State states[1U << 18]; // the first is the root
    Facts facts[vocabulary_size];
    uint32_t pairs[1U << PairHash::log_slots];
    uint8_t class_blocks[0x110000 / 256];
    uint8_t classes[64 * 256]; // of the code points of a block, four a byte
};

extern "C" const Tables kiro_token_tables;

inline Class class_of(uint32_t code_point) {
    uint32_t at = kiro_token_tables.class_blocks[code_point >> 8] * 256U + (code_point & 0xFF);
    return static_cast<Class>(kiro_token_tables.classes[at >> 2] >> (at & 3) * 2 & 3);
}

} // namespace kiro::tokens
