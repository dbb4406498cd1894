#include "core/kiro/errors.h"

#include "kiro/reply.h"

#include <ctime>
#include <gtest/gtest.h>
#include <string>

namespace {

kiro_failure upstream(int status, std::string_view body, std::string_view type = "",
                      std::string_view after = "") {
    kiro_failure f;
    kiro_upstream_failure(status, {type.data(), type.size()}, {after.data(), after.size()},
                          {body.data(), body.size()}, &f);
    return f;
}

struct Case {
    int status;
    const char *type;
    const char *body;
    kiro_failure_kind kind;
    kiro_retry retry;
};

const Case kCases[] = {
    // the login
    {401, "", "", KIRO_FAIL_AUTH_EXPIRED, KIRO_RETRY_REFRESH},
    {403, "", R"({"message":"The bearer token included in the request is invalid."})", KIRO_FAIL_AUTH_EXPIRED,
     KIRO_RETRY_REFRESH},
    {403, "AccessDeniedException", R"({"Message":"Invalid token"})", KIRO_FAIL_AUTH_EXPIRED,
     KIRO_RETRY_REFRESH},
    {400, "", R"({"message":"Invalid token"})", KIRO_FAIL_AUTH_EXPIRED, KIRO_RETRY_REFRESH},
    {400, "", R"({"message":"Invalid token '}' at offset 7"})", KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER},
    {400, "", R"({"Message":"The bearer token included in the request is invalid."})", KIRO_FAIL_AUTH_EXPIRED,
     KIRO_RETRY_REFRESH},
    {403, "", R"({"message":"The security token included in the request is expired"})",
     KIRO_FAIL_AUTH_EXPIRED, KIRO_RETRY_REFRESH},
    {400, "x#ExpiredTokenException:http://internal/", "", KIRO_FAIL_AUTH_EXPIRED, KIRO_RETRY_REFRESH},
    {403, "", R"({"message":"User is not authorized to make this call."})", KIRO_FAIL_ACCESS_DENIED,
     KIRO_RETRY_PROFILE},
    {403, "", "<html><body>Request blocked.</body></html>", KIRO_FAIL_ACCESS_DENIED, KIRO_RETRY_NEVER},
    {403, "", R"({"__type":"x#AccessDeniedException","reason":"TEMPORARILY_SUSPENDED","message":"token"})",
     KIRO_FAIL_SUSPENDED, KIRO_RETRY_NEVER},
    {403, "", R"({"message":"Your account is locked"})", KIRO_FAIL_SUSPENDED, KIRO_RETRY_NEVER},
    {423, "", "", KIRO_FAIL_SUSPENDED, KIRO_RETRY_NEVER},
    {403, "", R"({"message":"Suspended because of suspicious activity."})", KIRO_FAIL_SUSPENDED,
     KIRO_RETRY_NEVER},
    {403, "", R"({"message":"Suspicious activity was found; temporary limits hold, nothing is suspended."})",
     KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_NEVER},
    {403, "", R"({"reason":"FEATURE_NOT_SUPPORTED"})", KIRO_FAIL_ACCESS_DENIED, KIRO_RETRY_NEVER},
    // limits
    {402, "", "", KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER},
    {402, "ServiceQuotaExceededException", R"({"reason":"OVERAGE_REQUEST_LIMIT_EXCEEDED"})", KIRO_FAIL_QUOTA,
     KIRO_RETRY_NEVER},
    {400, "", R"({"reason":"MONTHLY_REQUEST_COUNT"})", KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER},
    {429, "", R"({"reason":"MONTHLY_REQUEST_COUNT"})", KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER},
    {429, "", "text with MONTHLY_REQUEST_COUNT in it", KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER},
    {500, "", "text with MONTHLY_REQUEST_COUNT in it", KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_BACKOFF},
    {429, "", "", KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_BACKOFF},
    {429, "ValidationException", "{}", KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_BACKOFF},
    {429, "", R"({"reason":"USER_REQUEST_RATE_EXCEEDED"})", KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_BACKOFF},
    {429, "", R"({"message":"Suspicious activity; temporary limits"})", KIRO_FAIL_RATE_LIMITED,
     KIRO_RETRY_NEVER},
    {429, "", R"({"reason":"INSUFFICIENT_MODEL_CAPACITY"})", KIRO_FAIL_OVERLOADED, KIRO_RETRY_BACKOFF},
    {500, "",
     R"({"message":"Encountered unexpectedly high load when processing the request, please try again."})",
     KIRO_FAIL_OVERLOADED, KIRO_RETRY_BACKOFF},
    {500, "", R"({"reason":"MODEL_TEMPORARILY_UNAVAILABLE"})", KIRO_FAIL_OVERLOADED, KIRO_RETRY_BACKOFF},
    // the request
    {400, "", R"({"message":"Input is too long."})", KIRO_FAIL_CONTEXT_OVERFLOW, KIRO_RETRY_NEVER},
    {400, "", R"({"reason":"CONTENT_LENGTH_EXCEEDS_THRESHOLD"})", KIRO_FAIL_CONTEXT_OVERFLOW,
     KIRO_RETRY_NEVER},
    {400, "", R"({"message":"Improperly formed request.","reason":null})", KIRO_FAIL_UPSTREAM_REFUSED,
     KIRO_RETRY_NEVER},
    {400, "", R"({"reason":"INVALID_MODEL_ID"})", KIRO_FAIL_MODEL_NOT_FOUND, KIRO_RETRY_NEVER},
    {400, "", R"({"reason":"TOOL_DUPLICATE"})", KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER},
    {400, "", R"({"message":"Invalid tool use format."})", KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_ONCE},
    {400, "", R"({"message":"profileArn is required for this request."})", KIRO_FAIL_UPSTREAM_REFUSED,
     KIRO_RETRY_PROFILE},
    {400, "", R"({"message":"Invalid profileArn."})", KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_PROFILE},
    {403, "", R"({"message":"User is not authorized to make this call.","reason":"FEATURE_NOT_SUPPORTED"})",
     KIRO_FAIL_ACCESS_DENIED, KIRO_RETRY_NEVER},
    {400, "", R"({"reason":"SOMETHING_NEW"})", KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER},
    {400, "com.amazon.aws.codewhisperer#ThrottlingException:http://x/", "", KIRO_FAIL_RATE_LIMITED,
     KIRO_RETRY_BACKOFF},
    {413, "", "<html>", KIRO_FAIL_TOO_LARGE, KIRO_RETRY_NEVER},
    {418, "", "", KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER},
    // the service
    {500, "", "", KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_BACKOFF},
    {502, "", "<html>502 Bad Gateway</html>", KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_BACKOFF},
    {503, "", "", KIRO_FAIL_UNAVAILABLE, KIRO_RETRY_BACKOFF},
    {504, "", "", KIRO_FAIL_UPSTREAM_TIMEOUT, KIRO_RETRY_BACKOFF},
    {408, "", "", KIRO_FAIL_UPSTREAM_TIMEOUT, KIRO_RETRY_BACKOFF},
    {599, "", "", KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_BACKOFF},
    {302, "", "", KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER},
    {204, "", "", KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER},
    {404, "", "<html>", KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_NEVER},
    {405, "", "", KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_NEVER},
    {409, "ConflictException", R"({"reason":"CUSTOMER_KMS_KEY_DISABLED"})", KIRO_FAIL_ACCESS_DENIED,
     KIRO_RETRY_NEVER},
    // 200 and no stream
    {200, "", "<html>Welcome; the bearer token included in the request</html>", KIRO_FAIL_UPSTREAM_PROTOCOL,
     KIRO_RETRY_NEVER},
    {200, "", R"({"result":"ok"})", KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER},
    {200, "", "", KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER},
    {200, "", R"({"__type":"x#ThrottlingException"})", KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_BACKOFF},
    {200, "", R"({"reason":"MONTHLY_REQUEST_COUNT"})", KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER},
    {200, "", R"({"__type":"x#SomethingNew"})", KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER},
    {200, "ServiceUnavailableException", "", KIRO_FAIL_UNAVAILABLE, KIRO_RETRY_BACKOFF},
    // a body that was cut behind the reason
    {429, "", R"({"reason":"DAILY_REQUEST_COUNT","mess)", KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER},
};

TEST(KiroErrors, Classes) {
    for (const Case &c : kCases) {
        SCOPED_TRACE(std::to_string(c.status) + " " + c.type + " " + c.body);
        const kiro_failure f = upstream(c.status, c.body, c.type);
        EXPECT_STREQ(kiro_failure_name(f.kind), kiro_failure_name(c.kind));
        EXPECT_EQ(f.retry, c.retry);
        EXPECT_EQ(f.upstream_status, c.status);
        EXPECT_STRNE(f.message, "");
    }
}

// What the account is in for; a client's own fault never says anything about it.
TEST(KiroErrors, States) {
    struct Row {
        int status;
        const char *type;
        std::string_view body;
        kiro_account_state state;
    };
    const Row rows[] = {
        {402, "", "", KIRO_ACCOUNT_EXHAUSTED},
        {402, "", R"({"reason":"CONVERSATION_LIMIT_EXCEEDED"})", KIRO_ACCOUNT_OK},
        {402, "", R"({"reason":"OVERAGE_REQUEST_LIMIT_EXCEEDED"})", KIRO_ACCOUNT_EXHAUSTED},
        {429, "", R"({"reason":"DAILY_REQUEST_COUNT"})", KIRO_ACCOUNT_EXHAUSTED},
        {400, "", R"({"reason":"MONTHLY_REQUEST_COUNT"})", KIRO_ACCOUNT_EXHAUSTED},
        {400, "", R"({"message":"the tool MONTHLY_REQUEST_COUNT is not valid"})", KIRO_ACCOUNT_OK},
        {400, "", R"({"message":"tool 'suspicious activity' is not valid"})", KIRO_ACCOUNT_OK},
        {400, "", R"({"message":"Input is too long."})", KIRO_ACCOUNT_OK},
        {400, "", R"({"message":"Improperly formed request."})", KIRO_ACCOUNT_OK},
        {400, "", R"({"reason":"INVALID_MODEL_ID"})", KIRO_ACCOUNT_OK},
        {413, "", "", KIRO_ACCOUNT_OK},
        {429, "", "", KIRO_ACCOUNT_THROTTLED},
        {429, "", R"({"reason":"INSUFFICIENT_MODEL_CAPACITY"})", KIRO_ACCOUNT_OK},
        {429, "", R"({"message":"suspicious activity; temporary limits"})", KIRO_ACCOUNT_LIMITED},
        {403, "", R"({"reason":"TEMPORARILY_SUSPENDED"})", KIRO_ACCOUNT_SUSPENDED},
        {403, "", R"({"message":"Your account is locked."})", KIRO_ACCOUNT_SUSPENDED},
        {423, "", "", KIRO_ACCOUNT_SUSPENDED},
        {403, "", R"({"message":"User is not authorized."})", KIRO_ACCOUNT_OK},
        {401, "", "", KIRO_ACCOUNT_OK},
        {500, "", "suspended", KIRO_ACCOUNT_OK},
        {0, "throttlingError", "{}", KIRO_ACCOUNT_THROTTLED},
        {0, "ServiceQuotaExceededException", "{}", KIRO_ACCOUNT_EXHAUSTED},
        {0, "error", R"({"reason":"MONTHLY_REQUEST_COUNT"})", KIRO_ACCOUNT_EXHAUSTED},
        {0, "validationError", R"({"message":"suspicious activity"})", KIRO_ACCOUNT_OK},
    };
    for (const Row &row : rows) {
        SCOPED_TRACE(std::to_string(row.status) + " " + row.type + " " + std::string(row.body));
        kiro_failure f;
        kiro::kiro::classify({.status = row.status,
                              .type = row.type,
                              .body = row.body,
                              .message = {},
                              .retry_after = {},
                              .now = 0},
                             f);
        EXPECT_EQ(f.account_state, row.state);
    }
}

TEST(KiroErrors, Lasts) {
    kiro_failure f = upstream(429, "", "", "7");
    EXPECT_EQ(f.retry_after_ms, 7000u);
    kiro_failure_lasts(&f, 2001);
    EXPECT_EQ(f.retry_after_ms, 2001u);
    EXPECT_STREQ(f.message, "Kiro limits the rate of requests of this account; try again in 3s.");

    f = upstream(402, "", "");
    const std::string words = f.message;
    kiro_failure_lasts(&f, 60000);
    EXPECT_EQ(f.retry_after_ms, 60000u);
    EXPECT_EQ(words, f.message);
}

TEST(KiroErrors, WhatAChangedRequestWouldHeal) {
    const auto change = [](int status, std::string_view body) {
        kiro_failure f;
        kiro::kiro::classify({.status = status,
                              .type = status == 0 ? "validationError" : "",
                              .body = body,
                              .message = {},
                              .retry_after = {},
                              .now = 0},
                             f);
        EXPECT_EQ(f.kind, KIRO_FAIL_UPSTREAM_REFUSED) << body;
        EXPECT_EQ(f.retry, f.change == KIRO_CHANGE_NONE ? KIRO_RETRY_NEVER : KIRO_RETRY_CHANGED) << body;
        return f.change;
    };
    for (int status : {400, 0}) {
        EXPECT_EQ(change(status, R"({"reason":"THINKING_SIGNATURE_INVALID","message":"x"})"),
                  KIRO_CHANGE_DROP_REASONING);
        for (const char *reason : {R"(,"reason":"REQUEST_BODY_INVALID")", R"(,"reason":null)", ""}) {
            for (const char *message :
                 {"additionalModelRequestFields is not supported for this model",
                  "property 'x' is not defined in the schema and the schema does not allow additional "
                  "properties",
                  "property 'output_config.effort' must be one of the values: low, high"}) {
                const std::string body = std::string(R"({"message":")") + message + '"' + reason + '}';
                EXPECT_EQ(change(status, body), KIRO_CHANGE_DROP_FIELDS) << body;
            }
        }
        EXPECT_EQ(
            change(status, R"({"reason":"REQUEST_BODY_INVALID","message":"Improperly formed request."})"),
            KIRO_CHANGE_NONE);
        EXPECT_EQ(change(status, R"({"reason":"TOOL_SCHEMA_INVALID","message":"property 'x' is odd"})"),
                  KIRO_CHANGE_NONE);
    }
    EXPECT_STREQ(kiro_change_name(KIRO_CHANGE_DROP_FIELDS), "drop_fields");
    EXPECT_STREQ(kiro_change_name(KIRO_CHANGE_DROP_REASONING), "drop_reasoning");
}

TEST(KiroErrors, WhatNoRepetitionHeals) {
    struct Row {
        int status;
        const char *body;
        bool final;
    };
    for (const Row &row : {
             Row{402, "", true},
             {423, "", true},
             {401, "", true}, // it was refreshed by then
             {404, "", true},
             {302, "", true},
             {200, "<html>", true},
             {429, R"({"message":"suspicious activity"})", true},
             {429, "", false},
             {429, R"({"retryAfterMilliseconds":9000000})", false},
             {500, "", false},
             {503, "", false},
             {400, "", false}, // a status that nobody repeats
         }) {
        const kiro_failure f = upstream(row.status, row.body);
        EXPECT_EQ(kiro_failure_final(&f) != 0, row.final) << row.status << ' ' << row.body;
    }
}

TEST(KiroErrors, WordsThatClientsActOn) {
    const auto message = [](int status, std::string_view body, std::string_view after = "") {
        return std::string(upstream(status, body, "", after).message);
    };
    EXPECT_NE(message(429, "", "7").find("try again in 7s"), std::string::npos);
    EXPECT_NE(message(429, R"({"retryAfterMilliseconds":1200})").find("try again in 2s"), std::string::npos);
    EXPECT_NE(message(400, R"({"reason":"THINKING_SIGNATURE_INVALID"})").find("signature in thinking block"),
              std::string::npos);
    EXPECT_NE(message(400, R"({"reason":"IMAGE_FORMAT_UNSUPPORTED"})").find("ould not process image"),
              std::string::npos);
    EXPECT_NE(message(400, R"({"reason":"IMAGE_SIZE_EXCEEDED"})").find("image exceeds"), std::string::npos);
    EXPECT_NE(message(400, R"({"reason":"DOCUMENT_MODEL_NOT_SUPPORTED"})").find("does not support PDF"),
              std::string::npos);
}

TEST(KiroErrors, UpstreamTextIsNotEchoed) {
    const kiro_failure f =
        upstream(400, R"({"message":"arn:aws:codewhisperer:us-east-1:123456789012:profile/X"})");
    EXPECT_EQ(std::string_view(f.message).find("arn:"), std::string_view::npos);
    EXPECT_EQ(std::string_view(f.message).find("1234"), std::string_view::npos);
}

TEST(KiroErrors, ExceptionName) {
    using kiro::kiro::exception_name;
    EXPECT_EQ(exception_name("a.b#ThrottlingException"), "ThrottlingException");
    EXPECT_EQ(exception_name("ThrottlingException:http://internal/x#y"), "ThrottlingException");
    EXPECT_EQ(exception_name("a#b#C:d"), "C");
    EXPECT_EQ(exception_name(""), "");
}

TEST(KiroErrors, RetryAfter) {
    EXPECT_EQ(upstream(429, "", "", "7").retry_after_ms, 7000u);
    EXPECT_EQ(upstream(429, "", "", " 1.5 ").retry_after_ms, 1500u);
    EXPECT_EQ(upstream(429, "", "", "-5").retry_after_ms, 0u);
    EXPECT_EQ(upstream(429, "", "", "soon").retry_after_ms, 0u);
    EXPECT_EQ(upstream(429, "", "", "99999999999999999999").retry_after_ms, 86400000u);
    EXPECT_EQ(upstream(429, R"({"retryAfterMilliseconds":2500})").retry_after_ms, 2500u);
    EXPECT_EQ(upstream(429, R"({"retryAfterMilliseconds":-1})").retry_after_ms, 0u);
    EXPECT_EQ(upstream(429, R"({"retryAfterMilliseconds":1e300})", "", "3").retry_after_ms, 3000u);

    char date[64];
    const std::time_t then = std::time(nullptr) + 100;
    std::tm parts;
    std::strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &parts));
    const auto wait = upstream(429, "", "", date).retry_after_ms;
    EXPECT_GE(wait, 97000u);
    EXPECT_LE(wait, 100000u);
    EXPECT_EQ(upstream(429, "", "", "Sun, 06 Nov 1994 08:49:37 GMT").retry_after_ms, 0u);

    kiro_failure f;
    kiro::kiro::classify({.status = 429,
                          .type = {},
                          .body = {},
                          .message = {},
                          .retry_after = "Sun, 06 Nov 1994 08:49:37 GMT",
                          .now = 784111777 - 30},
                         f);
    EXPECT_EQ(f.retry_after_ms, 30000u);
}

TEST(KiroErrors, InStream) {
    const auto kind = [](std::string_view type, std::string_view body, std::string_view message = "") {
        kiro_failure f;
        kiro::kiro::classify(
            {.status = 0, .type = type, .body = body, .message = message, .retry_after = {}, .now = 0}, f);
        return f.kind;
    };
    EXPECT_EQ(kind("error", "{}"), KIRO_FAIL_UPSTREAM_ERROR);
    EXPECT_EQ(kind("throttlingError", "{}"), KIRO_FAIL_RATE_LIMITED);
    EXPECT_EQ(kind("throttlingError", R"({"reason":"INSUFFICIENT_MODEL_CAPACITY"})"), KIRO_FAIL_OVERLOADED);
    EXPECT_EQ(kind("validationError", "{}"), KIRO_FAIL_UPSTREAM_REFUSED);
    EXPECT_EQ(kind("serviceUnavailableError", "{}"), KIRO_FAIL_UNAVAILABLE);
    EXPECT_EQ(kind("ContentLengthExceededException", "{}"), KIRO_FAIL_CONTEXT_OVERFLOW);
    EXPECT_EQ(kind("validationError", R"({"__type":"x#ThrottlingException"})"), KIRO_FAIL_RATE_LIMITED);
    EXPECT_EQ(kind("SomethingNew", ""), KIRO_FAIL_UPSTREAM_ERROR);
    EXPECT_EQ(kind("ThrottlingException", "{}"), KIRO_FAIL_RATE_LIMITED);
    EXPECT_EQ(kind("InternalServerException", R"({"reason":"MODEL_TEMPORARILY_UNAVAILABLE"})"),
              KIRO_FAIL_OVERLOADED);
    EXPECT_EQ(kind("ModelStreamErrorException", "{}"), KIRO_FAIL_UPSTREAM_ERROR);
    // a reason is more exact than any name, a __type than the frame's header
    EXPECT_EQ(kind("throttlingError", R"({"__type":"ValidationException","reason":"PROMPT_TOO_LONG"})"),
              KIRO_FAIL_CONTEXT_OVERFLOW);
    EXPECT_EQ(kind("error", R"({"__type":"ThrottlingException","reason":"SOMETHING_NEW"})"),
              KIRO_FAIL_RATE_LIMITED);
    EXPECT_EQ(kind("500", "", "Encountered unexpectedly high load"), KIRO_FAIL_OVERLOADED);
}

} // namespace
