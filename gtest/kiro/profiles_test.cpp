#include "kiro/profiles.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>

namespace {

kiro_str str(std::string_view s) {
    return {s.data(), s.size()};
}

constexpr std::string_view us = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEFGHIJKL";
constexpr std::string_view eu = "arn:aws:codewhisperer:eu-central-1:210987654321:profile/ZYXWVUTSRQPO";

struct Free {
    void operator()(kiro_profiles *profiles) const { kiro_profiles_free(profiles); }
};

class Profiles {
public:
    kiro_failure failure{};
    std::unique_ptr<kiro_profiles, Free> list{kiro_profiles_create()};

    kiro_status page(std::string_view body, int status = 200, std::string_view type = {}) {
        return kiro_profiles_page(list.get(), status, str(type), str(body), &failure);
    }
    size_t count() const { return kiro_profiles_count(list.get()); }
    std::string arn(size_t i) const {
        const kiro_str s = kiro_profiles_arn(list.get(), i);
        return {s.data, s.len};
    }
    std::string next() const {
        const kiro_str s = kiro_profiles_next(list.get());
        return {s.data, s.len};
    }
    std::string describe(size_t i, size_t cap = 256) const {
        std::string out(cap, '\0');
        out.resize(kiro_profiles_describe(list.get(), i, out.data(), cap));
        return out;
    }
};

std::string one(std::string_view arn, std::string_view name = "Team", std::string_view next = "null") {
    return R"({"profiles":[{"arn":")" + std::string(arn) + R"(","profileName":")" + std::string(name) +
           R"(","other":[1]}],"nextToken":)" + std::string(next) + "}";
}

std::string request(const kiro_profiles_query &query, kiro_failure *f) {
    std::string out(kiro_profiles_request(&query, nullptr, 0, f), '\0');
    EXPECT_EQ(kiro_profiles_request(&query, out.data(), out.size(), f), out.size());
    return out;
}

kiro_profiles_query query_of(kiro_login login) {
    kiro_profiles_query query{};
    query.login = login;
    query.token = str("a-token");
    query.host = str("management.example");
    query.user_agent = str("ngx_kiro/1");
    return query;
}

TEST(ProfilesRequest, Plain) {
    kiro_failure f;
    EXPECT_EQ(request(query_of(KIRO_LOGIN_OIDC), &f),
              "POST / HTTP/1.1\r\nHost: management.example\r\nUser-Agent: ngx_kiro/1\r\n"
              "Authorization: Bearer a-token\r\nContent-Type: application/x-amz-json-1.0\r\n"
              "X-Amz-Target: KiroControlPlaneBearerService.ListAvailableProfiles\r\n"
              "x-amzn-codewhisperer-optout: true\r\nAccept: application/json\r\nContent-Length: 17\r\n"
              "Connection: close\r\n\r\n"
              R"({"maxResults":10})");
}

TEST(ProfilesRequest, ExternalLoginsPagesAndPrefixes) {
    kiro_failure f;
    auto query = query_of(KIRO_LOGIN_EXTERNAL);
    query.next = str(R"(a\"b)");
    query.prefix = str("/x");
    const std::string text = request(query, &f);
    EXPECT_TRUE(text.starts_with("POST /x/ HTTP/1.1\r\n")) << text;
    EXPECT_NE(text.find("\r\nTokenType: EXTERNAL_IDP\r\n"), text.npos);
    EXPECT_TRUE(text.ends_with(R"({"maxResults":10,"nextToken":"a\"b"})")) << text;
}

TEST(ProfilesRequest, NothingHidesInIt) {
    kiro_failure f;
    auto query = query_of(KIRO_LOGIN_OIDC);
    query.token = str("a\r\nb");
    EXPECT_EQ(kiro_profiles_request(&query, nullptr, 0, &f), 0u);
    EXPECT_EQ(f.kind, KIRO_FAIL_LOGIN_REQUIRED);
    query = query_of(KIRO_LOGIN_OIDC);
    query.host = str("a b");
    EXPECT_EQ(kiro_profiles_request(&query, nullptr, 0, &f), 0u);
}

TEST(Profiles, One) {
    Profiles p;
    ASSERT_EQ(p.page(one(us)), KIRO_OK);
    ASSERT_EQ(p.count(), 1u);
    EXPECT_EQ(p.arn(0), us);
    EXPECT_EQ(p.describe(0), R"(us-east-1, account ****9012, profile ****IJKL, "Team")");
    EXPECT_EQ(kiro_profiles_builder_id(p.list.get()), 0);
}

TEST(Profiles, None) {
    Profiles p;
    for (std::string_view body : {R"({"profiles":[]})", "{}", R"({"profiles":null,"nextToken":null})"}) {
        EXPECT_EQ(p.page(body), KIRO_OK) << body;
        EXPECT_EQ(p.count(), 0u);
    }
}

TEST(Profiles, PagesAndHostsAddUp) {
    Profiles p;
    EXPECT_EQ(p.page(one(us, "A", R"("t\"1")")), KIRO_AGAIN);
    EXPECT_EQ(p.next(), R"(t\"1)");
    EXPECT_EQ(p.page(R"({"profiles":[]})"), KIRO_OK);
    EXPECT_EQ(p.next(), "");
    EXPECT_EQ(p.page(one(us)), KIRO_OK); // another host tells of the same one
    EXPECT_EQ(p.page(one(eu)), KIRO_OK);
    ASSERT_EQ(p.count(), 2u);
    EXPECT_EQ(p.arn(0), us);
    EXPECT_EQ(p.arn(1), eu);
}

TEST(Profiles, PagesComeToAnEnd) {
    Profiles p;
    EXPECT_EQ(p.page(one(us, "A", R"("t")")), KIRO_AGAIN);
    EXPECT_EQ(p.page(one(us, "A", R"("t")")), KIRO_OK); // the same token again
    int pages = 1;
    while (p.page(one(us, "A", '"' + std::to_string(pages) + '"')) == KIRO_AGAIN)
        ASSERT_LT(++pages, 100);
    EXPECT_EQ(p.page(one(us, "A", '"' + std::string(5000, 'x') + '"')), KIRO_OK);
}

TEST(Profiles, WhatIsNoArnIsLeftOut) {
    Profiles p;
    EXPECT_EQ(p.page(R"({"profiles":[1,{"arn":7},{"arn":"nonsense"},{"profileName":"x"},null]})"), KIRO_OK);
    EXPECT_EQ(p.count(), 0u);
}

TEST(Profiles, BuilderId) {
    Profiles p;
    EXPECT_EQ(p.page(R"({"message":"AWS Builder ID is not supported for this operation."})", 403,
                     "AccessDeniedException"),
              KIRO_OK);
    EXPECT_NE(kiro_profiles_builder_id(p.list.get()), 0);
    EXPECT_EQ(p.count(), 0u);
    const kiro_str own = kiro_builder_id_profile();
    kiro_str region;
    EXPECT_EQ(kiro_arn_region(own, &region), KIRO_OK);
    EXPECT_EQ(std::string_view(region.data, region.len), "us-east-1");
}

struct Refused {
    int status;
    const char *type;
    const char *body;
    kiro_failure_kind kind;
};

TEST(Profiles, Refusals) {
    const Refused table[] = {
        {400, "AccessDeniedException",
         R"({"message":"The bearer token included in the request is invalid."})", KIRO_FAIL_AUTH_EXPIRED},
        {401, "", "", KIRO_FAIL_AUTH_EXPIRED},
        {403, "AccessDeniedException", R"({"message":"Invalid token"})", KIRO_FAIL_AUTH_EXPIRED},
        {403, "AccessDeniedException", R"({"message":"User is not authorized to make this call."})",
         KIRO_FAIL_ACCESS_DENIED},
        {429, "ThrottlingException", "{}", KIRO_FAIL_RATE_LIMITED},
        {500, "", "<html>", KIRO_FAIL_UPSTREAM_ERROR},
        {503, "", "", KIRO_FAIL_UNAVAILABLE},
    };
    for (const Refused &row : table) {
        Profiles p;
        EXPECT_EQ(p.page(row.body, row.status, row.type), KIRO_ERROR) << row.status;
        EXPECT_EQ(p.failure.kind, row.kind) << row.status << ' ' << row.body << ": " << p.failure.message;
        EXPECT_EQ(p.count(), 0u);
    }
    for (std::string_view body : {"", "[]", "<html>", "{", "\"x\"", "7"}) {
        Profiles p;
        EXPECT_EQ(p.page(body), KIRO_ERROR) << body;
        EXPECT_EQ(p.failure.kind, KIRO_FAIL_UPSTREAM_PROTOCOL) << body;
    }
}

// The next host starts from its first page although this one broke in the middle.
TEST(Profiles, ARefusalEndsThePages) {
    Profiles p;
    EXPECT_EQ(p.page(one(us, "A", R"("t")")), KIRO_AGAIN);
    EXPECT_EQ(p.page("", 500), KIRO_ERROR);
    EXPECT_EQ(p.next(), "");
    EXPECT_EQ(p.count(), 1u);
}

TEST(Profiles, DescriptionsAreMaskedAndShort) {
    Profiles p;
    const std::string name = "line\\nbreak \\u001b[31m " + std::string(500, 'x');
    ASSERT_EQ(p.page(one(us, name)), KIRO_OK);
    ASSERT_EQ(p.page(one("arn:aws:codewhisperer:us-east-1:1:profile/AB", "\\u00e4")), KIRO_OK);
    const std::string text = p.describe(0);
    EXPECT_EQ(text.find("123456789012"), text.npos);
    EXPECT_EQ(text.find("ABCDEFGHIJKL"), text.npos);
    EXPECT_EQ(text.find('\n'), text.npos);
    EXPECT_EQ(text.find('\x1b'), text.npos);
    EXPECT_LE(text.size(), 200u);
    EXPECT_EQ(p.describe(0, 10), text.substr(0, 10));
    EXPECT_EQ(p.describe(1), "us-east-1, account ****, profile ****, \"\xc3\xa4\"");
}

} // namespace
