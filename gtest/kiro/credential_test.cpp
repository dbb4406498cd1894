#include "kiro/credential.h"

#include <gtest/gtest.h>
#include <string>

#include "support/credentials.h"

namespace {

using namespace kiro::test;

constexpr int64_t noon = 1790856000000; // 2026-10-01T12:00:00Z
constexpr const char *social_arn = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK";

std::string tokens(const std::string &more = "") {
    return R"({"accessToken":")" + access_token() + R"(","refreshToken":")" + refresh_token() + "\"" + more +
           "}";
}

TEST(Credential, ReadsAnIdeSocialFile) {
    kiro_failure f;
    const auto cred = parse(social_json(refresh_token(), R"("unknown":{"a":[1,null]},)"), &f);
    ASSERT_TRUE(cred) << f.message;
    const auto v = view(cred);
    EXPECT_EQ(v.login, KIRO_LOGIN_SOCIAL);
    EXPECT_EQ(text(v.access_token), access_token());
    EXPECT_EQ(text(v.refresh_token), refresh_token());
    EXPECT_EQ(v.expires_at, noon);
    EXPECT_EQ(text(v.profile_arn), social_arn);
    EXPECT_EQ(text(v.sso_region), "us-east-1");
    EXPECT_EQ(v.fingerprint.len, 32u);
    EXPECT_EQ(text(v.fingerprint).find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST(Credential, ReadsAnIdeSsoFileAndItsRegistration) {
    kiro_failure f;
    const auto cred = parse(oidc_json(refresh_token()), &f);
    ASSERT_TRUE(cred) << f.message;
    auto v = view(cred);
    EXPECT_EQ(v.login, KIRO_LOGIN_OIDC);
    EXPECT_EQ(v.expires_at, noon);
    EXPECT_EQ(text(v.sso_region), "eu-west-1");
    EXPECT_EQ(text(v.client_id_hash), "0123456789abcdef0123456789abcdef01234567");
    EXPECT_FALSE(v.has_registration);

    const std::string registration = "{" + registration_members() + R"(,"expiresAt":"2026-12-30T00:00:00Z"})";
    ASSERT_EQ(kiro_credential_add_registration(cred.get(), registration.data(), registration.size(), &f),
              KIRO_OK);
    EXPECT_TRUE(view(cred).has_registration);

    for (const std::string bad :
         {R"({"clientId":"x"})", R"({"clientSecret":"SECRET"})", "{", "[]", "",
          R"({"clientId":1,"clientSecret":"SECRET"})", R"({"clientId":"a\r\nb","clientSecret":"SECRET"})"}) {
        EXPECT_EQ(kiro_credential_add_registration(cred.get(), bad.data(), bad.size(), &f), KIRO_ERROR)
            << bad;
        EXPECT_STRNE(f.message, "");
        EXPECT_EQ(std::string(f.message).find(leak_mark), std::string::npos) << f.message;
    }
}

TEST(Credential, ReadsAnAwsSsoCacheFile) {
    kiro_failure f;
    const auto cred =
        parse(tokens(R"(,"startUrl":"https://d-1.awsapps.com/start","region":"ap-southeast-2",)" +
                     registration_members() + R"(,"registrationExpiresAt":"x","expiresAt":null)"),
              &f);
    ASSERT_TRUE(cred) << f.message;
    const auto v = view(cred);
    EXPECT_EQ(v.login, KIRO_LOGIN_OIDC);
    EXPECT_TRUE(v.has_registration);
    EXPECT_EQ(text(v.sso_region), "ap-southeast-2");
    EXPECT_EQ(v.expires_at, 0);
}

TEST(Credential, ReadsSnakeCase) {
    kiro_failure f;
    const auto cred = parse(R"({"access_token":")" + access_token() +
                                R"(","expires_at":"2026-10-01T12:00:00.123456789Z",)" +
                                R"("refresh_token":")" + refresh_token() +
                                R"(","region":"us-west-2","start_url":"https://view.awsapps.com/start",)" +
                                R"("oauth_flow":"DeviceCode","scopes":["codewhisperer:completions"],)" +
                                R"("client_id":"c","client_secret":"SECRET","client_id_hash":"a_b-C"})",
                            &f);
    ASSERT_TRUE(cred) << f.message;
    const auto v = view(cred);
    EXPECT_EQ(v.login, KIRO_LOGIN_OIDC);
    EXPECT_EQ(v.expires_at, noon + 123);
    EXPECT_TRUE(v.has_registration);
    EXPECT_EQ(text(v.sso_region), "us-west-2");
    EXPECT_EQ(text(v.client_id_hash), "a_b-C");
}

TEST(Credential, DetectsTheLogin) {
    const struct {
        std::string members;
        kiro_login expected;
    } cases[] = {
        {"", KIRO_LOGIN_SOCIAL},
        {R"(,"authMethod":"SOCIAL")", KIRO_LOGIN_SOCIAL},
        {R"(,"provider":"gitHub")", KIRO_LOGIN_SOCIAL},
        {R"(,"authMethod":"idc","provider":"google")", KIRO_LOGIN_OIDC},
        {R"(,"provider":"BuilderID")", KIRO_LOGIN_OIDC},
        {R"(,"provider":"Internal")", KIRO_LOGIN_OIDC},
        {R"(,"authMethod":"new-kind","provider":"Enterprise")", KIRO_LOGIN_OIDC},
        {R"(,"clientIdHash":"abc")", KIRO_LOGIN_OIDC},
        {R"(,"clientId":"c","clientSecret":"s")", KIRO_LOGIN_OIDC},
        {R"(,"clientId":"c")", KIRO_LOGIN_SOCIAL},
        {R"(,"authMethod":"social","clientId":"c","clientSecret":"s")", KIRO_LOGIN_SOCIAL},
        {R"(,"authMethod":"External_IdP")", KIRO_LOGIN_EXTERNAL},
        {R"(,"provider":"ExternalIdp")", KIRO_LOGIN_EXTERNAL},
        {R"(,"authMethod":"","provider":null,"clientId":"c","clientSecret":"s","tokenEndpoint":"https://i.example/t","issuerUrl":"https://i.example/")",
         KIRO_LOGIN_EXTERNAL},
        {R"(,"apiKey":"ksk_SECRET")", KIRO_LOGIN_API_KEY},
    };
    for (const auto &c : cases) {
        kiro_failure f;
        const auto cred = parse(tokens(c.members), &f);
        ASSERT_TRUE(cred) << c.members << f.message;
        EXPECT_EQ(view(cred).login, c.expected) << c.members;
    }
    kiro_failure f;
    const auto key = parse(R"({"access_token":"ksk_SECRETkey"})", &f);
    ASSERT_TRUE(key);
    EXPECT_EQ(view(key).login, KIRO_LOGIN_API_KEY);
    EXPECT_EQ(text(view(key).access_token), "ksk_SECRETkey");
    EXPECT_EQ(view(key).profile_arn.len, 0u);
}

TEST(Credential, ReadsTheExpiryInEveryForm) {
    const struct {
        const char *value;
        int64_t expected;
    } cases[] = {
        {"1790856000", noon},
        {"1790856000000", noon},
        {"1790856000.5", noon + 500},
        {"\"1790856000\"", noon},
        {"\"\"", 0},
        {"null", 0},
        {"\"2026-10-01T14:00:00+02:00\"", noon},
    };
    for (const auto &c : cases) {
        kiro_failure f;
        const auto cred = parse(tokens(std::string(",\"expiresAt\":") + c.value), &f);
        ASSERT_TRUE(cred) << c.value << f.message;
        EXPECT_EQ(view(cred).expires_at, c.expected) << c.value;
    }
    for (const char *bad :
         {"\"soon\"", "-5", "1e300", "true", "[]", "{}", "\"1790856000x\"", "\"nan\"", "\"inf\""}) {
        kiro_failure f;
        EXPECT_FALSE(parse(tokens(std::string(",\"expiresAt\":") + bad), &f)) << bad;
        EXPECT_NE(std::string(f.message).find("expiresAt"), std::string::npos);
    }
}

TEST(Credential, TakesAnAccessTokenAlone) {
    kiro_failure f;
    const auto cred = parse(R"({"accessToken":")" + access_token() + R"(","refreshToken":""})", &f);
    ASSERT_TRUE(cred) << f.message;
    EXPECT_EQ(view(cred).refresh_token.len, 0u);
    EXPECT_EQ(kiro_refresh_request(cred.get(), str("h"), str(""), str(""), nullptr, 0, &f), 0u);
    EXPECT_EQ(f.kind, KIRO_FAIL_LOGIN_REQUIRED);
    EXPECT_NE(std::string(f.message).find("no refresh token"), std::string::npos);
}

TEST(Credential, RefusesBadRecordsWithoutTellingSecrets) {
    using namespace std::string_literals;
    const struct {
        std::string json;
        const char *says;
    } cases[] = {
        {"", "empty"},
        {" \n", "empty"},
        {"{", "not valid JSON"},
        {social_json(refresh_token()).substr(0, 150), "not valid JSON"},
        {"[" + social_json(refresh_token()) + "]", "one JSON object"},
        {"\"SECRET\"", "one JSON object"},
        {"null", "one JSON object"},
        {"SQLite format 3\0SECRET"s, "SQLite"},
        {"{}", "neither a refresh token nor an access token"},
        {R"({"accessToken":null,"refreshToken":""})", "neither"},
        {"{" + registration_members() + "}", "client registration without a login"},
        {R"({"accessToken":1})", "\"accessToken\" must be a string"},
        {R"({"refresh_token":["SECRET"]})", "\"refresh_token\" must be a string"},
        {tokens(R"(,"region":{})"), "\"region\" must be a string"},
        {tokens(R"(,"scopes":5,"authMethod":"external_idp")"), "\"scopes\""},
        {tokens(R"(,"scopes":[5],"authMethod":"external_idp")"), "\"scopes\""},
        {tokens(R"(,"scopes":"a\nb","authMethod":"external_idp")"), "\"scopes\""},
        {R"({"accessToken":"SECRET\r\nX-Injected: 1"})", "\"accessToken\" is malformed"},
        {R"({"accessToken":"SEC RET"})", "\"accessToken\" is malformed"},
        {R"({"accessToken":"SECRET\u0000"})", "\"accessToken\" is malformed"},
        {R"({"accessToken":"SECRETé"})", "\"accessToken\" is malformed"},
        {"{\"accessToken\":\"SECRET\0\"}"s, "not valid JSON"},
        {"{\"accessToken\":\"SECRET\xff\"}", "not valid JSON"},
        {R"({"accessToken":"SECRET)" + std::string(8192, 'a') + "\"}", "longer than 8192"},
        {R"({"refreshToken":"SECRETshort"})", "truncated copy"},
        {R"({"refreshToken":"SECRET)" + std::string(60, 'a') + "..." + std::string(60, 'b') + "\"}",
         "truncated copy"},
        {tokens(R"(,"clientIdHash":"../SECRET")"), "\"clientIdHash\" is malformed"},
        {tokens(R"(,"clientIdHash":")" + std::string(129, 'a') + "\""), "\"clientIdHash\" is longer"},
        {tokens(R"(,"region":"evil.example/x")"), "\"region\" is malformed"},
        {tokens(R"(,"profileArn":"SECRET")"), "\"profileArn\" is malformed"},
        {tokens(R"(,"apiKey":"SECRET")"), "must start with \"ksk_\""},
        {tokens(R"(,"authMethod":"api_key")"), "must start with \"ksk_\""},
        {tokens(R"(,"tokenEndpoint":"http://i.example/t","issuerUrl":"https://i.example")"),
         "\"tokenEndpoint\""},
        {tokens(R"(,"tokenEndpoint":"https://i.example/t")"), "\"issuerUrl\" is missing"},
        {tokens(R"(,"tokenEndpoint":"https://evil.example/t","issuerUrl":"https://i.example")"),
         "does not belong"},
        {tokens(R"(,"tokenEndpoint":"https://evili.example/t","issuerUrl":"https://i.example")"),
         "does not belong"},
        {tokens(R"(,"tokenEndpoint":"https://i.example@evil.example/t","issuerUrl":"https://i.example")"),
         "\"tokenEndpoint\""},
        {std::string(1 << 20, ' ') + "{}", "larger than"},
        {tokens(R"(,"format":"ngx_kiro account","version":99)"), "newer version"},
        {tokens(R"(,"format":"ngx_kiro account")"), "no version"},
        {tokens(R"(,"format":"ngx_kiro account","version":1)"), "no fingerprint"},
        {tokens(R"(,"format":"ngx_kiro account","version":1,"fingerprint":"SECRET")"),
         "\"fingerprint\" is malformed"},
        {tokens(
             R"(,"format":"ngx_kiro account","version":1,"fingerprint":"0123456789abcdef0123456789abcdef","lineage":[1])"),
         "\"lineage\" is malformed"},
    };
    for (const auto &c : cases) {
        kiro_failure f{};
        EXPECT_FALSE(parse(c.json, &f)) << c.says;
        EXPECT_EQ(f.kind, KIRO_FAIL_LOGIN_REQUIRED) << c.says;
        const std::string message = f.message;
        EXPECT_NE(message.find(c.says), std::string::npos) << message << " should say " << c.says;
        EXPECT_EQ(message.find(leak_mark), std::string::npos) << message;
    }
}

TEST(Credential, ToleratesABomAndDeepUnknownMembers) {
    kiro_failure f;
    std::string deep = "\"x\":";
    deep += std::string(500, '[') + std::string(500, ']') + ",";
    EXPECT_TRUE(parse("\xef\xbb\xbf\n" + social_json(refresh_token(), deep), &f)) << f.message;
    deep = "\"x\":" + std::string(100000, '[') + std::string(100000, ']') + ",";
    EXPECT_FALSE(parse(social_json(refresh_token(), deep), &f));
    // Members of our own state file mean nothing in others.
    EXPECT_TRUE(parse(tokens(R"(,"fingerprint":7,"lineage":7,"format":7,"version":"x")"), &f)) << f.message;
}

TEST(Credential, TakesAnApiKey) {
    kiro_failure f;
    const auto cred = own(kiro_credential_from_api_key(str(" ksk_SECRET-1234\r\n"), &f));
    ASSERT_TRUE(cred) << f.message;
    EXPECT_EQ(view(cred).login, KIRO_LOGIN_API_KEY);
    EXPECT_EQ(text(view(cred).access_token), "ksk_SECRET-1234");
    EXPECT_EQ(view(cred).expires_at, 0);
    EXPECT_EQ(kiro_refresh_request(cred.get(), str("h"), str(""), str(""), nullptr, 0, &f), 0u);
    EXPECT_EQ(kiro_auth_endpoint(cred.get(), nullptr, 0), 0u);

    for (const std::string bad :
         {"", " \n", "SECRET", "ksk_SECRET\r\nX: y", "ksk_SEC RET", "ksk_SECRET\x01", "KSK_SECRET"}) {
        EXPECT_FALSE(own(kiro_credential_from_api_key(str(bad), &f))) << bad;
        EXPECT_EQ(std::string(f.message).find(leak_mark), std::string::npos) << f.message;
        EXPECT_STRNE(f.message, "");
    }
    EXPECT_FALSE(own(kiro_credential_from_api_key(str("ksk_" + std::string(9000, 'a')), &f)));
    EXPECT_FALSE(own(kiro_credential_from_api_key({nullptr, 0}, &f)));
}

TEST(Credential, TakesARefreshToken) {
    kiro_failure f;
    const auto cred = own(kiro_credential_from_refresh_token(str("\n" + refresh_token() + "\n"), &f));
    ASSERT_TRUE(cred) << f.message;
    EXPECT_EQ(view(cred).login, KIRO_LOGIN_SOCIAL);
    EXPECT_EQ(view(cred).access_token.len, 0u);
    EXPECT_EQ(text(view(cred).refresh_token), refresh_token());
    for (const std::string &bad :
         {std::string(), std::string("SECRET"), std::string("ksk_SECRET"), "{" + refresh_token() + "}",
          refresh_token() + "\n" + refresh_token(), refresh_token() + "...", std::string(9000, 'x')}) {
        EXPECT_FALSE(own(kiro_credential_from_refresh_token(str(bad), &f)));
        EXPECT_EQ(std::string(f.message).find(leak_mark), std::string::npos) << f.message;
        EXPECT_STRNE(f.message, "");
    }
}

TEST(Credential, OperatorSettingsWin) {
    kiro_failure f;
    const auto cred = parse(social_json(refresh_token()), &f);
    const std::string own_arn = text(view(cred).profile_arn);
    const char *arn = "arn:aws:codewhisperer:eu-central-1:000000000000:profile/OWN";
    ASSERT_EQ(kiro_credential_override(cred.get(), str(arn), str("eu-north-1")), KIRO_OK);
    EXPECT_EQ(text(view(cred).profile_arn), arn);
    EXPECT_EQ(text(view(cred).sso_region), "eu-north-1");
    ASSERT_EQ(kiro_credential_override(cred.get(), str(""), str("")), KIRO_OK);
    EXPECT_EQ(text(view(cred).profile_arn), arn);
    EXPECT_EQ(kiro_credential_override(cred.get(), str("nonsense"), str("")), KIRO_ERROR);
    EXPECT_EQ(kiro_credential_override(cred.get(), str(""), str("Evil/..")), KIRO_ERROR);
    EXPECT_EQ(text(view(cred).profile_arn), arn);

    const std::string body = R"({"accessToken":"SECRETn","profileArn":")" + own_arn + "\"}";
    ASSERT_EQ(kiro_refresh_reply(cred.get(), noon, 200, body.data(), body.size(), &f), KIRO_REFRESH_OK);
    EXPECT_EQ(text(view(cred).profile_arn), arn) << "after a refresh, too";

    const auto again = parse(serialize(cred), &f);
    ASSERT_TRUE(again) << f.message;
    EXPECT_EQ(text(view(again).profile_arn), arn);
    EXPECT_EQ(text(view(again).sso_region), "eu-north-1");
}

TEST(Credential, SurvivesTheStateFormat) {
    const std::string sources[] = {
        social_json(refresh_token()),
        oidc_json(refresh_token(), registration_members() + ","),
        R"({"accessToken":"ksk_SECRETkey"})",
        R"({"accessToken":")" + access_token() + "\"}",
        tokens(
            R"(,"clientId":"c","tokenEndpoint":"https://login.i.example/t","issuerUrl":"https://I.example/v2","scopes":["a","b\"\\"])"),
    };
    for (const std::string &source : sources) {
        kiro_failure f;
        const auto cred = parse(source, &f);
        ASSERT_TRUE(cred) << f.message;
        const std::string json = serialize(cred);
        const auto again = parse(json, &f);
        ASSERT_TRUE(again) << f.message;
        EXPECT_EQ(serialize(again), json);
        EXPECT_EQ(view(again).login, view(cred).login);
        EXPECT_EQ(text(view(again).access_token), text(view(cred).access_token));
        EXPECT_EQ(text(view(again).refresh_token), text(view(cred).refresh_token));
        EXPECT_EQ(view(again).expires_at, view(cred).expires_at);
        EXPECT_EQ(view(again).has_registration, view(cred).has_registration);
        EXPECT_EQ(text(view(again).fingerprint), text(view(cred).fingerprint));
        EXPECT_TRUE(kiro_credential_prefer_state(cred.get(), again.get()));
    }
}

TEST(Credential, SerializeWritesOnlyWhatFits) {
    kiro_failure f;
    const auto cred = parse(social_json(refresh_token()), &f);
    const size_t need = kiro_credential_serialize(cred.get(), nullptr, 0);
    std::string buf(need, '#');
    EXPECT_EQ(kiro_credential_serialize(cred.get(), buf.data(), need - 1), need);
    EXPECT_EQ(buf, std::string(need, '#'));
    EXPECT_EQ(kiro_credential_serialize(cred.get(), buf.data(), need), need);
    EXPECT_EQ(buf.front(), '{');
    EXPECT_EQ(buf.back(), '}');
}

TEST(Credential, CopyStandsAlone) {
    kiro_failure f;
    auto cred = parse(oidc_json(refresh_token(), registration_members() + ","), &f);
    const auto copy = own(kiro_credential_copy(cred.get()));
    const std::string before = serialize(cred);
    cred.reset();
    EXPECT_EQ(serialize(copy), before);
    kiro_credential_free(nullptr);
}

TEST(Credential, NamesEveryLogin) {
    for (kiro_login login : {KIRO_LOGIN_API_KEY, KIRO_LOGIN_SOCIAL, KIRO_LOGIN_OIDC, KIRO_LOGIN_EXTERNAL}) {
        EXPECT_STRNE(kiro_login_name(login), "");
        EXPECT_STRNE(kiro_login_name(login), "unknown login");
    }
}

// A refresh as the auth host grants it; an empty token: it was not replaced.
void refresh(const CredentialPtr &cred, int64_t now, const std::string &token) {
    const std::string body = R"({"accessToken":")" + access_token('n') + R"(","expiresIn":3600)" +
                             (token.empty() ? "" : R"(,"refreshToken":")" + token + "\"") + "}";
    kiro_failure f;
    ASSERT_EQ(kiro_refresh_reply(cred.get(), now, 200, body.data(), body.size(), &f), KIRO_REFRESH_OK);
}

TEST(PreferState, NewestOfTheSameLogin) {
    kiro_failure f;
    const auto source = parse(social_json(refresh_token()), &f);
    const auto state = own(kiro_credential_copy(source.get()));
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), state.get()), 1);
    // Refreshed here without a new refresh token.
    refresh(state, noon, "");
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), state.get()), 1);
    // Refreshed elsewhere, later, without a new refresh token.
    refresh(source, noon + 1000, "");
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), state.get()), 0);
}

TEST(PreferState, AReplacedRefreshTokenIsNeverGivenUpForItsAncestor) {
    kiro_failure f;
    const auto source = parse(social_json(refresh_token()), &f);
    const auto state = own(kiro_credential_copy(source.get()));
    // The source's access token lives longer, but its refresh token is dead.
    refresh(state, noon - 7200 * 1000, refresh_token('1'));
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), state.get()), 1);

    // The source was written back, then the login was refreshed again.
    refresh(state, noon, refresh_token('2'));
    refresh(state, noon, refresh_token('3'));
    for (char ancestor : {'1', '2'}) {
        const auto older = parse(social_json(refresh_token(ancestor)), &f);
        EXPECT_EQ(kiro_credential_prefer_state(older.get(), state.get()), 1) << ancestor;
    }
    const auto read_again = parse(serialize(state), &f);
    ASSERT_TRUE(read_again) << f.message;
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), read_again.get()), 1);
    const auto older = parse(social_json(refresh_token('1')), &f);
    EXPECT_EQ(kiro_credential_prefer_state(older.get(), read_again.get()), 1);
}

TEST(PreferState, AChangedSourceWins) {
    kiro_failure f;
    const auto state = parse(social_json(refresh_token()), &f);
    refresh(state, noon * 2, refresh_token('1'));
    // A new login, or a refresh by its owner: its token is unknown here.
    const auto source = parse(social_json(refresh_token('x')), &f);
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), state.get()), 0);
    // The same, even if its access token is gone already.
    const auto bare = own(kiro_credential_from_refresh_token(str(refresh_token('y')), &f));
    EXPECT_EQ(kiro_credential_prefer_state(bare.get(), state.get()), 0);
    const auto key = own(kiro_credential_from_api_key(str("ksk_SECRET"), &f));
    EXPECT_EQ(kiro_credential_prefer_state(key.get(), state.get()), 0);
}

TEST(PreferState, ARegistrationThatTheStateLacksIsTaken) {
    kiro_failure f;
    const auto state = parse(oidc_json(refresh_token()), &f);
    const auto source = parse(oidc_json(refresh_token(), registration_members() + ","), &f);
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), state.get()), 0);
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), source.get()), 1);
}

TEST(PreferState, OfTwoStatesTheDescendantWins) {
    kiro_failure f;
    const auto older = parse(serialize(parse(social_json(refresh_token()), &f)), &f);
    refresh(older, noon, refresh_token('1'));
    const auto newer = own(kiro_credential_copy(older.get()));
    // Its access token may even end sooner.
    refresh(newer, noon - 7200 * 1000, refresh_token('2'));
    EXPECT_EQ(kiro_credential_prefer_state(newer.get(), older.get()), 0);
    EXPECT_EQ(kiro_credential_prefer_state(older.get(), newer.get()), 1);
    const auto sibling = own(kiro_credential_copy(older.get()));
    refresh(sibling, noon, refresh_token('3'));
    EXPECT_EQ(kiro_credential_prefer_state(newer.get(), sibling.get()), 1);
    EXPECT_EQ(kiro_credential_prefer_state(sibling.get(), newer.get()), 0);
}

TEST(PreferState, AnotherKindOfLoginIsANewOne) {
    kiro_failure f;
    const auto state = parse(tokens(), &f);
    const auto source = parse(tokens(R"(,"authMethod":"IdC")"), &f);
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), state.get()), 0);
}

TEST(PreferState, TheLineageIsBounded) {
    kiro_failure f;
    const auto source = parse(social_json(refresh_token()), &f);
    const auto state = own(kiro_credential_copy(source.get()));
    for (int i = 0; i < 100; ++i) {
        refresh(state, noon, refresh_token() + std::to_string(i));
    }
    EXPECT_LT(serialize(state).size(), 4000u);
    const auto again = parse(serialize(state), &f);
    ASSERT_TRUE(again) << f.message;
    EXPECT_EQ(kiro_credential_prefer_state(source.get(), again.get()), 1);
}

TEST(ProfileArn, GivesItsRegion) {
    kiro_str region;
    ASSERT_EQ(kiro_arn_region(str(""), &region), KIRO_OK);
    EXPECT_EQ(text(region), "us-east-1");
    for (const char *expected : {"us-east-1", "eu-central-1", "us-gov-west-1", "xx-test-9"}) {
        const std::string arn =
            std::string("arn:aws:codewhisperer:") + expected + ":012345678901:profile/AB:CD";
        ASSERT_EQ(kiro_arn_region(str(arn), &region), KIRO_OK);
        EXPECT_EQ(text(region), expected);
    }
    for (const std::string &bad :
         {std::string("x"), std::string("arn:aws:codewhisperer:us-east-1"),
          std::string("arn:aws:codewhisperer::012345678901:profile/A"),
          std::string("arn:aws:codewhisperer:us-east-1::profile/A"),
          std::string("arn:aws:codewhisperer:us-east-1:012345678901:"),
          std::string("arn:aws:codewhisperer:evil.example:012345678901:profile/A"),
          std::string("arn:aws:codewhisperer:US-EAST-1:012345678901:profile/A"),
          std::string("urn:aws:codewhisperer:us-east-1:012345678901:profile/A"),
          std::string("arn:aws:codewhisperer:us-east-1:012345678901:profile/A\r\nX: y"),
          "arn:aws:codewhisperer:us-east-1:012345678901:profile/" + std::string(250, 'a')}) {
        EXPECT_EQ(kiro_arn_region(str(bad), &region), KIRO_ERROR) << bad;
    }
}

TEST(Credential, TheTokenEndpointHasAPublicName) {
    kiro_failure f{};
    const auto login = [&](const std::string &endpoint, const std::string &issuer) {
        return parse(
            tokens(R"(,"clientId":"c","tokenEndpoint":")" + endpoint + R"(","issuerUrl":")" + issuer + "\""),
            &f);
    };
    for (const char *bad : {"http://i.example/t",
                            "https://127.0.0.1/t",
                            "https://2130706433/t",
                            "https://0x7f000001/t",
                            "https://0x7f.1/t",
                            "https://0177.0.0.01/t",
                            "https://127.0.0.0x1/t",
                            "https://127.1/t",
                            "https://[::1]/t",
                            "https://[::ffff:127.0.0.1]/t",
                            "https://localhost/t",
                            "https://idp/t",
                            "https://a.localhost/t",
                            "https://metadata.google.internal/t",
                            "https://printer.LOCAL/t",
                            "https://i.example./t",
                            "https://.i.example/t",
                            "https://i..example/t",
                            "https://-i.example/t",
                            "https://i-.example/t",
                            "https://i_x.example/t",
                            "https://u@i.example/t",
                            "https://u:p@i.example/t",
                            "https://i.example:8443/t",
                            "https://i.example:/t",
                            "https://i.example:0443/t",
                            "https://i.example:443@evil.example/t",
                            "https://i.example%2eevil.example/t",
                            "https://i.example?x=/t",
                            "https://i.example#/t",
                            "https:///t",
                            "https://"}) {
        EXPECT_FALSE(login(bad, bad)) << bad;
        EXPECT_NE(std::string(f.message).find("\"tokenEndpoint\""), std::string::npos) << f.message;
        EXPECT_FALSE(login("https://i.example/t", bad)) << bad;
    }
    const std::string long_label = "https://" + std::string(64, 'a') + ".example/t";
    EXPECT_FALSE(login(long_label, long_label));

    const std::pair<const char *, const char *> good[] = {
        {"https://login.microsoftonline.com/t/oauth2/v2.0/token", "https://login.microsoftonline.com/t/v2.0"},
        {"https://login.microsoftonline.com/t/oauth2/v2.0/token", "https://sts.windows.net/t/"},
        {"https://oauth2.googleapis.com/token", "https://accounts.google.com"},
        {"https://dev-1.okta.com:443/oauth2/v1/token", "https://DEV-1.okta.com"},
        {"https://login.i.example/t", "https://i.example"},
        {"https://7.xn--e1afmkfd.xn--p1ai/t", "https://7.xn--e1afmkfd.xn--p1ai"},
    };
    for (const auto &[endpoint, issuer] : good) {
        EXPECT_TRUE(login(endpoint, issuer)) << endpoint << ": " << f.message;
    }
    EXPECT_FALSE(login("https://sts.windows.net/t", "https://login.microsoftonline.com/"));
    EXPECT_FALSE(login("https://i.example/t", "https://login.i.example"));
}

TEST(Credential, ARegionIsFitForAHostName) {
    for (const char *good : {"us-east-1", "eu-central-1", "cn-north-1", "a"}) {
        EXPECT_TRUE(kiro_is_region(str(good))) << good;
    }
    for (const char *bad : {"", "us east", "us-east-1.evil.example", "US-EAST-1", "-a", "a-", "a/b", "a@b",
                            "123456789012345678901234567890123", "us_east"}) {
        EXPECT_FALSE(kiro_is_region(str(bad))) << bad;
    }
}

} // namespace
