// The database that kiro-cli and the Amazon Q CLI keep their logins in: which of its rows
// make up a login. Rows in, login out; reading them is the store's.
#ifndef KIRO_CORE_KIRO_LOGIN_DATABASE_H
#define KIRO_CORE_KIRO_LOGIN_DATABASE_H

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/kiro/credential.h"

namespace kiro::kiro {

// Table auth_kv. Tokens in the order in which they are looked for.
std::span<const std::string_view> token_keys();

// The kind that a key says ("kirocli:odic:token": AWS SSO); nothing for an unknown one.
std::optional<kiro_login> login_of_key(std::string_view key);

// The registrations that may belong to a token, best first: of the same program only.
std::vector<std::string> registration_keys(std::string_view token_key);

// Table state.
inline constexpr std::string_view state_profile_key = "api.codewhisperer.profile";
inline constexpr std::string_view state_region_key = "auth.idc.region";
inline constexpr std::string_view state_start_url_key = "auth.idc.start-url";

struct DatabaseRow {
    std::string key;
    Secret value;
    // Why the value could not be read; empty if it was.
    std::string problem;
};

struct DatabaseRows {
    std::vector<DatabaseRow> tokens; // in the order of the keys
    std::vector<DatabaseRow> registrations;
    std::vector<DatabaseRow> state;
};

// The login to use at this time: not expired before expired, then the later expiry. With a
// key only that row. Nothing: f is set.
std::optional<Credential> login_from_rows(const DatabaseRows &rows, std::string_view forced_key, int64_t now,
                                          kiro_failure *f);

// {"arn":"..."}: a chosen profile. Empty: there is none in it.
std::string profile_of(std::string_view text);

} // namespace kiro::kiro

#endif
