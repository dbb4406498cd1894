/*
 * Counts cl100k_base tokens exactly. Special tokens such as <|endoftext|> are ordinary text. Each text is
 * counted on its own: where texts are joined, a token of the joined text may take the place of two.
 *
 * Time is linear in the text, whatever it is. A Counter keeps its memory from one text to the next.
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/raw.h"
#include "core/tokens/tables.h"

namespace kiro::tokens {

// Which tokens can stand side by side, with the last answers kept.
class Neighbours {
public:
    Neighbours() { known_.fill(UINT64_MAX); }
    bool fit(Token left, Token right);

private:
    static constexpr unsigned log_size = 10;
    std::array<uint64_t, 1U << log_size> known_; // 17 left, 17 right, 1 answer
};

class Counter {
public:
    uint64_t count(std::string_view utf8);

    // The contents of a JSON string, well formed.
    uint64_t count_raw(json::Raw raw);

private:
    uint64_t merge(const char *p, size_t size, Token first);

    Neighbours neighbours_;
    std::string text_; // unescaped
    std::vector<Token> found_;
    std::vector<uint64_t> open_;
};

} // namespace kiro::tokens
