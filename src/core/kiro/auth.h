// How a login is refreshed: the request to its auth host and the answer.
#ifndef KIRO_CORE_KIRO_AUTH_H
#define KIRO_CORE_KIRO_AUTH_H

#include <optional>
#include <string>
#include <string_view>

#include "core/kiro/credential.h"

namespace kiro::kiro {

// Empty if the login is never refreshed.
std::string auth_endpoint(const Credential &cred);

// See kiro_auth_same_endpoint().
bool same_auth_endpoint(const Credential &cred, const Credential &other);

struct AuthTarget {
    std::string_view host;
    std::string_view prefix;
    std::string_view user_agent;
};

std::optional<Secret> refresh_request(const Credential &cred, const AuthTarget &target, kiro_failure *f);

kiro_refresh_verdict refresh_reply(Credential &cred, int64_t now, int status, std::string_view body,
                                   kiro_failure *f);

} // namespace kiro::kiro

#endif
