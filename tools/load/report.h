// What was measured, as a table.
#pragma once

#include "loop.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace load {

struct Measured {
    std::size_t calls = 0;                     // that ended as they should
    std::map<std::string, std::size_t> broken; // by reason
    std::vector<std::uint32_t> late;           // microseconds, of each token
    std::vector<std::uint32_t> first;          // from the begin of the call to its first token
    std::uint32_t gap = 0;                     // longest time between two tokens of a call
    Micros begin = 0, end = 0;
};

void print_header();
void print_row(const std::string &label, std::size_t streams, Measured &m);

std::uint32_t percentile(std::vector<std::uint32_t> &values, double p); // sorted

} // namespace load
