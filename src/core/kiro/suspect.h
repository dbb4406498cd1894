// What of a request the upstream may not have liked, when it refused it in words that do not say so.
#pragma once

#include <cstddef>
#include <vector>

#include "core/chat/rules.h"
#include "core/kiro/request.h"

namespace kiro::kiro {

struct Suspicion {
    chat::Rule rule;
    size_t count; // of what is meant: tools, bytes, turns
};

// Limits that were seen somewhere but are not sure, and the rules that prepare() keeps, once more. body:
// request as it was written.
std::vector<Suspicion> suspicions(const Request &request, size_t body, bool listed);

} // namespace kiro::kiro
