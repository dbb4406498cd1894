/*
 * The exact number of tokens of a request's texts, and what surrounds them: what the client is told before
 * the upstream has said its percentage. cl100k_base, times a factor for models that have another vocabulary.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/kiro/request.h"

namespace kiro::kiro {

// What there is to count, as views of the client's body and the arena: other threads can read them while the
// Request changes.
struct Countable {
    std::vector<Raw> texts;               // contents of JSON strings
    std::vector<std::string_view> values; // JSON, counted as it is written
    std::vector<chat::Image> images;
    size_t documents = 0;
    uint64_t overhead = 0; // tokens, of messages and tools
    uint32_t percent = 100;
    size_t bytes = 0; // of texts and values
};

Countable countable(const Request &request);

// Takes long: a millisecond for some 20 kB.
uint64_t count(const Countable &countable);

} // namespace kiro::kiro
