// Requests of all block kinds in any order, in each dialect; the same seed gives the same one.
#pragma once

#include <cstdint>
#include <string>

#include "kiro/kiro.h"

namespace kiro::test {

struct RandomRequest {
    kiro_api api;
    std::string body;
};

RandomRequest random_request(uint64_t seed);

} // namespace kiro::test
