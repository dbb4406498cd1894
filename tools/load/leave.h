// How long it takes until the upstream hears that a client left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace load {

struct LeaveOptions {
    std::string url;            // up to the location's prefix
    std::uint16_t h2_port = 0;  // HTTP/2 without TLS; 0: none
    std::uint16_t upstream = 0; // the plain port of the upstream
    std::string dialect = "openai";
    std::size_t count = 100; // of each kind
    std::size_t at_once = 20;
};

int run_leave(const LeaveOptions &options);

} // namespace load
