#include "core/openai_chat/error.h"

#include "core/json/fixed_writer.h"

#include <array>

namespace kiro::openai_chat {
namespace {

struct Shape {
    kiro_failure_kind kind;
    int status;
    std::string_view type;
    std::string_view code;  // empty: null
    std::string_view param; // for failures that carry none
    std::string_view lead;  // phrase that clients look for in the message
};

constexpr std::string_view kRequest = "invalid_request_error";
constexpr std::string_view kServer = "server_error";
constexpr std::string_view kPrompt = "messages"; // stands for what the dialect calls it

constexpr std::array kShapes{
    Shape{KIRO_FAIL_INVALID_JSON, 400, kRequest, "", "", ""},
    Shape{KIRO_FAIL_INVALID_REQUEST, 400, kRequest, "invalid_value", "", ""},
    Shape{KIRO_FAIL_UNSUPPORTED, 400, kRequest, "unsupported_value", "", ""},
    Shape{KIRO_FAIL_TOO_LARGE, 413, kRequest, "request_too_large", "", ""},
    Shape{KIRO_FAIL_UNAUTHENTICATED, 401, kRequest, "invalid_api_key", "", ""},
    Shape{KIRO_FAIL_FORBIDDEN, 403, kRequest, "", "", ""},
    Shape{KIRO_FAIL_NOT_FOUND, 404, kRequest, "unknown_url", "", ""},
    Shape{KIRO_FAIL_METHOD, 405, kRequest, "method_not_supported", "", ""},
    Shape{KIRO_FAIL_NOT_BUILT, 501, kRequest, "not_implemented", "", ""},
    Shape{KIRO_FAIL_MODEL_NOT_FOUND, 404, kRequest, "model_not_found", "model", ""},
    Shape{KIRO_FAIL_ITEM_NOT_FOUND, 404, kRequest, "", "input", ""},
    Shape{KIRO_FAIL_RESPONSE_NOT_FOUND, 400, kRequest, "previous_response_not_found", "previous_response_id",
          ""},
    Shape{KIRO_FAIL_CONTEXT_OVERFLOW, 400, kRequest, "context_length_exceeded", kPrompt,
          "This model's maximum context length is exceeded"},
    Shape{KIRO_FAIL_CLIENT_TIMEOUT, 408, kRequest, "timeout", "", ""},
    Shape{KIRO_FAIL_TOO_MANY_REQUESTS, 429, "requests", "rate_limit_exceeded", "", ""},
    Shape{KIRO_FAIL_BUDGET, 429, "tokens", "rate_limit_exceeded", "", ""},
    Shape{KIRO_FAIL_BUSY, 429, "requests", "rate_limit_exceeded", "", ""},
    Shape{KIRO_FAIL_RATE_LIMITED, 429, "requests", "rate_limit_exceeded", "", ""},
    Shape{KIRO_FAIL_QUOTA, 429, "insufficient_quota", "insufficient_quota", "", ""},
    Shape{KIRO_FAIL_OVERLOADED, 503, kServer, "server_is_overloaded", "", ""},
    Shape{KIRO_FAIL_AUTH_EXPIRED, 502, kServer, "", "", ""},
    Shape{KIRO_FAIL_LOGIN_REQUIRED, 502, kServer, "", "", ""},
    Shape{KIRO_FAIL_TOKEN_TIMEOUT, 504, kServer, "timeout", "", ""},
    Shape{KIRO_FAIL_ACCESS_DENIED, 403, kRequest, "permission_denied", "", ""},
    Shape{KIRO_FAIL_SUSPENDED, 403, kRequest, "permission_denied", "", ""},
    Shape{KIRO_FAIL_UPSTREAM_REFUSED, 400, kRequest, "", "", ""},
    Shape{KIRO_FAIL_UPSTREAM_ERROR, 502, kServer, "", "", ""},
    Shape{KIRO_FAIL_UPSTREAM_CONNECT, 502, kServer, "", "", ""},
    Shape{KIRO_FAIL_UPSTREAM_TLS, 502, kServer, "", "", ""},
    Shape{KIRO_FAIL_UPSTREAM_TIMEOUT, 504, kServer, "timeout", "", ""},
    Shape{KIRO_FAIL_UPSTREAM_CUT, 502, kServer, "", "", ""},
    Shape{KIRO_FAIL_UPSTREAM_PROTOCOL, 502, kServer, "", "", ""},
    Shape{KIRO_FAIL_UPSTREAM_EMPTY, 502, kServer, "", "", ""},
    Shape{KIRO_FAIL_UNAVAILABLE, 503, kServer, "", "", ""},
    Shape{KIRO_FAIL_INTERNAL, 500, kServer, "", "", ""},
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

std::size_t error_body(const kiro_failure &failure, std::string_view explanation, std::span<char> out,
                       std::string_view prompt) noexcept {
    const Shape &shape = shape_of(failure.kind);
    const std::string_view message = failure.message;
    const std::string_view usual = shape.param == kPrompt ? prompt : shape.param;
    const std::string_view param = failure.param;
    json::FixedWriter writer(out);

    writer.raw(R"({"error":{"message":")");
    if (!shape.lead.empty() && message.find("maximum context length") == message.npos) {
        writer.raw(shape.lead).raw(": ");
    }
    writer.text(message);
    if (!explanation.empty()) {
        writer.raw(" [").text(explanation).raw("]");
    }
    writer.raw(R"(","type":")").raw(shape.type).raw(R"(","param":)");
    writer.text_or_null(param.empty() ? usual : param);
    writer.raw(R"(,"code":)").text_or_null(shape.code).raw("}}");
    return writer.size();
}

} // namespace kiro::openai_chat
