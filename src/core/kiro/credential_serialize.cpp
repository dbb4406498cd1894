#include "core/kiro/credential.h"

#include <array>

#include "core/kiro/secret_json.h"
#include "core/kiro/state_format.h"

namespace kiro::kiro {

namespace {

// authMethod as the credential parser reads it.
constexpr std::array<std::string_view, 4> login_words = [] {
    std::array<std::string_view, 4> words;
    words[KIRO_LOGIN_API_KEY] = "api_key";
    words[KIRO_LOGIN_SOCIAL] = "social";
    words[KIRO_LOGIN_OIDC] = "IdC";
    words[KIRO_LOGIN_EXTERNAL] = "external_idp";
    return words;
}();

} // namespace

Secret serialize(const Credential &cred) {
    SecretJsonWriter out;
    out.member("format", std::string_view(state_format::name));
    out.member("version", int64_t{state_format::version});
    out.member("authMethod", login_words[cred.login]);
    out.member("accessToken", cred.access_token.view());
    out.member("refreshToken", cred.refresh_token.view());
    if (cred.expires_at != 0) {
        out.member("expiresAt", cred.expires_at);
    }
    out.member("profileArn", std::string_view(cred.profile_arn));
    out.member("region", std::string_view(cred.sso_region));
    out.member("clientIdHash", std::string_view(cred.client_id_hash));
    out.member("clientId", std::string_view(cred.client_id));
    out.member("clientSecret", cred.client_secret.view());
    out.member("tokenEndpoint", std::string_view(cred.token_endpoint));
    out.member("issuerUrl", std::string_view(cred.issuer_url));
    out.member("scopes", std::string_view(cred.scopes));
    out.member("operatorProfileArn", std::string_view(cred.operator_profile_arn));
    out.member("operatorRegion", std::string_view(cred.operator_region));
    out.member("fingerprint", std::string_view(cred.fingerprint));
    out.member(state_format::lineage, cred.lineage);
    return out.finish();
}

} // namespace kiro::kiro
