#include "kiro/credential.h"

#include <gtest/gtest.h>
#include <string>

#include "support/credentials.h"

namespace {

using namespace kiro::test;

constexpr int64_t now = 1790856000000;

std::string endpoint(const CredentialPtr &cred) {
    char buf[256];
    const size_t n = kiro_auth_endpoint(cred.get(), buf, sizeof(buf));
    return std::string(buf, n);
}

std::string request(const CredentialPtr &cred, const char *host, const char *prefix, const char *agent) {
    kiro_failure f;
    std::string out(kiro_refresh_request(cred.get(), str(host), str(prefix), str(agent), nullptr, 0, &f),
                    '\0');
    EXPECT_EQ(
        kiro_refresh_request(cred.get(), str(host), str(prefix), str(agent), out.data(), out.size(), &f),
        out.size());
    return out;
}

CredentialPtr social() {
    kiro_failure f;
    return parse(social_json(refresh_token()), &f);
}

CredentialPtr oidc() {
    kiro_failure f;
    return parse(oidc_json(refresh_token(), registration_members() + ","), &f);
}

CredentialPtr external() {
    kiro_failure f;
    auto cred = parse(R"({"refresh_token":"SECRET+short/of=idp","client_id":"the-client",)"
                      R"("token_endpoint":"https://login.example.com/t/oauth2/v2.0/token",)"
                      R"("issuer_url":"https://login.example.com/t/v2.0","scopes":["a:b","offline_access"]})",
                      &f);
    EXPECT_TRUE(cred) << f.message;
    return cred;
}

TEST(AuthEndpoint, FollowsLoginAndRegion) {
    EXPECT_EQ(endpoint(social()), "https://prod.us-east-1.auth.desktop.kiro.dev");
    EXPECT_EQ(endpoint(oidc()), "https://oidc.eu-west-1.amazonaws.com");
    EXPECT_EQ(endpoint(external()), "https://login.example.com/t/oauth2/v2.0/token");
    const auto cred = oidc();
    ASSERT_EQ(kiro_credential_override(cred.get(), str(""), str("ap-south-1")), KIRO_OK);
    EXPECT_EQ(endpoint(cred), "https://oidc.ap-south-1.amazonaws.com");
}

TEST(AuthEndpoint, IsThatOfAnotherLoginOrNot) {
    const auto elsewhere = [](std::string json, std::string_view from, std::string_view to) {
        kiro_failure f;
        json.replace(json.find(from), from.size(), to);
        auto cred = parse(json, &f);
        EXPECT_TRUE(cred) << f.message;
        return cred;
    };
    const auto same = [](const CredentialPtr &a, const CredentialPtr &b) {
        return kiro_auth_same_endpoint(a.get(), b.get()) != 0;
    };
    EXPECT_TRUE(same(social(), social()));
    EXPECT_TRUE(same(oidc(), oidc()));
    EXPECT_TRUE(same(external(), external()));
    EXPECT_FALSE(same(social(), oidc()));
    EXPECT_FALSE(same(oidc(), social()));
    EXPECT_FALSE(same(external(), oidc()));
    const auto other_region =
        elsewhere(oidc_json(refresh_token(), registration_members() + ","), "eu-west-1", "us-east-1");
    EXPECT_FALSE(same(oidc(), other_region));
    const auto set = oidc();
    ASSERT_EQ(kiro_credential_override(set.get(), str(""), str("ap-south-1")), KIRO_OK);
    EXPECT_TRUE(same(set, other_region)) << "the setting counts";
    EXPECT_TRUE(same(oidc(), set)) << "one of before does not";
    EXPECT_FALSE(same(external(), elsewhere(serialize(external()), "/token", "/tokens")));
}

TEST(RefreshRequest, Social) {
    const std::string body = R"({"refreshToken":")" + refresh_token() + R"("})";
    EXPECT_EQ(request(social(), "auth.example:8443", "", "ngx_kiro/1"),
              "POST /refreshToken HTTP/1.1\r\nHost: auth.example:8443\r\nUser-Agent: ngx_kiro/1\r\n"
              "Content-Type: application/json\r\nAccept: application/json\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body);
}

TEST(RefreshRequest, Oidc) {
    const std::string body =
        R"({"clientId":"the-client","clientSecret":"client.SECRET.value","refreshToken":")" +
        refresh_token() + R"(","grantType":"refresh_token"})";
    for (const char *prefix : {"/sso", "/sso/"}) {
        EXPECT_EQ(request(oidc(), "h", prefix, ""),
                  "POST /sso/token HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                  "Accept: application/json\r\nContent-Length: " +
                      std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body);
    }
}

TEST(RefreshRequest, External) {
    const std::string body =
        "grant_type=refresh_token&client_id=the-client&refresh_token=SECRET%2Bshort%2Fof%3Didp"
        "&scope=a%3Ab+offline_access";
    const std::string rest = " HTTP/1.1\r\nHost: login.example.com\r\n"
                             "Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n"
                             "Content-Length: " +
                             std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
    EXPECT_EQ(request(external(), "login.example.com", "/t/oauth2/v2.0/token", ""),
              "POST /t/oauth2/v2.0/token" + rest);
    EXPECT_EQ(request(external(), "login.example.com", "", ""), "POST /" + rest);
}

TEST(RefreshRequest, WritesOnlyWhatFits) {
    kiro_failure f;
    const auto cred = social();
    const size_t need = kiro_refresh_request(cred.get(), str("h"), str(""), str(""), nullptr, 0, &f);
    std::string buf(need, '#');
    EXPECT_EQ(kiro_refresh_request(cred.get(), str("h"), str(""), str(""), buf.data(), need - 1, &f), need);
    EXPECT_EQ(buf, std::string(need, '#'));
}

TEST(RefreshRequest, RefusesWhatCannotBeRefreshed) {
    const struct {
        std::string json;
        const char *says;
    } cases[] = {
        {R"({"accessToken":"ksk_SECRET"})", "API key"},
        {R"({"accessToken":"aoaSECRET"})", "no refresh token"},
        {oidc_json(refresh_token()), "client registration"},
        {R"({"refreshToken":")" + refresh_token() + R"(","authMethod":"external_idp"})",
         "\"clientId\" is missing"},
    };
    for (const auto &c : cases) {
        kiro_failure f;
        const auto cred = parse(c.json, &f);
        ASSERT_TRUE(cred) << f.message;
        EXPECT_EQ(kiro_refresh_request(cred.get(), str("h"), str(""), str(""), nullptr, 0, &f), 0u);
        EXPECT_EQ(f.kind, KIRO_FAIL_LOGIN_REQUIRED);
        EXPECT_NE(std::string(f.message).find(c.says), std::string::npos) << f.message;
        EXPECT_EQ(std::string(f.message).find(leak_mark), std::string::npos);
    }
}

TEST(RefreshRequest, LetsNobodyInjectHeaders) {
    const auto cred = social();
    kiro_failure f;
    const auto length = [&](const char *host, const char *prefix, const char *agent) {
        return kiro_refresh_request(cred.get(), str(host), str(prefix), str(agent), nullptr, 0, &f);
    };
    EXPECT_EQ(length("h\r\nX: y", "", ""), 0u);
    EXPECT_EQ(length("", "", ""), 0u);
    EXPECT_EQ(length("h", "/a b", ""), 0u);
    EXPECT_EQ(length("h", "a", ""), 0u);
    EXPECT_EQ(length("h", "", "a\nb"), 0u);
    EXPECT_GT(length("h", "/a", "a b (c)"), 0u);
}

kiro_refresh_verdict reply(const CredentialPtr &cred, int status, const std::string &body, kiro_failure *f) {
    return kiro_refresh_reply(cred.get(), now, status, body.data(), body.size(), f);
}

TEST(RefreshReply, TakesNewTokens) {
    const auto cred = social();
    const std::string fingerprint = text(view(cred).fingerprint);
    kiro_failure f;
    const std::string arn = "arn:aws:codewhisperer:eu-central-1:000000000000:profile/NEW";
    ASSERT_EQ(reply(cred, 200,
                    R"({"accessToken":")" + access_token('n') + R"(","refreshToken":")" + refresh_token('n') +
                        R"(","expiresIn":1800,"profileArn":")" + arn + R"(","csrfToken":"x"})",
                    &f),
              KIRO_REFRESH_OK);
    EXPECT_EQ(text(view(cred).access_token), access_token('n'));
    EXPECT_EQ(text(view(cred).refresh_token), refresh_token('n'));
    EXPECT_EQ(view(cred).expires_at, now + 1800 * 1000);
    EXPECT_EQ(text(view(cred).profile_arn), arn);
    EXPECT_EQ(text(view(cred).fingerprint), fingerprint) << "it is that of the import";
}

TEST(RefreshReply, KeepsWhatIsAbsent) {
    const auto cred = social();
    const std::string arn = text(view(cred).profile_arn);
    kiro_failure f;
    for (const char *more :
         {"", R"(,"refreshToken":null,"profileArn":null)", R"(,"refreshToken":"","profileArn":"bad")"}) {
        ASSERT_EQ(
            reply(cred, 200, R"({"accessToken":"aoaSECRETx","expiresIn":60)" + std::string(more) + "}", &f),
            KIRO_REFRESH_OK);
        EXPECT_EQ(text(view(cred).refresh_token), refresh_token());
        EXPECT_EQ(text(view(cred).profile_arn), arn);
    }
}

TEST(RefreshReply, ReadsSnakeCaseAndOddLifetimes) {
    const struct {
        const char *members;
        int64_t seconds;
    } cases[] = {
        {R"("expires_in":120)", 120},
        {R"("expires_in":"120")", 120},
        {R"("expiresIn":28800.0)", 28800},
        {R"("expiresIn":0)", 3600},
        {R"("expiresIn":-5)", 3600},
        {R"("expiresIn":true)", 3600},
        {R"("x":1)", 3600},
        {R"("expiresIn":"x")", 3600},
        {R"("expiresIn":1e18)", 366 * 24 * 3600},
        {R"("expiresIn":"nan")", 3600},
    };
    for (const auto &c : cases) {
        const auto cred = external();
        kiro_failure f;
        ASSERT_EQ(
            reply(cred, 200,
                  R"({"access_token":"SECRETn","refresh_token":"SECRETr",)" + std::string(c.members) + "}",
                  &f),
            KIRO_REFRESH_OK)
            << f.message;
        EXPECT_EQ(text(view(cred).access_token), "SECRETn");
        EXPECT_EQ(text(view(cred).refresh_token), "SECRETr");
        EXPECT_EQ(view(cred).expires_at, now + c.seconds * 1000) << c.members;
    }
}

TEST(RefreshReply, JudgesEveryRefusal) {
    constexpr const char *html = "<html><body>SECRET blocked</body></html>";
    const struct {
        kiro_login login;
        int status;
        std::string body;
        kiro_refresh_verdict expected;
    } cases[] = {
        // the table of AWS SSO OIDC
        {KIRO_LOGIN_OIDC, 400, R"({"error":"invalid_grant","error_description":"SECRET"})",
         KIRO_REFRESH_STALE},
        {KIRO_LOGIN_OIDC, 401, R"({"error":"invalid_client"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"invalid_client"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"expired_token"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 403, R"({"error":"access_denied"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"unauthorized_client"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"invalid_request"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"unsupported_grant_type"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"invalid_scope"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"slow_down"})", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"authorization_pending"})", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 500, R"({"error":"server_error"})", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"refresh_token_reused"})", KIRO_REFRESH_STALE},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"revoked"})", KIRO_REFRESH_STALE},
        {KIRO_LOGIN_OIDC, 400, R"({"__type":"com.amazonaws.ssooidc#InvalidGrantException"})",
         KIRO_REFRESH_STALE},
        {KIRO_LOGIN_OIDC, 401, R"({"code":"InvalidClientException"})", KIRO_REFRESH_TERMINAL},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"somethingSECRET"})", KIRO_REFRESH_STALE},
        {KIRO_LOGIN_OIDC, 403, R"({"message":"Forbidden SECRET"})", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 401, html, KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 401, "", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 400, "", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 400, R"({"error":"invalid_gr)", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 302, "", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 404, html, KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 429, R"({"error":"invalid_grant"})", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_OIDC, 503, html, KIRO_REFRESH_TRANSIENT},
        // Kiro Desktop
        {KIRO_LOGIN_SOCIAL, 401, R"({"message":"Bad credentials SECRET"})", KIRO_REFRESH_STALE},
        {KIRO_LOGIN_SOCIAL, 401, "", KIRO_REFRESH_STALE},
        {KIRO_LOGIN_SOCIAL, 401, html, KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 400, R"({"error":"invalid_grant"})", KIRO_REFRESH_STALE},
        {KIRO_LOGIN_SOCIAL, 403, html, KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 403, R"({"code":"AccessDeniedException"})", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 403, "", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 429, "", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 500, "", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 502, html, KIRO_REFRESH_TRANSIENT},
        // answers that say 200 and give nothing
        {KIRO_LOGIN_SOCIAL, 200, "", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, html, KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, "[]", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, "{}", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, R"({"accessToken":"SECRET","refreshTo)", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, R"({"accessToken":5,"refreshToken":"SECRET"})", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, R"({"accessToken":"SECRET\r\nX: y"})", KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, R"({"accessToken":"SECRET","refreshToken":"SE CRET"})",
         KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, R"({"accessToken":"SECRET)" + std::string(8192, 'a') + "\"}",
         KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200,
         R"({"accessToken":"SECRET","refreshToken":"SECRET)" + std::string(8192, 'a') + "\"}",
         KIRO_REFRESH_TRANSIENT},
        {KIRO_LOGIN_SOCIAL, 200, R"({"error":"invalid_grant"})", KIRO_REFRESH_STALE},
    };
    for (const auto &c : cases) {
        const auto cred = c.login == KIRO_LOGIN_SOCIAL ? social() : oidc();
        const std::string before = serialize(cred);
        kiro_failure f{};
        const auto verdict = reply(cred, c.status, c.body, &f);
        EXPECT_EQ(verdict, c.expected) << c.status << " " << c.body << " " << f.message;
        EXPECT_EQ(serialize(cred), before) << c.body;
        const std::string message = f.message;
        EXPECT_NE(message.find(std::to_string(c.status)), std::string::npos) << message;
        EXPECT_EQ(message.find(leak_mark), std::string::npos) << message;
        EXPECT_EQ(f.upstream_status, c.status);
        EXPECT_EQ(f.retry, c.expected == KIRO_REFRESH_TRANSIENT ? KIRO_RETRY_BACKOFF : KIRO_RETRY_NEVER);
        EXPECT_EQ(f.kind == KIRO_FAIL_LOGIN_REQUIRED, c.expected != KIRO_REFRESH_TRANSIENT) << message;
    }
}

TEST(RefreshReply, AnApiKeyTakesNone) {
    kiro_failure f;
    const auto cred = own(kiro_credential_from_api_key(str("ksk_SECRET"), &f));
    EXPECT_EQ(reply(cred, 200, R"({"accessToken":"x","expiresIn":60})", &f), KIRO_REFRESH_TERMINAL);
    EXPECT_EQ(text(view(cred).access_token), "ksk_SECRET");
}

} // namespace
