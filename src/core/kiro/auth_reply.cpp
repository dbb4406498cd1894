#include "core/kiro/auth.h"

#include <algorithm>
#include <charconv>

#include "core/kiro/profile_arn.h"
#include "core/kiro/secret_json.h"
#include "core/kiro/state_format.h"
#include "core/kiro/timestamp.h"

namespace kiro::kiro {

namespace {

// OAuth spells invalid_grant, AWS InvalidGrantException: compared without case, "_" and that suffix.
struct NamedError {
    std::string_view name;
    kiro_refresh_verdict verdict;
};

constexpr NamedError named_errors[] = {
    // about this refresh token: the source may hold its successor
    {"invalid_grant", KIRO_REFRESH_STALE},
    {"refresh_token_reused", KIRO_REFRESH_STALE},
    {"revoked", KIRO_REFRESH_STALE},
    // about the login or its registration
    {"invalid_client", KIRO_REFRESH_TERMINAL},
    {"expired_token", KIRO_REFRESH_TERMINAL},
    {"access_denied", KIRO_REFRESH_TERMINAL},
    {"unauthorized_client", KIRO_REFRESH_TERMINAL},
    {"invalid_request", KIRO_REFRESH_TERMINAL},
    {"unsupported_grant_type", KIRO_REFRESH_TERMINAL},
    {"invalid_scope", KIRO_REFRESH_TERMINAL},
    {"interaction_required", KIRO_REFRESH_TERMINAL},
    {"login_required", KIRO_REFRESH_TERMINAL},
    {"consent_required", KIRO_REFRESH_TERMINAL},
    // about the moment
    {"slow_down", KIRO_REFRESH_TRANSIENT},
    {"authorization_pending", KIRO_REFRESH_TRANSIENT},
    {"server_error", KIRO_REFRESH_TRANSIENT},
    {"internal_server", KIRO_REFRESH_TRANSIENT},
    {"temporarily_unavailable", KIRO_REFRESH_TRANSIENT},
    {"throttling", KIRO_REFRESH_TRANSIENT},
};

std::string normalised_error(std::string_view name) {
    constexpr std::string_view suffix = "exception";
    // "namespace#Name" and "Name:http://..."
    if (const size_t hash = name.rfind('#'); hash != name.npos) {
        name.remove_prefix(hash + 1);
    }
    name = name.substr(0, name.find(':'));
    std::string out;
    for (char c : name) {
        if (c != '_' && c != '-') {
            out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
        }
    }
    if (out.size() > suffix.size() && out.ends_with(suffix)) {
        out.resize(out.size() - suffix.size());
    }
    return out;
}

std::string_view text_of(const SecretJson &json, std::string_view camel, std::string_view snake) {
    std::string_view text;
    for (std::string_view name : {camel, snake}) {
        const auto element = json.find(name);
        if (element && !element->get(text)) {
            return text;
        }
    }
    return {};
}

const NamedError *find_error(const SecretJson &json) {
    for (const char *member : {"error", "__type", "code", "errorCode"}) {
        const std::string name = normalised_error(text_of(json, member, member));
        for (const NamedError &row : named_errors) {
            if (normalised_error(row.name) == name) {
                return &row;
            }
        }
    }
    return nullptr;
}

kiro_refresh_verdict transient(kiro_failure *f, kiro_failure_kind kind, int status, const char *what) {
    kiro_failure_set(f, kind, "the auth host answered %d: %s", status, what);
    f->retry = KIRO_RETRY_BACKOFF;
    f->upstream_status = status;
    return KIRO_REFRESH_TRANSIENT;
}

kiro_refresh_verdict refused(kiro_failure *f, kiro_refresh_verdict verdict, int status, const char *what) {
    kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "the auth host answered %d: %s", status, what);
    f->upstream_status = status;
    return verdict;
}

// The lifetime in ms. An answer without a usable one is not refused: with it a
// rotated refresh token would be lost.
int64_t lifetime(const SecretJson &json) {
    constexpr double usual_seconds = 3600;
    constexpr double longest_seconds = 366.0 * 24 * 3600;
    double seconds = 0;
    for (const char *name : {"expiresIn", "expires_in"}) {
        const auto element = json.find(name);
        std::string_view text;
        if (!element) {
            continue;
        }
        if (!element->get(text)) {
            std::from_chars(text.data(), text.data() + text.size(), seconds);
        } else if (element->get(seconds)) {
            seconds = 0;
        }
        break;
    }
    if (!(seconds >= 1)) {
        seconds = usual_seconds;
    }
    return static_cast<int64_t>(std::min(seconds, longest_seconds) * 1000);
}

kiro_refresh_verdict take_tokens(Credential &cred, int64_t now, int status, const SecretJson &json,
                                 kiro_failure *f) {
    const std::string_view access = text_of(json, "accessToken", "access_token");
    const std::string_view refresh = text_of(json, "refreshToken", "refresh_token");
    const std::string_view arn = text_of(json, "profileArn", "profile_arn");
    const char *problem = access.empty()                           ? "there is no access token in it"
                          : access.size() > max_token              ? "its access token is too long"
                          : refresh.size() > max_token             ? "its refresh token is too long"
                          : !is_token(access)                      ? "its access token is malformed"
                          : !refresh.empty() && !is_token(refresh) ? "its refresh token is malformed"
                                                                   : nullptr;
    if (problem != nullptr) {
        return transient(f, KIRO_FAIL_UPSTREAM_PROTOCOL, status, problem);
    }
    // Everything that allocates comes first: the credential changes whole or not at all.
    Secret new_access(access);
    Secret new_refresh(refresh.empty() ? cred.refresh_token.view() : refresh);
    std::string new_arn(arn_region(arn) ? arn : cred.profile_arn);
    std::vector<std::string> lineage = cred.lineage;
    if (new_refresh.view() != cred.refresh_token.view()) {
        if (lineage.size() == state_format::max_lineage) {
            lineage.erase(lineage.begin());
        }
        lineage.push_back(fingerprint_of(cred.refresh_token.view()));
    }
    cred.access_token = std::move(new_access);
    cred.refresh_token = std::move(new_refresh);
    cred.profile_arn = std::move(new_arn);
    cred.lineage = std::move(lineage);
    cred.expires_at = now + lifetime(json);
    return KIRO_REFRESH_OK;
}

const char *advice(kiro_refresh_verdict verdict) {
    return verdict == KIRO_REFRESH_STALE
               ? "the refresh token was replaced, revoked or has expired"
               : "the login or its client registration is not accepted (or auth_region is "
                 "wrong), a person must log in again";
}

} // namespace

kiro_refresh_verdict refresh_reply(Credential &cred, int64_t now, int status, std::string_view body,
                                   kiro_failure *f) {
    if (cred.refresh_token.empty()) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "this login has no refresh token");
        return KIRO_REFRESH_TERMINAL;
    }
    if (status == 429) {
        return transient(f, KIRO_FAIL_RATE_LIMITED, status, "too many requests");
    }
    if (status >= 500) {
        return transient(f, KIRO_FAIL_UPSTREAM_ERROR, status, "it has a problem of its own");
    }
    SecretJson json;
    const SecretJson::Status form = json.parse(body);
    const bool is_object = form == SecretJson::Status::ok;
    if (is_object) {
        if (const NamedError *error = find_error(json)) {
            // Kiro Desktop stands behind a CDN whose 403 says nothing about the login.
            const bool blocked =
                status == 403 && cred.login == KIRO_LOGIN_SOCIAL && error->verdict == KIRO_REFRESH_TERMINAL;
            if (blocked || error->verdict == KIRO_REFRESH_TRANSIENT) {
                return transient(f, KIRO_FAIL_UPSTREAM_ERROR, status, "it asks to try again later");
            }
            kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "the auth host answered %d %.*s: %s", status,
                             static_cast<int>(error->name.size()), error->name.data(),
                             advice(error->verdict));
            f->upstream_status = status;
            return error->verdict;
        }
    }
    if (status == 200) {
        return is_object ? take_tokens(cred, now, status, json, f)
                         : transient(f, KIRO_FAIL_UPSTREAM_PROTOCOL, status, "the answer is no JSON object");
    }
    // A dead social token is 401, with or without words; a page of somebody between is neither.
    const bool says_nothing = form == SecretJson::Status::empty;
    if (status == 401 && (is_object || (says_nothing && cred.login == KIRO_LOGIN_SOCIAL))) {
        return refused(f, KIRO_REFRESH_STALE, status, advice(KIRO_REFRESH_STALE));
    }
    if (status == 400 && is_object) {
        return refused(f, KIRO_REFRESH_STALE, status, "it refuses the refresh token without a known reason");
    }
    return transient(f, KIRO_FAIL_UPSTREAM_PROTOCOL, status,
                     status == 403                    ? "blocked on the way, the login is not in question"
                     : status >= 300 && status < 400  ? "a redirect, check auth_endpoint"
                     : status == 404 || status == 405 ? "no token service there, check auth_endpoint"
                                                      : "this is not an answer of the token service");
}

} // namespace kiro::kiro
