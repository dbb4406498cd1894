// What the upstream's refusals mean. The tables are the knowledge; the text of
// the upstream never reaches a client.
#pragma once

#include "kiro/kiro.h"

#include <cstdint>
#include <string_view>

namespace kiro::kiro {

struct Refusal {
    int status = 0;               // HTTP status; 0: an exception inside a stream
    std::string_view type;        // exception name from header or frame, may carry prefix and suffix
    std::string_view body;        // JSON or anything else, may be cut
    std::string_view message;     // of an error frame, which has no body
    std::string_view retry_after; // the Retry-After header
    std::int64_t now = 0;         // Unix seconds, for a Retry-After date
};

// Fills all of failure.
void classify(const Refusal &refusal, kiro_failure &failure) noexcept;

// The exception's bare name: behind the last '#', before the first ':'.
std::string_view exception_name(std::string_view type) noexcept;

} // namespace kiro::kiro
