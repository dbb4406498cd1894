#include "kiro/usage_limits.h"

#include <cmath>
#include <gtest/gtest.h>
#include <string>
#include <string_view>

namespace {

kiro_str str(std::string_view s) {
    return {s.data(), s.size()};
}

constexpr std::string_view whole =
    R"({"nextDateReset":1777593600,"daysUntilReset":12,"limits":[],)"
    R"("subscriptionInfo":{"subscriptionTitle":"KIRO PRO+","type":"Q_DEVELOPER_STANDALONE_PRO_PLUS"},)"
    R"("overageConfiguration":{"overageStatus":"DISABLED","overageLimit":null},)"
    R"("usageBreakdownList":[{"resourceType":"CREDIT","displayName":"Credit","unit":"INVOCATIONS","currentUsage":12,)"
    R"("currentUsageWithPrecision":12.34,"usageLimit":2000,"usageLimitWithPrecision":2000,"currentOverages":0,)"
    R"("overageCap":10000,"overageRate":0.04,"overageCharges":0,"currency":"USD","nextDateReset":1777593600,)"
    R"("freeTrialInfo":{"freeTrialStatus":"ACTIVE","currentUsage":3,"usageLimit":500,"freeTrialExpiry":1780000000},)"
    R"("bonuses":[{"bonusCode":"B-1","displayName":"Welcome","currentUsage":1,"usageLimit":50,)"
    R"("expiresAt":"2026-05-01T00:00:00Z","status":"ACTIVE"}]}],)"
    R"("userInfo":{"userId":"d-x.y","email":"someone@example.com"}})";

class Usage {
public:
    kiro_failure failure{};
    kiro_usage_limits limits{};

    kiro_status parse(std::string_view body, int status = 200, std::string_view type = {}) {
        return kiro_usage_parse(status, str(type), str(body), &limits, &failure);
    }
    std::string answer(bool stale = false, int64_t now = 1777000060500) const {
        const kiro_usage_view view{str("main"), &limits, 1777000000000, now, stale};
        kiro_failure f{};
        std::string out(kiro_usage_answer(&view, nullptr, 0, &f), '\0');
        EXPECT_EQ(kiro_usage_answer(&view, out.data(), out.size(), &f), out.size());
        return out;
    }
};

std::string request(const kiro_usage_query &query, kiro_failure *f) {
    std::string out(kiro_usage_request(&query, nullptr, 0, f), '\0');
    EXPECT_EQ(kiro_usage_request(&query, out.data(), out.size(), f), out.size());
    return out;
}

kiro_usage_query query_of(kiro_login login) {
    kiro_usage_query query{};
    query.login = login;
    query.token = str("a-token");
    query.host = str("management.example");
    return query;
}

TEST(UsageRequest, TheFormsOfTheOfficialClients) {
    kiro_failure f;
    auto query = query_of(KIRO_LOGIN_OIDC);
    std::string text = request(query, &f);
    EXPECT_TRUE(text.starts_with("POST / HTTP/1.1\r\nHost: management.example\r\n")) << text;
    EXPECT_NE(text.find("\r\nX-Amz-Target: KiroControlPlaneBearerService.GetUsageLimits\r\n"), text.npos);
    EXPECT_TRUE(
        text.ends_with("\r\n\r\n"
                       R"({"origin":"AI_EDITOR","resourceType":"AGENTIC_REQUEST","isEmailRequired":false})"))
        << text;
    query.wire = KIRO_WIRE_V2;
    query.profile_arn = str("arn:\"x");
    text = request(query, &f);
    EXPECT_TRUE(text.ends_with(
        R"({"origin":"KIRO_CLI","resourceType":"CREDIT","profileArn":"arn:\"x","isEmailRequired":false})"))
        << text;
}

TEST(UsageRequest, NothingHidesInIt) {
    kiro_failure f;
    auto query = query_of(KIRO_LOGIN_OIDC);
    query.token = str("a\r\nb");
    EXPECT_EQ(kiro_usage_request(&query, nullptr, 0, &f), 0u);
    EXPECT_EQ(f.kind, KIRO_FAIL_LOGIN_REQUIRED);
}

TEST(UsageLimits, Whole) {
    Usage u;
    ASSERT_EQ(u.parse(whole), KIRO_OK) << u.failure.message;
    EXPECT_STREQ(u.limits.subscription, "KIRO PRO+");
    EXPECT_STREQ(u.limits.overage, "DISABLED");
    EXPECT_TRUE(std::isnan(u.limits.overage_limit));
    EXPECT_EQ(u.limits.resets_at, 1777593600000);
    ASSERT_EQ(u.limits.nresources, 1u);
    const kiro_usage_resource &credit = u.limits.resources[0];
    EXPECT_STREQ(credit.type, "CREDIT");
    EXPECT_EQ(credit.used, 12.34);
    EXPECT_EQ(credit.limit, 2000);
    EXPECT_EQ(credit.overage_limit, 10000);
    EXPECT_EQ(credit.overage_rate, 0.04);
    ASSERT_EQ(credit.has_trial, 1u);
    EXPECT_EQ(credit.trial.limit, 500);
    EXPECT_EQ(credit.trial.expires_at, 1780000000000);
    ASSERT_EQ(credit.nbonuses, 1u);
    EXPECT_EQ(credit.bonuses[0].expires_at, 1777593600000);
}

TEST(UsageLimits, TheAnswer) {
    Usage u;
    ASSERT_EQ(u.parse(whole), KIRO_OK);
    EXPECT_EQ(
        u.answer(),
        R"({"object":"usage","account":"main",)"
        R"("subscription":{"title":"KIRO PRO+","type":"Q_DEVELOPER_STANDALONE_PRO_PLUS"},)"
        R"("overage":{"status":"DISABLED","limit":null},)"
        R"("resources":[{"type":"CREDIT","name":"Credit","unit":"INVOCATIONS","used":12.34,"limit":2000,"remaining":1987.66,)"
        R"("overage":{"used":0,"limit":10000,"rate":0.04,"charges":0,"currency":"USD"},)"
        R"("resets_at":1777593600,"resets_at_iso":"2026-05-01T00:00:00Z",)"
        R"("free_trial":{"name":null,"status":"ACTIVE","used":3,"limit":500,"expires_at":1780000000,)"
        R"("expires_at_iso":"2026-05-28T20:26:40Z"},)"
        R"("bonuses":[{"name":"Welcome","status":"ACTIVE","used":1,"limit":50,"expires_at":1777593600,)"
        R"("expires_at_iso":"2026-05-01T00:00:00Z"}]}],)"
        R"("resets_at":1777593600,"resets_at_iso":"2026-05-01T00:00:00Z",)"
        R"("fetched_at":1777000000,"fetched_at_iso":"2026-04-24T03:06:40Z","age":60,"stale":false})");
    EXPECT_NE(u.answer(true).find(R"("stale":true)"), std::string::npos);
    EXPECT_NE(u.answer(true, 1).find(R"("age":0)"), std::string::npos); // the clock went back
}

// Nothing of userInfo, whatever it is.
TEST(UsageLimits, NobodyIsNamed) {
    Usage u;
    ASSERT_EQ(u.parse(whole), KIRO_OK);
    const std::string text = u.answer();
    for (std::string_view secret : {"someone", "example.com", "d-x.y", "B-1"}) {
        EXPECT_EQ(text.find(secret), text.npos);
        const std::string_view bytes(reinterpret_cast<const char *>(&u.limits), sizeof(u.limits));
        EXPECT_EQ(bytes.find(secret), bytes.npos);
    }
}

TEST(UsageLimits, ThePreciseNumberWinsInAnyOrder) {
    for (
        std::string_view body :
        {R"({"usageBreakdownList":[{"resourceType":"C","currentUsage":1,"currentUsageWithPrecision":1.5}]})",
         R"({"usageBreakdownList":[{"resourceType":"C","currentUsageWithPrecision":1.5,"currentUsage":1}]})"}) {
        Usage u;
        ASSERT_EQ(u.parse(body), KIRO_OK);
        EXPECT_EQ(u.limits.resources[0].used, 1.5) << body;
    }
    Usage u;
    ASSERT_EQ(
        u.parse(
            R"({"usageBreakdownList":[{"resourceType":"C","currentUsage":1,"currentUsageWithPrecision":null}]})"),
        KIRO_OK);
    EXPECT_EQ(u.limits.resources[0].used, 1);
}

TEST(UsageLimits, WhatIsMissingIsNull) {
    Usage u;
    ASSERT_EQ(
        u.parse(R"({"nextDateReset":null,"subscriptionInfo":7,"usageBreakdownList":[null,[],{"unit":"x"},)"
                R"({"resourceType":"CREDIT","currentUsage":"many","usageLimit":1e300,"nextDateReset":-5,)"
                R"("bonuses":[1,null],"freeTrialInfo":"no"}]})"),
        KIRO_OK);
    ASSERT_EQ(u.limits.nresources, 1u);
    const std::string text = u.answer();
    EXPECT_NE(text.find(R"("used":null,"limit":null,"remaining":null)"), text.npos) << text;
    EXPECT_NE(text.find(R"("resets_at":null,"resets_at_iso":null,"free_trial":null,"bonuses":[])"), text.npos)
        << text;
    EXPECT_NE(text.find(R"("subscription":{"title":null,"type":null})"), text.npos) << text;
}

TEST(UsageLimits, OtherForms) {
    Usage u;
    ASSERT_EQ(
        u.parse(R"({"nextDateReset":"2026-05-01T00:00:00Z","usageBreakdown":{"resourceType":"CREDIT"}})"),
        KIRO_OK);
    EXPECT_EQ(u.limits.resets_at, 1777593600000);
    EXPECT_EQ(u.limits.nresources, 1u);
    // The list has it, too.
    ASSERT_EQ(u.parse(R"({"usageBreakdownList":[{"resourceType":"A","usageLimit":1}],)"
                      R"("usageBreakdown":{"resourceType":"A","usageLimit":2}})"),
              KIRO_OK);
    ASSERT_EQ(u.limits.nresources, 1u);
    EXPECT_EQ(u.limits.resources[0].limit, 1);
    // Milliseconds, and a fraction of a second.
    ASSERT_EQ(u.parse(R"({"nextDateReset":1777593600000})"), KIRO_OK);
    EXPECT_EQ(u.limits.resets_at, 1777593600000);
    ASSERT_EQ(u.parse(R"({"nextDateReset":1.7775936E9})"), KIRO_OK);
    EXPECT_EQ(u.limits.resets_at, 1777593600000);
    ASSERT_EQ(u.parse(R"({"subscriptionInfo":{"subscriptionTitle":"KIRO FREE"}})"), KIRO_OK);
}

TEST(UsageLimits, MoreAndLongerThanThereIsRoom) {
    std::string body = R"({"usageBreakdownList":[)";
    for (int i = 0; i < 40; i++) {
        body += std::string(i > 0 ? "," : "") + R"({"resourceType":"T)" + std::to_string(i) +
                R"(","displayName":")" + std::string(31, 'x') + std::string(20, '\xc3') + R"(","bonuses":[)";
        for (int k = 0; k < 20; k++)
            body += std::string(k > 0 ? "," : "") + R"({"displayName":"\u00e4\n\u0000"})";
        body += "]}";
    }
    body += "]}";
    for (size_t at = body.find('\xc3'); at != body.npos; at = body.find('\xc3', at + 2))
        body.insert(at + 1, 1, '\xa4');
    Usage u;
    ASSERT_EQ(u.parse(body), KIRO_OK) << u.failure.message;
    EXPECT_EQ(u.limits.nresources, KIRO_USAGE_RESOURCES);
    EXPECT_EQ(u.limits.resources[0].nbonuses, KIRO_USAGE_BONUSES);
    const std::string name = u.limits.resources[0].name;
    EXPECT_EQ(name.size(), 63u);
    EXPECT_TRUE(name.ends_with("\xc3\xa4"));
    EXPECT_EQ(u.answer().find('\n'), std::string::npos);
}

TEST(UsageLimits, WhenItComesBack) {
    Usage u;
    EXPECT_EQ(kiro_usage_resets_at(&u.limits, 1), 0);
    ASSERT_EQ(u.parse(whole), KIRO_OK);
    EXPECT_EQ(kiro_usage_resets_at(&u.limits, 1777000000000), 0); // there is something left
    u.limits.resources[0].used = 2000;
    EXPECT_EQ(kiro_usage_resets_at(&u.limits, 1777593599999), 1777593600000);
    EXPECT_EQ(kiro_usage_resets_at(&u.limits, 1777593600000), 0);
    // Of what is used up, the last; where it has no time of its own, that of all.
    ASSERT_EQ(u.parse(R"({"nextDateReset":250,"usageBreakdownList":[)"
                      R"({"resourceType":"A","currentUsage":5,"usageLimit":5,"nextDateReset":200},)"
                      R"({"resourceType":"B","currentUsage":1,"usageLimit":5,"nextDateReset":300},)"
                      R"({"resourceType":"C","currentUsage":6,"usageLimit":5},)"
                      R"({"resourceType":"D","nextDateReset":400},)"
                      R"({"resourceType":"E","currentUsage":0,"usageLimit":0,"nextDateReset":500}]})"),
              KIRO_OK);
    EXPECT_EQ(kiro_usage_resets_at(&u.limits, 1000), 250000);
    // Overage was bought, and is used up itself.
    for (const auto &[overage, at] : {std::pair{"1", 0}, {"9", 200000}}) {
        ASSERT_EQ(
            u.parse(
                std::string(R"({"overageConfiguration":{"overageStatus":"ENABLED"},"usageBreakdownList":[)") +
                R"({"resourceType":"A","currentUsage":5,"usageLimit":5,"overageCap":9,"currentOverages":)" +
                overage + R"(,"nextDateReset":200}]})"),
            KIRO_OK);
        EXPECT_EQ(kiro_usage_resets_at(&u.limits, 1000), at);
    }
}

struct Refused {
    int status;
    const char *type;
    const char *body;
    kiro_status result;
    kiro_failure_kind kind;
};

TEST(UsageLimits, Refusals) {
    const Refused table[] = {
        {400, "AccessDeniedException",
         R"({"message":"The bearer token included in the request is invalid."})", KIRO_ERROR,
         KIRO_FAIL_AUTH_EXPIRED},
        {401, "", "", KIRO_ERROR, KIRO_FAIL_AUTH_EXPIRED},
        {403, "AccessDeniedException", R"({"message":"Invalid token"})", KIRO_ERROR, KIRO_FAIL_AUTH_EXPIRED},
        {403, "AccessDeniedException", R"({"message":"User is not authorized to make this call."})",
         KIRO_AGAIN, KIRO_FAIL_ACCESS_DENIED},
        {400, "ValidationException", R"({"message":"Invalid profileArn."})", KIRO_AGAIN,
         KIRO_FAIL_UPSTREAM_REFUSED},
        {400, "ValidationException", R"({"message":"profileArn is required for this request."})", KIRO_AGAIN,
         KIRO_FAIL_UPSTREAM_REFUSED},
        {429, "ThrottlingException", "{}", KIRO_ERROR, KIRO_FAIL_RATE_LIMITED},
        {500, "", "<html>", KIRO_ERROR, KIRO_FAIL_UPSTREAM_ERROR},
        {404, "", "", KIRO_ERROR, KIRO_FAIL_UPSTREAM_ERROR},
    };
    for (const Refused &row : table) {
        Usage u;
        EXPECT_EQ(u.parse(row.body, row.status, row.type), row.result) << row.status << row.body;
        EXPECT_EQ(u.failure.kind, row.kind) << row.status << ' ' << row.body << ": " << u.failure.message;
        EXPECT_EQ(u.limits.nresources, 0u);
    }
    for (std::string_view body : {"", "[]", "<html>", "{", "\"x\"", "7", "{}", R"({"models":[]})"}) {
        Usage u;
        EXPECT_EQ(u.parse(body), KIRO_ERROR) << body;
        EXPECT_EQ(u.failure.kind, KIRO_FAIL_UPSTREAM_PROTOCOL) << body;
    }
}

// A copy that a process left half written is still told without reading beyond it.
TEST(UsageLimits, ATornCopyIsHarmless) {
    Usage u;
    std::fill_n(reinterpret_cast<char *>(&u.limits), sizeof(u.limits), 'x');
    EXPECT_FALSE(u.answer().empty());
    kiro_usage_resets_at(&u.limits, 1);
}

} // namespace
