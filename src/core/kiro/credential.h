// A login as it is held in memory.
#ifndef KIRO_CORE_KIRO_CREDENTIAL_H
#define KIRO_CORE_KIRO_CREDENTIAL_H

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/kiro/secret.h"
#include "kiro/credential.h"

namespace kiro::kiro {

constexpr size_t max_credential_file = size_t{1} << 20;
constexpr size_t max_token = 8192;
constexpr std::string_view default_region = "us-east-1";

struct Credential {
    kiro_login login = KIRO_LOGIN_SOCIAL;
    Secret access_token;
    Secret refresh_token;
    int64_t expires_at = 0;
    std::string profile_arn;
    std::string sso_region;

    std::string client_id;
    Secret client_secret;
    std::string client_id_hash;

    // external IdP
    std::string token_endpoint;
    std::string issuer_url;
    std::string scopes;

    // What the source said besides; not kept in the state file.
    std::string start_url;
    std::string oauth_flow;
    bool region_is_default = false;
    int64_t registration_expires_at = 0;
    std::string source_key; // of the database row
    std::string found;      // how the login was told, for the operator: no secret in it
    std::string warning;

    std::string fingerprint;
    // Fingerprints of the refresh tokens that were replaced since the import, oldest
    // first: a source that holds one of them is older than this record.
    std::vector<std::string> lineage;
    bool is_state = false;

    // Settings of the operator: they win. A serialized record keeps them apart, so that
    // a setting that was taken back does not stay behind in the state file.
    std::string operator_profile_arn;
    std::string operator_region;

    std::string_view effective_profile_arn() const {
        return operator_profile_arn.empty() ? profile_arn : operator_profile_arn;
    }
    std::string_view effective_region() const {
        return operator_region.empty() ? sso_region : operator_region;
    }
    bool has_registration() const { return !client_id.empty() && !client_secret.empty(); }
};

// What goes into headers and forms: visible ASCII, no white space.
bool is_token(std::string_view text);

// Hex, 32 characters, one way: fit for logs.
std::string fingerprint_of(std::string_view secret);

// Of the refresh token, or of the access token or key if there is none.
std::string current_fingerprint(const Credential &cred);

// A client registration of AWS SSO.
struct Registration {
    std::string client_id;
    Secret client_secret;
    int64_t expires_at = 0;
    std::string region;
    std::string oauth_flow;
};

// Builder ID logins have no profile of their own.
bool is_builder_id(const Credential &cred);

// Adds to the texts for the operator, with a separator.
void append_note(std::string &notes, std::string_view note);

// On failure nothing or false, and f is set. A record in a database is of the kind that its
// key says.
std::optional<Credential> parse_credential(std::string_view text, kiro_failure *f,
                                           std::optional<kiro_login> expected = {});
std::optional<Registration> parse_registration(std::string_view text, kiro_failure *f);
void set_registration(Credential &cred, Registration registration);
bool add_registration(Credential &cred, std::string_view text, kiro_failure *f);
// From a record that names the same registration.
void keep_registration(Credential &cred, const Credential &known);
std::optional<Credential> credential_from_api_key(std::string_view key, kiro_failure *f);
std::optional<Credential> credential_from_refresh_token(std::string_view token, kiro_failure *f);

Secret serialize(const Credential &cred);
bool prefer_state(const Credential &source, const Credential &state);

} // namespace kiro::kiro

struct kiro_credential {
    kiro::kiro::Credential value;
};

#endif
