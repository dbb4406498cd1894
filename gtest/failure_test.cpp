#include "kiro/kiro.h"

#include <gtest/gtest.h>
#include <map>
#include <set>
#include <simdjson.h>
#include <string>

namespace {

kiro_failure failure_of(kiro_failure_kind kind, const char *message) {
    kiro_failure f;
    kiro_failure_set(&f, kind, "%s", message);
    return f;
}

std::string body_of(kiro_api api, const kiro_failure &f, std::string_view id = "req_1") {
    char buffer[2048];
    const size_t n = kiro_failure_body(api, &f, {id.data(), id.size()}, buffer, sizeof(buffer));
    return std::string(buffer, n);
}

struct Error {
    std::string type, code, param, message;
};

Error parse(const std::string &body) {
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    Error e;
    if (parser.parse(body).get(doc) != simdjson::SUCCESS) {
        ADD_FAILURE() << "not JSON: " << body;
        return e;
    }
    const auto text = [&](const char *key, std::string &to) {
        std::string_view value;
        if (doc["error"][key].get(value) == simdjson::SUCCESS) {
            to = value;
        }
    };
    text("type", e.type);
    text("code", e.code);
    text("param", e.param);
    text("message", e.message);
    return e;
}

TEST(FailureSet, FormatsAndResetsEverything) {
    kiro_failure f;
    memset(&f, 0x55, sizeof(f));
    kiro_failure_set(&f, KIRO_FAIL_TOO_LARGE, "more than %d bytes", 12);
    EXPECT_STREQ(f.message, "more than 12 bytes");
    EXPECT_EQ(f.kind, KIRO_FAIL_TOO_LARGE);
    EXPECT_EQ(f.retry, KIRO_RETRY_NEVER);
    EXPECT_EQ(f.upstream_status, 0);
    EXPECT_EQ(f.retry_after_ms, 0u);
    EXPECT_STREQ(f.param, "");
}

TEST(FailureSet, CutsBetweenCharacters) {
    for (int lead = 0; lead < 4; ++lead) {
        std::string text(lead, 'a');
        while (text.size() < 600) {
            text += "\xF0\x9F\x99\x82";
        }
        const kiro_failure f = failure_of(KIRO_FAIL_INTERNAL, text.c_str());
        const size_t n = strlen(f.message);
        EXPECT_TRUE(simdjson::validate_utf8(f.message, n));
        EXPECT_GT(n, sizeof(f.message) - 8);
    }
}

TEST(FailureSet, InvalidUtf8AndControlsNeverReachAClient) {
    const kiro_failure f = failure_of(KIRO_FAIL_INTERNAL, "a\xFF\x80\nb\x7F");
    EXPECT_STREQ(f.message, "a?? b ");
}

TEST(FailureName, EveryKindHasItsOwn) {
    std::set<std::string> names;
    for (int k = 0; k < KIRO_FAIL_MAX; ++k) {
        names.insert(kiro_failure_name(static_cast<kiro_failure_kind>(k)));
    }
    EXPECT_EQ(names.size(), static_cast<size_t>(KIRO_FAIL_MAX));
    EXPECT_STREQ(kiro_failure_name(KIRO_FAIL_RATE_LIMITED), "rate_limited");
}

struct Row {
    kiro_failure_kind kind;
    int openai;
    const char *type;
    const char *code;
    int anthropic;
    const char *anthropic_type;
};

const Row kRows[] = {
    {KIRO_FAIL_INVALID_JSON, 400, "invalid_request_error", "", 400, "invalid_request_error"},
    {KIRO_FAIL_INVALID_REQUEST, 400, "invalid_request_error", "invalid_value", 400, "invalid_request_error"},
    {KIRO_FAIL_UNSUPPORTED, 400, "invalid_request_error", "unsupported_value", 400, "invalid_request_error"},
    {KIRO_FAIL_TOO_LARGE, 413, "invalid_request_error", "request_too_large", 413, "request_too_large"},
    {KIRO_FAIL_UNAUTHENTICATED, 401, "invalid_request_error", "invalid_api_key", 401, "authentication_error"},
    {KIRO_FAIL_FORBIDDEN, 403, "invalid_request_error", "", 403, "permission_error"},
    {KIRO_FAIL_NOT_FOUND, 404, "invalid_request_error", "unknown_url", 404, "not_found_error"},
    {KIRO_FAIL_NOT_BUILT, 501, "invalid_request_error", "not_implemented", 501, "api_error"},
    {KIRO_FAIL_MODEL_NOT_FOUND, 404, "invalid_request_error", "model_not_found", 404, "not_found_error"},
    {KIRO_FAIL_ITEM_NOT_FOUND, 404, "invalid_request_error", "", 404, "not_found_error"},
    {KIRO_FAIL_RESPONSE_NOT_FOUND, 400, "invalid_request_error", "previous_response_not_found", 404,
     "not_found_error"},
    {KIRO_FAIL_CONTEXT_OVERFLOW, 400, "invalid_request_error", "context_length_exceeded", 400,
     "invalid_request_error"},
    {KIRO_FAIL_TOO_MANY_REQUESTS, 429, "requests", "rate_limit_exceeded", 429, "rate_limit_error"},
    {KIRO_FAIL_BUDGET, 429, "tokens", "rate_limit_exceeded", 429, "rate_limit_error"},
    {KIRO_FAIL_BUSY, 429, "requests", "rate_limit_exceeded", 429, "rate_limit_error"},
    {KIRO_FAIL_RATE_LIMITED, 429, "requests", "rate_limit_exceeded", 429, "rate_limit_error"},
    {KIRO_FAIL_QUOTA, 429, "insufficient_quota", "insufficient_quota", 402, "billing_error"},
    {KIRO_FAIL_OVERLOADED, 503, "server_error", "server_is_overloaded", 529, "overloaded_error"},
    {KIRO_FAIL_AUTH_EXPIRED, 502, "server_error", "", 502, "api_error"},
    {KIRO_FAIL_LOGIN_REQUIRED, 502, "server_error", "", 502, "api_error"},
    {KIRO_FAIL_ACCESS_DENIED, 403, "invalid_request_error", "permission_denied", 403, "permission_error"},
    {KIRO_FAIL_SUSPENDED, 403, "invalid_request_error", "permission_denied", 403, "permission_error"},
    {KIRO_FAIL_UPSTREAM_REFUSED, 400, "invalid_request_error", "", 400, "invalid_request_error"},
    {KIRO_FAIL_UPSTREAM_ERROR, 502, "server_error", "", 502, "api_error"},
    {KIRO_FAIL_UPSTREAM_TIMEOUT, 504, "server_error", "timeout", 504, "timeout_error"},
    {KIRO_FAIL_UNAVAILABLE, 503, "server_error", "", 503, "api_error"},
    {KIRO_FAIL_INTERNAL, 500, "server_error", "", 500, "api_error"},
};

TEST(FailureTables, StatusTypeAndCode) {
    for (const Row &row : kRows) {
        SCOPED_TRACE(kiro_failure_name(row.kind));
        const kiro_failure f = failure_of(row.kind, "A \"quoted\" \\ sentence.");
        EXPECT_EQ(kiro_failure_status(KIRO_API_OPENAI_CHAT, row.kind), row.openai);
        EXPECT_EQ(kiro_failure_status(KIRO_API_OPENAI_RESPONSES, row.kind), row.openai);
        EXPECT_EQ(kiro_failure_status(KIRO_API_ANTHROPIC, row.kind), row.anthropic);
        const Error openai = parse(body_of(KIRO_API_OPENAI_CHAT, f));
        EXPECT_EQ(openai.type, row.type);
        EXPECT_EQ(openai.code, row.code);
        EXPECT_NE(openai.message.find("A \"quoted\" \\ sentence."), std::string::npos);
        EXPECT_EQ(parse(body_of(KIRO_API_ANTHROPIC, f)).type, row.anthropic_type);
        if (row.kind != KIRO_FAIL_CONTEXT_OVERFLOW) {
            EXPECT_EQ(body_of(KIRO_API_OPENAI_RESPONSES, f), body_of(KIRO_API_OPENAI_CHAT, f));
        }
    }
}

TEST(FailureBody, ExactShapes) {
    kiro_failure f = failure_of(KIRO_FAIL_INVALID_REQUEST, "must be a string");
    snprintf(f.param, sizeof(f.param), "messages[2].content");
    EXPECT_EQ(body_of(KIRO_API_OPENAI_CHAT, f),
              R"({"error":{"message":"must be a string","type":"invalid_request_error",)"
              R"("param":"messages[2].content","code":"invalid_value"}})");
    EXPECT_EQ(body_of(KIRO_API_ANTHROPIC, f, "req_7"),
              R"({"type":"error","error":{"type":"invalid_request_error",)"
              R"("message":"messages[2].content: must be a string"},"request_id":"req_7"})");
    EXPECT_EQ(body_of(KIRO_API_ANTHROPIC, failure_of(KIRO_FAIL_INTERNAL, "x"), ""),
              R"({"type":"error","error":{"type":"api_error","message":"x"}})");
    EXPECT_EQ(body_of(KIRO_API_OPENAI_CHAT, failure_of(KIRO_FAIL_INTERNAL, "x")),
              R"({"error":{"message":"x","type":"server_error","param":null,"code":null}})");
}

TEST(FailureBody, AThreadIsRefusedSoThatTheSdkRepeatsWithoutOne) {
    kiro_failure f = failure_of(KIRO_FAIL_UNSUPPORTED, "thread: threads are not supported");
    snprintf(f.param, sizeof(f.param), "thread");
    EXPECT_EQ(
        body_of(KIRO_API_ANTHROPIC, f, "req_7"),
        R"({"type":"error","error":{"type":"invalid_request_error",)"
        R"("message":"thread: threads are not supported",)"
        R"("details":{"error_code":"thread_unsupported_request","unsupported":[]}},"request_id":"req_7"})");
}

TEST(FailureBody, ContextOverflowHasThePhraseClientsLookFor) {
    const kiro_failure f = failure_of(KIRO_FAIL_CONTEXT_OVERFLOW, "no room");
    EXPECT_EQ(parse(body_of(KIRO_API_ANTHROPIC, f)).message, "prompt is too long: no room");
    const Error openai = parse(body_of(KIRO_API_OPENAI_CHAT, f));
    EXPECT_NE(openai.message.find("maximum context length"), std::string::npos);
    EXPECT_EQ(openai.param, "messages");
    const Error responses = parse(body_of(KIRO_API_OPENAI_RESPONSES, f));
    EXPECT_EQ(responses.message, openai.message);
    EXPECT_EQ(responses.param, "input");
}

TEST(FailureBody, TheLongestFits) {
    kiro_failure f = failure_of(KIRO_FAIL_CONTEXT_OVERFLOW, std::string(600, '"').c_str());
    memset(f.param, '\\', sizeof(f.param) - 1);
    const std::string id(300, '"');
    for (kiro_api api : {KIRO_API_OPENAI_CHAT, KIRO_API_ANTHROPIC}) {
        const std::string body = body_of(api, f, id);
        EXPECT_GT(body.size(), 1200u);
        parse(body);
    }
}

TEST(FailureBody, NeverMoreThanCap) {
    const kiro_failure f = failure_of(KIRO_FAIL_INTERNAL, "some message");
    const std::string whole = body_of(KIRO_API_ANTHROPIC, f);
    std::string buffer(whole.size() + 1, '#');
    for (size_t cap = 0; cap <= whole.size(); ++cap) {
        buffer.assign(whole.size() + 1, '#');
        const size_t n = kiro_failure_body(KIRO_API_ANTHROPIC, &f, {"req_1", 5}, buffer.data(), cap);
        EXPECT_EQ(n, cap == whole.size() ? whole.size() : 0u);
        EXPECT_EQ(buffer[cap], '#');
    }
}

TEST(FailureOfStatus, KnownAndOther) {
    EXPECT_EQ(kiro_failure_of_status(401), KIRO_FAIL_UNAUTHENTICATED);
    EXPECT_EQ(kiro_failure_of_status(413), KIRO_FAIL_TOO_LARGE);
    EXPECT_EQ(kiro_failure_of_status(429), KIRO_FAIL_TOO_MANY_REQUESTS);
    EXPECT_EQ(kiro_failure_of_status(503), KIRO_FAIL_UNAVAILABLE);
    EXPECT_EQ(kiro_failure_of_status(418), KIRO_FAIL_INVALID_REQUEST);
    EXPECT_EQ(kiro_failure_of_status(599), KIRO_FAIL_INTERNAL);
}

} // namespace
