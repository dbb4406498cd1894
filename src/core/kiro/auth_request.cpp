#include "core/kiro/auth.h"

#include <algorithm>
#include <charconv>

#include "core/kiro/secret_json.h"

namespace kiro::kiro {

namespace {

struct Form {
    std::string_view path; // after the endpoint's own path
    std::string_view content_type;
};

Form form_of(kiro_login login) {
    switch (login) {
    case KIRO_LOGIN_SOCIAL:
        return {"/refreshToken", "application/json"};
    case KIRO_LOGIN_OIDC:
        return {"/token", "application/json"};
    default:
        return {"", "application/x-www-form-urlencoded"};
    }
}

void append_form(Secret &out, std::string_view name, std::string_view value) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    if (value.empty()) {
        return;
    }
    if (!out.empty()) {
        out.push_back('&');
    }
    out.append(name);
    out.push_back('=');
    for (char c : value) {
        if (plain.find(c) != plain.npos) {
            out.push_back(c);
        } else if (c == ' ') {
            out.push_back('+');
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out.push_back('%');
            out.push_back(hex[byte >> 4]);
            out.push_back(hex[byte & 15]);
        }
    }
}

Secret refresh_body(const Credential &cred) {
    if (cred.login == KIRO_LOGIN_EXTERNAL) {
        Secret body;
        append_form(body, "grant_type", "refresh_token");
        append_form(body, "client_id", cred.client_id);
        append_form(body, "refresh_token", cred.refresh_token.view());
        append_form(body, "scope", cred.scopes);
        return body;
    }
    SecretJsonWriter body;
    if (cred.login == KIRO_LOGIN_OIDC) {
        body.member("clientId", std::string_view(cred.client_id));
        body.member("clientSecret", cred.client_secret.view());
    }
    body.member("refreshToken", cred.refresh_token.view());
    if (cred.login == KIRO_LOGIN_OIDC) {
        body.member("grantType", std::string_view("refresh_token"));
    }
    return body.finish();
}

// Why this login cannot be refreshed; nothing if it can.
const char *refusal(const Credential &cred) {
    if (cred.login == KIRO_LOGIN_API_KEY) {
        return "an API key is never refreshed: the key was refused, create another";
    }
    if (cred.refresh_token.empty()) {
        return "there is no refresh token: the access token serves until it expires, then log in again";
    }
    if (cred.login == KIRO_LOGIN_OIDC && !cred.has_registration()) {
        return "the client registration (clientId, clientSecret) is missing: AWS SSO refreshes nothing "
               "without it";
    }
    if (cred.login == KIRO_LOGIN_EXTERNAL && cred.client_id.empty()) {
        return "\"clientId\" is missing: the identity provider refreshes nothing without it";
    }
    return nullptr;
}

bool is_header_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
}

} // namespace

std::string auth_endpoint(const Credential &cred) {
    const std::string region(cred.effective_region());
    switch (cred.login) {
    case KIRO_LOGIN_SOCIAL:
        return "https://prod." + region + ".auth.desktop.kiro.dev";
    case KIRO_LOGIN_OIDC:
        return "https://oidc." + region + ".amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
    case KIRO_LOGIN_EXTERNAL:
        return cred.token_endpoint;
    case KIRO_LOGIN_API_KEY:
        break;
    }
    return {};
}

bool same_auth_endpoint(const Credential &cred, const Credential &other) {
    const bool same_region = !cred.operator_region.empty() || cred.sso_region == other.sso_region;
    return cred.login == other.login && same_region && cred.token_endpoint == other.token_endpoint;
}

std::optional<Secret> refresh_request(const Credential &cred, const AuthTarget &target, kiro_failure *f) {
    if (const char *why = refusal(cred)) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "%s", why);
        return std::nullopt;
    }
    if (!is_token(target.host) || !is_header_text(target.user_agent) ||
        (!target.prefix.empty() && (!is_token(target.prefix) || target.prefix.front() != '/'))) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "the auth endpoint or the user agent is malformed");
        return std::nullopt;
    }
    const Form form = form_of(cred.login);
    std::string_view prefix = target.prefix;
    if (!form.path.empty() && prefix.ends_with('/')) {
        prefix.remove_suffix(1);
    }
    const Secret body = refresh_body(cred);

    Secret out;
    out.reserve(body.size() + prefix.size() + target.host.size() + target.user_agent.size() + 256);
    out.append("POST ");
    out.append(prefix);
    out.append(prefix.empty() && form.path.empty() ? "/" : form.path);
    out.append(" HTTP/1.1\r\nHost: ");
    out.append(target.host);
    if (!target.user_agent.empty()) {
        out.append("\r\nUser-Agent: ");
        out.append(target.user_agent);
    }
    out.append("\r\nContent-Type: ");
    out.append(form.content_type);
    out.append("\r\nAccept: application/json\r\nContent-Length: ");
    out.append(std::to_string(body.size()));
    out.append("\r\nConnection: close\r\n\r\n");
    out.append(body.view());
    return out;
}

} // namespace kiro::kiro
