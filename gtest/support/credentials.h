// What the tests of logins share: tokens that a leak would show, and handles.
#ifndef KIRO_GTEST_SUPPORT_CREDENTIALS_H
#define KIRO_GTEST_SUPPORT_CREDENTIALS_H

#include <memory>
#include <string>
#include <string_view>

#include "kiro/credential.h"

namespace kiro::test {

// Every secret of the tests holds this word.
inline constexpr const char *leak_mark = "SECRET";

inline std::string refresh_token(char tail = 'r') {
    return "aorSECRET" + std::string(120, tail);
}
inline std::string access_token(char tail = 'a') {
    return "aoaSECRET" + std::string(40, tail);
}
inline const char *const client_secret = "client.SECRET.value";

using CredentialPtr = std::unique_ptr<kiro_credential, decltype(&kiro_credential_free)>;

inline CredentialPtr own(kiro_credential *cred) {
    return {cred, kiro_credential_free};
}
inline kiro_str str(std::string_view text) {
    return {text.data(), text.size()};
}
inline std::string text(kiro_str s) {
    return s.len == 0 ? std::string() : std::string(s.data, s.len);
}

inline CredentialPtr parse(std::string_view json, kiro_failure *f) {
    const std::string copy(json);
    return own(kiro_credential_parse(copy.data(), copy.size(), f));
}

inline kiro_credential_view view(const CredentialPtr &cred) {
    kiro_credential_view out;
    kiro_credential_get(cred.get(), &out);
    return out;
}

inline std::string serialize(const CredentialPtr &cred) {
    std::string out(kiro_credential_serialize(cred.get(), nullptr, 0), '\0');
    kiro_credential_serialize(cred.get(), out.data(), out.size());
    return out;
}

// A record like those of the Kiro IDE, with more members put in front.
inline std::string social_json(const std::string &refresh, const std::string &more = "") {
    return "{" + more + R"("accessToken":")" + access_token() + R"(","refreshToken":")" + refresh +
           R"(","expiresAt":"2026-10-01T12:00:00.000Z","authMethod":"social","provider":"Google",)" +
           R"("profileArn":"arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"})";
}

inline std::string oidc_json(const std::string &refresh, const std::string &more = "") {
    return "{" + more + R"("accessToken":")" + access_token() + R"(","refreshToken":")" + refresh +
           R"(","expiresAt":"2026-10-01T12:00:00","authMethod":"IdC","provider":"Enterprise",)" +
           R"("region":"eu-west-1","clientIdHash":"0123456789abcdef0123456789abcdef01234567"})";
}

inline std::string registration_members() {
    return std::string(R"("clientId":"the-client","clientSecret":")") + client_secret + "\"";
}

} // namespace kiro::test

#endif
