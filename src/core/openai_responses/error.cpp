#include "core/openai_responses/error.h"

#include <array>

namespace kiro::openai_responses {
namespace {

struct Code {
    kiro_failure_kind kind;
    std::string_view code;
};

// All others are the server's fault.
constexpr std::array kCodes{
    Code{KIRO_FAIL_CONTEXT_OVERFLOW, "context_length_exceeded"},
    Code{KIRO_FAIL_QUOTA, "insufficient_quota"},
    Code{KIRO_FAIL_RATE_LIMITED, "rate_limit_exceeded"},
    Code{KIRO_FAIL_TOO_MANY_REQUESTS, "rate_limit_exceeded"},
    Code{KIRO_FAIL_OVERLOADED, "server_is_overloaded"},
    Code{KIRO_FAIL_UPSTREAM_REFUSED, "invalid_prompt"},
};

} // namespace

std::string_view error_code(kiro_failure_kind kind) noexcept {
    for (const Code &row : kCodes) {
        if (row.kind == kind) {
            return row.code;
        }
    }
    return "server_error";
}

} // namespace kiro::openai_responses
