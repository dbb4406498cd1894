#include "core/anthropic/error.h"

#include "core/json/fixed_writer.h"

#include <array>

namespace kiro::anthropic {
namespace {

struct Shape {
    kiro_failure_kind kind;
    int status;
    std::string_view type;
    std::string_view lead; // phrase that clients look for in the message
};

constexpr std::string_view kRequest = "invalid_request_error";
constexpr std::string_view kApi = "api_error";

constexpr std::array kShapes{
    Shape{KIRO_FAIL_INVALID_JSON, 400, kRequest, ""},
    Shape{KIRO_FAIL_INVALID_REQUEST, 400, kRequest, ""},
    Shape{KIRO_FAIL_UNSUPPORTED, 400, kRequest, ""},
    Shape{KIRO_FAIL_TOO_LARGE, 413, "request_too_large", ""},
    Shape{KIRO_FAIL_UNAUTHENTICATED, 401, "authentication_error", ""},
    Shape{KIRO_FAIL_FORBIDDEN, 403, "permission_error", ""},
    Shape{KIRO_FAIL_NOT_FOUND, 404, "not_found_error", ""},
    Shape{KIRO_FAIL_METHOD, 405, kRequest, ""},
    Shape{KIRO_FAIL_NOT_BUILT, 501, kApi, ""},
    Shape{KIRO_FAIL_MODEL_NOT_FOUND, 404, "not_found_error", ""},
    Shape{KIRO_FAIL_ITEM_NOT_FOUND, 404, "not_found_error", ""},
    Shape{KIRO_FAIL_RESPONSE_NOT_FOUND, 404, "not_found_error", ""},
    Shape{KIRO_FAIL_CONTEXT_OVERFLOW, 400, kRequest, "prompt is too long"},
    Shape{KIRO_FAIL_CLIENT_TIMEOUT, 408, "timeout_error", ""},
    Shape{KIRO_FAIL_TOO_MANY_REQUESTS, 429, "rate_limit_error", ""},
    Shape{KIRO_FAIL_BUDGET, 429, "rate_limit_error", ""},
    Shape{KIRO_FAIL_BUSY, 429, "rate_limit_error", ""},
    Shape{KIRO_FAIL_RATE_LIMITED, 429, "rate_limit_error", ""},
    Shape{KIRO_FAIL_QUOTA, 402, "billing_error", ""},
    Shape{KIRO_FAIL_OVERLOADED, 529, "overloaded_error", ""},
    Shape{KIRO_FAIL_AUTH_EXPIRED, 502, kApi, ""},
    Shape{KIRO_FAIL_LOGIN_REQUIRED, 502, kApi, ""},
    Shape{KIRO_FAIL_TOKEN_TIMEOUT, 504, "timeout_error", ""},
    Shape{KIRO_FAIL_ACCESS_DENIED, 403, "permission_error", ""},
    Shape{KIRO_FAIL_SUSPENDED, 403, "permission_error", ""},
    Shape{KIRO_FAIL_UPSTREAM_REFUSED, 400, kRequest, ""},
    Shape{KIRO_FAIL_UPSTREAM_ERROR, 502, kApi, ""},
    Shape{KIRO_FAIL_UPSTREAM_CONNECT, 502, kApi, ""},
    Shape{KIRO_FAIL_UPSTREAM_TLS, 502, kApi, ""},
    Shape{KIRO_FAIL_UPSTREAM_TIMEOUT, 504, "timeout_error", ""},
    Shape{KIRO_FAIL_UPSTREAM_CUT, 502, kApi, ""},
    Shape{KIRO_FAIL_UPSTREAM_PROTOCOL, 502, kApi, ""},
    Shape{KIRO_FAIL_UPSTREAM_EMPTY, 502, kApi, ""},
    Shape{KIRO_FAIL_UNAVAILABLE, 503, kApi, ""},
    Shape{KIRO_FAIL_INTERNAL, 500, kApi, ""},
};
static_assert(kShapes.size() == KIRO_FAIL_MAX - 1, "one row a kind");

const Shape &shape_of(kiro_failure_kind kind) noexcept {
    for (const Shape &shape : kShapes) {
        if (shape.kind == kind) {
            return shape;
        }
    }
    return kShapes.back();
}

} // namespace

int error_status(kiro_failure_kind kind) noexcept {
    return shape_of(kind).status;
}

std::size_t error_body(const kiro_failure &failure, std::string_view explanation, std::string_view request_id,
                       std::span<char> out) noexcept {
    const Shape &shape = shape_of(failure.kind);
    const std::string_view message = failure.message;
    const std::string_view param = failure.param;
    json::FixedWriter writer(out);

    writer.raw(R"({"type":"error","error":{"type":")").raw(shape.type).raw(R"(","message":")");
    if (!shape.lead.empty() && message.find(shape.lead) == message.npos) {
        writer.raw(shape.lead).raw(": ");
    }
    // There is no member for the field's path, so the sentence has to name it.
    if (!param.empty() && message.find(param) == message.npos) {
        writer.text(param).raw(": ");
    }
    writer.text(message);
    if (!explanation.empty()) {
        writer.raw(" [").text(explanation).raw("]");
    }
    writer.raw("\"");
    // The SDK's tool runner asks for a thread first and knows by this code that it has to do without.
    if (failure.kind == KIRO_FAIL_UNSUPPORTED && param == "thread") {
        writer.raw(R"(,"details":{"error_code":"thread_unsupported_request","unsupported":[]})");
    }
    writer.raw("}");
    if (!request_id.empty()) {
        writer.raw(R"(,"request_id":")").text(request_id).raw("\"");
    }
    writer.raw("}");
    return writer.size();
}

} // namespace kiro::anthropic
