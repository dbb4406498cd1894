// Concurrent streams, and how late their tokens are.
#pragma once

#include "plan.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace load {

struct ClientOptions {
    std::string label = "load";
    std::string url;
    std::string dialect = "openai";
    std::size_t streams = 1;
    double seconds = 0;            // begin new streams for so long; 0: each once
    std::size_t calls = 0;         // not more than so many; 0: as many as that gives
    double ramp = 1;               // the first ones begin within this
    Plan plan;                     // of each
    std::uint64_t most_tokens = 0; // plan.tokens is the least, at random up to this
    double stall = 0;              // stop reading until all have, and for so long
    std::uint64_t stall_after = 1; // tokens
    int receive_buffer = 0;
    double limit = 600;  // what is not ended then is broken
    std::string stalled; // this file appears when all have stopped reading
    bool header = true;
};

int run_client(const ClientOptions &options);

} // namespace load
