#include "core/kiro/login_database.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "core/kiro/profile_arn.h"
#include "core/kiro/secret_json.h"

namespace kiro::kiro {

namespace {

// "odic" is how kiro-cli and Amazon Q spell it.
constexpr std::array<std::string_view, 8> keys = {
    "kirocli:social:token",       "kirocli:odic:token",
    "kirocli:oidc:token",         "kirocli:external-idp:token",
    "codewhisperer:odic:token",   "codewhisperer:oidc:token",
    "codewhisperer:social:token", "codewhisperer:external-idp:token",
};

struct KeyKind {
    std::string_view word;
    kiro_login login;
};

constexpr KeyKind key_kinds[] = {
    {"social", KIRO_LOGIN_SOCIAL},
    {"odic", KIRO_LOGIN_OIDC},
    {"oidc", KIRO_LOGIN_OIDC},
    {"external-idp", KIRO_LOGIN_EXTERNAL},
};

// "kirocli:odic:token" is {"kirocli", "odic"}.
struct KeyParts {
    std::string_view program;
    std::string_view kind;
};

std::optional<KeyParts> split_key(std::string_view key) {
    const size_t first = key.find(':');
    const size_t last = key.rfind(':');
    if (first == key.npos || last == first) {
        return std::nullopt;
    }
    return KeyParts{key.substr(0, first), key.substr(first + 1, last - first - 1)};
}

// The JSON string or the plain text of a state value.
std::string state_text(std::string_view value) {
    value = trim(value);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
    }
    return std::string(value);
}

std::string state_value(const DatabaseRows &rows, std::string_view key) {
    for (const DatabaseRow &row : rows.state) {
        if (row.key == key && row.problem.empty()) {
            return std::string(row.value.view());
        }
    }
    return {};
}

bool same_flow(std::string_view a, std::string_view b) {
    return a.empty() || b.empty() || std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
               return (x | 0x20) == (y | 0x20);
           });
}

bool fits(const Credential &cred, const Registration &registration) {
    return same_flow(cred.oauth_flow, registration.oauth_flow) &&
           (cred.region_is_default || registration.region.empty() || cred.sso_region == registration.region);
}

// A registration of another region or flow is another one: the service refuses it.
void find_registration(const DatabaseRows &rows, Credential &cred) {
    std::string problems;
    for (const std::string &key : registration_keys(cred.source_key)) {
        const auto row = std::find_if(rows.registrations.begin(), rows.registrations.end(),
                                      [&](const DatabaseRow &r) { return r.key == key; });
        if (row == rows.registrations.end()) {
            continue;
        }
        kiro_failure why{};
        auto registration = row->problem.empty() ? parse_registration(row->value.view(), &why) : std::nullopt;
        if (registration && fits(cred, *registration)) {
            set_registration(cred, std::move(*registration));
            append_note(cred.found, "registration \"" + key + "\"");
            return;
        }
        append_note(problems, "\"" + key + "\" " +
                                  (registration            ? "is of another region or way of logging in"
                                   : !row->problem.empty() ? row->problem
                                                           : std::string("is no use: ") + why.message));
    }
    append_note(cred.warning, "without its client registration this login cannot be refreshed" +
                                  (problems.empty() ? "" : " (" + problems + ")"));
}

bool can_refresh(const Credential &cred) {
    return !cred.refresh_token.empty() && (cred.login != KIRO_LOGIN_OIDC || cred.has_registration());
}

// What makes one login better than another at this time.
auto rank(const Credential &cred, int64_t now) {
    const bool alive =
        !cred.access_token.empty() && (cred.login == KIRO_LOGIN_API_KEY || cred.expires_at > now);
    return std::make_tuple(alive, can_refresh(cred), cred.expires_at);
}

// Whether two records are logins with the same organisation, whose profiles are the same.
bool same_organisation(const Credential &a, const Credential &b) {
    return a.login == b.login && a.start_url == b.start_url && a.sso_region == b.sso_region &&
           a.issuer_url == b.issuer_url;
}

// The profile and the region that the program keeps apart from its logins. Nothing says to
// which login they belong, so they are taken only where no other login can be meant.
void take_from_state(const DatabaseRows &rows, const std::vector<Credential> &logins, bool others_unknown,
                     Credential &cred) {
    const bool alone =
        !others_unknown && std::all_of(logins.begin(), logins.end(), [&](const Credential &other) {
            return is_builder_id(other) || same_organisation(other, cred);
        });
    if (!alone || is_builder_id(cred)) {
        return;
    }
    if (cred.login == KIRO_LOGIN_OIDC) {
        const std::string region = state_text(state_value(rows, state_region_key));
        const std::string start_url = state_text(state_value(rows, state_start_url_key));
        const bool same_start = cred.start_url.empty() || cred.start_url == start_url;
        if (cred.region_is_default && same_start && is_region(region)) {
            cred.sso_region = region;
            cred.region_is_default = false;
            append_note(cred.found, "region of the state table");
        }
    }
    const bool may_have_profile = cred.login == KIRO_LOGIN_OIDC || cred.login == KIRO_LOGIN_EXTERNAL;
    if (may_have_profile && cred.profile_arn.empty()) {
        cred.profile_arn = profile_of(state_value(rows, state_profile_key));
        append_note(cred.found, cred.profile_arn.empty() ? "" : "profile of the state table");
    }
}

std::optional<Credential> no_login(std::string_view forced_key, kiro_failure *f) {
    if (!forced_key.empty()) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "there is no row \"%.*s\" in its table auth_kv",
                         static_cast<int>(std::min<size_t>(forced_key.size(), 100)), forced_key.data());
        return std::nullopt;
    }
    std::string looked_for;
    for (std::string_view key : keys) {
        append_note(looked_for, key);
    }
    kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "nobody is logged in: its table auth_kv has none of %s",
                     looked_for.c_str());
    return std::nullopt;
}

} // namespace

std::span<const std::string_view> token_keys() {
    return keys;
}

std::optional<kiro_login> login_of_key(std::string_view key) {
    const auto parts = split_key(key);
    for (const KeyKind &kind : key_kinds) {
        if (parts && parts->kind == kind.word) {
            return kind.login;
        }
    }
    return std::nullopt;
}

std::vector<std::string> registration_keys(std::string_view token_key) {
    const auto parts = split_key(token_key);
    if (!parts) {
        return {};
    }
    const std::string program(parts->program);
    std::vector<std::string> out = {program + ":" + std::string(parts->kind) + ":device-registration"};
    for (std::string_view spelling : {"odic", "oidc"}) {
        if (spelling != parts->kind) {
            out.push_back(program + ":" + std::string(spelling) + ":device-registration");
        }
    }
    return out;
}

std::string profile_of(std::string_view text) {
    SecretJson json;
    std::string_view arn;
    if (text.size() > max_credential_file || json.parse(text) != SecretJson::Status::ok) {
        return {};
    }
    const auto element = json.find("arn");
    return element && !element->get(arn) && arn_region(arn) ? std::string(arn) : std::string();
}

std::optional<Credential> login_from_rows(const DatabaseRows &rows, std::string_view forced_key, int64_t now,
                                          kiro_failure *f) {
    std::vector<Credential> logins;
    std::string problems;
    std::optional<size_t> best;
    for (const DatabaseRow &row : rows.tokens) {
        kiro_failure why{};
        std::optional<Credential> cred;
        if (row.problem.empty()) {
            cred = parse_credential(row.value.view(), &why, login_of_key(row.key));
        }
        const bool wanted = forced_key.empty() || row.key == forced_key;
        if (!cred) {
            const std::string problem =
                "the row \"" + row.key + "\": " + (row.problem.empty() ? why.message : row.problem.c_str());
            append_note(problems, problem);
            if (!forced_key.empty() && wanted) {
                kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "%s", problem.c_str());
                return std::nullopt;
            }
            continue;
        }
        const std::string why_found = std::exchange(cred->found, "");
        cred->source_key = row.key;
        append_note(cred->found, "row \"" + row.key + "\"");
        append_note(cred->found, why_found);
        if (cred->login == KIRO_LOGIN_OIDC && !cred->has_registration()) {
            find_registration(rows, *cred);
        }
        logins.push_back(std::move(*cred));
        if (wanted && (!best || rank(logins.back(), now) > rank(logins[*best], now))) {
            best = logins.size() - 1;
        }
    }
    if (!best) {
        if (problems.empty() || !forced_key.empty()) {
            return no_login(forced_key, f);
        }
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "%s", problems.c_str());
        return std::nullopt;
    }
    Credential cred = logins[*best];
    take_from_state(rows, logins, !problems.empty(), cred);
    if (logins.size() > 1) {
        append_note(cred.found, forced_key.empty()
                                    ? "the best of " + std::to_string(logins.size()) + " logins there"
                                    : "as credentials_db_key says");
    }
    append_note(cred.warning, problems);
    return cred;
}

} // namespace kiro::kiro
