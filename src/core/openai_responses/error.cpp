#include "core/openai_responses/error.h"

#include <array>

namespace kiro::openai_responses {
namespace {

struct Code {
    kiro_failure_kind kind;
    std::string_view code;
};

// Codex sends the turn again for rate_limit_exceeded, after the delay that the message names, and for
// server_error, which all others are; for "server_is_overloaded" it would give up. The other codes here are
// for what does not heal: it stops and shows the message.
constexpr std::array kCodes{
    Code{KIRO_FAIL_CONTEXT_OVERFLOW, "context_length_exceeded"},
    Code{KIRO_FAIL_QUOTA, "insufficient_quota"},
    Code{KIRO_FAIL_RATE_LIMITED, "rate_limit_exceeded"},
    Code{KIRO_FAIL_BUDGET, "rate_limit_exceeded"},
    Code{KIRO_FAIL_BUSY, "rate_limit_exceeded"},
    Code{KIRO_FAIL_TOO_MANY_REQUESTS, "rate_limit_exceeded"},
    Code{KIRO_FAIL_INVALID_REQUEST, "invalid_prompt"},
    Code{KIRO_FAIL_UNSUPPORTED, "invalid_prompt"},
    Code{KIRO_FAIL_MODEL_NOT_FOUND, "invalid_prompt"},
    Code{KIRO_FAIL_UPSTREAM_REFUSED, "invalid_prompt"},
    Code{KIRO_FAIL_ACCESS_DENIED, "invalid_prompt"},
    Code{KIRO_FAIL_SUSPENDED, "invalid_prompt"},
    Code{KIRO_FAIL_LOGIN_REQUIRED, "invalid_prompt"},
    Code{KIRO_FAIL_UPSTREAM_TLS, "invalid_prompt"},
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
