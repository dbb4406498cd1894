#include "creds/report.h"

#include <array>
#include <cstdlib>
#include <ctime>

#include "core/kiro/auth.h"
#include "core/kiro/profile_arn.h"

namespace kiro::creds {

using ::kiro::kiro::Credential;

namespace {

constexpr int64_t second = 1000;
constexpr int64_t minute = 60 * second;
constexpr int64_t hour = 60 * minute;
constexpr int64_t day = 24 * hour;

std::string kind_of(const kiro_source &source, const Credential &cred) {
    if (cred.is_state) {
        return "a state file of this module (state_path)";
    }
    switch (source.kind) {
    case KIRO_SOURCE_API_KEY_FILE:
        return "a file with an API key";
    case KIRO_SOURCE_CREDENTIALS_FILE:
        return "a JSON login file";
    case KIRO_SOURCE_REFRESH_TOKEN_FILE:
        return "a file with a refresh token";
    case KIRO_SOURCE_CREDENTIALS_DB:
        break;
    }
    return "a database of kiro-cli or Amazon Q";
}

const char *directive_of(kiro_source_kind kind) {
    constexpr std::array<const char *, 4> names = {"api_key_file", "credentials_file", "refresh_token_file",
                                                   "credentials_db"};
    return names.at(kind);
}

std::string span_of(int64_t ms) {
    struct Unit {
        int64_t size;
        const char *name;
    };
    for (const Unit unit : {Unit{day, "d"}, Unit{hour, "h"}, Unit{minute, "min"}}) {
        if (ms >= 2 * unit.size) {
            return std::to_string(ms / unit.size) + " " + unit.name;
        }
    }
    return std::to_string(ms / second) + " s";
}

// "2026-11-25 12:02:03 UTC, in 42 min".
std::string time_of(int64_t at, int64_t now) {
    const std::time_t seconds = at / second;
    std::tm parts{};
    std::array<char, 40> text{};
    if (gmtime_r(&seconds, &parts) == nullptr ||
        std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts) == 0) {
        return "a time that is no date";
    }
    return std::string(text.data()) +
           (at > now ? ", in " + span_of(at - now) : ", " + span_of(now - at) + " ago");
}

std::string short_print(std::string_view secret) {
    constexpr size_t length = 8;
    return ::kiro::kiro::fingerprint_of(secret).substr(0, length);
}

std::string access_token(const Credential &cred, int64_t now) {
    if (cred.access_token.empty()) {
        return "none yet, the first refresh brings it";
    }
    const std::string print = "fingerprint " + short_print(cred.access_token.view()) + ", ";
    if (cred.login == KIRO_LOGIN_API_KEY) {
        return print + "an API key does not expire";
    }
    if (cred.expires_at == 0) {
        return print + "its expiry is unknown";
    }
    return print + (cred.expires_at > now ? "expires " : "EXPIRED ") + time_of(cred.expires_at, now);
}

std::string registration(const Credential &cred, int64_t now) {
    if (!cred.has_registration()) {
        return "missing";
    }
    return cred.registration_expires_at == 0 ? "there, its expiry is unknown"
           : cred.registration_expires_at > now
               ? "there, expires " + time_of(cred.registration_expires_at, now)
               : "EXPIRED " + time_of(cred.registration_expires_at, now) + ": log in again";
}

// Why it cannot be refreshed; empty if it can.
std::string no_refresh(const Credential &cred, int64_t now) {
    kiro_failure why{};
    if (!::kiro::kiro::refresh_request(cred, {"host", "", "kiro-creds"}, &why)) {
        return why.message;
    }
    if (::kiro::kiro::auth_endpoint(cred).empty()) {
        return "\"tokenEndpoint\" is missing: set auth_endpoint in nginx";
    }
    if (cred.registration_expires_at != 0 && cred.registration_expires_at <= now) {
        return "the client registration has expired: log in again";
    }
    return {};
}

// Only what is the same for everybody.
std::string shortened(std::string_view arn) {
    const auto region = ::kiro::kiro::arn_region(arn);
    return "arn:...:" + std::string(region.value_or("?")) + ":...:profile/..., fingerprint " +
           short_print(arn);
}

std::string profile(const Credential &cred) {
    if (cred.login == KIRO_LOGIN_API_KEY) {
        return "none, the API key says it";
    }
    if (!cred.profile_arn.empty()) {
        return shortened(cred.profile_arn);
    }
    return ::kiro::kiro::is_builder_id(cred) ? "none, a Builder ID has no profile of its own"
                                             : "not in the source, the service is asked for it";
}

std::string host_of(std::string_view url) {
    const size_t start = url.find("://");
    url = start == url.npos ? url : url.substr(start + 3);
    return std::string(url.substr(0, url.find_first_of("/?#")));
}

} // namespace

std::string printable(std::string_view text) {
    std::string out(text);
    for (char &c : out) {
        const auto byte = static_cast<unsigned char>(c);
        c = byte < 0x20 || byte == 0x7f ? '?' : c;
    }
    return out;
}

Report report(const kiro_source &source, const Credential &cred, int64_t now) {
    Report out;
    const auto say = [&](const char *label, const std::string &text) {
        if (!text.empty()) {
            out.lines.push_back({label, printable(text)});
        }
    };
    const bool key = cred.login == KIRO_LOGIN_API_KEY;
    const std::string obstacle = key ? "" : no_refresh(cred, now);
    const bool alive = !cred.access_token.empty() && (key || cred.expires_at == 0 || cred.expires_at > now);
    const std::string region(
        cred.profile_arn.empty()
            ? ::kiro::kiro::default_region
            : ::kiro::kiro::arn_region(cred.profile_arn).value_or(::kiro::kiro::default_region));

    say("source", kind_of(source, cred) + ": " + source.path);
    say("login", kiro_login_name(cred.login));
    say("known by", cred.found);
    say("access token", access_token(cred, now));
    if (!key) {
        say("refresh token",
            cred.refresh_token.empty() ? "none" : "fingerprint " + short_print(cred.refresh_token.view()));
        if (cred.login == KIRO_LOGIN_OIDC) {
            say("registration", registration(cred, now));
        }
        say("refresh", obstacle.empty() ? "possible" : "NOT possible: " + obstacle);
        if (cred.login == KIRO_LOGIN_OIDC) {
            say("SSO region", std::string(cred.effective_region()) +
                                  (cred.region_is_default ? " (by default, the source has none)" : ""));
        }
    }
    say("profile ARN", profile(cred));
    say("API region", region + (cred.profile_arn.empty() ? " (until a profile says otherwise)" : ""));
    std::string hosts = "runtime." + region + ".kiro.dev, management." + region + ".kiro.dev";
    if (obstacle.empty() && !key) {
        hosts += ", " + host_of(::kiro::kiro::auth_endpoint(cred));
    }
    say("hosts", hosts);
    say("for nginx", cred.is_state ? "" : std::string(directive_of(source.kind)) + " " + source.path + ";");
    say("warning", cred.warning);
    out.usable = alive || (!key && obstacle.empty());
    say("result", out.usable
                      ? (alive ? "it can be used" : "it can be used after a refresh, which nginx makes")
                      : "it CANNOT be used: somebody has to log in again");
    return out;
}

} // namespace kiro::creds
