#include "core/kiro/https_url.h"

#include <algorithm>
#include <string>

#include "core/kiro/credential.h"

namespace kiro::kiro {

namespace {

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_label(std::string_view label) {
    constexpr size_t longest = 63;
    return !label.empty() && label.size() <= longest && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(),
                       [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char &c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

// Top-level names that resolve within a machine, a network or a cloud only.
constexpr std::string_view local_names[] = {"localhost", "local", "localdomain", "internal",
                                            "lan",       "home",  "corp",        "intranet"};

bool is_public_name(std::string_view host) {
    constexpr size_t longest = 253;
    const size_t last_dot = host.rfind('.');
    if (host.size() > longest || last_dot == host.npos) {
        return false;
    }
    // An IPv4 address ends in a number, in all its forms; a top-level name starts with a letter.
    const std::string top = lower(host.substr(last_dot + 1));
    if (top.empty() || !is_letter(top.front()) ||
        std::find(std::begin(local_names), std::end(local_names), top) != std::end(local_names)) {
        return false;
    }
    for (;;) {
        const size_t dot = std::min(host.find('.'), host.size());
        if (!is_label(host.substr(0, dot))) {
            return false;
        }
        if (dot == host.size()) {
            return true;
        }
        host.remove_prefix(dot + 1);
    }
}

struct KnownIssuer {
    std::string_view issuer;
    std::string_view host;
};

constexpr KnownIssuer known_issuers[] = {
    {"sts.windows.net", "login.microsoftonline.com"},
    {"accounts.google.com", "oauth2.googleapis.com"},
};

} // namespace

std::optional<HttpsUrl> parse_https_url(std::string_view url) {
    constexpr std::string_view scheme = "https://";
    if (!url.starts_with(scheme) || !is_token(url) || url.find_first_of("?#\"\\@") != url.npos) {
        return std::nullopt;
    }
    url.remove_prefix(scheme.size());
    const size_t slash = std::min(url.find('/'), url.size());
    const std::string_view authority = url.substr(0, slash);
    const size_t colon = std::min(authority.find(':'), authority.size());
    const std::string_view host = authority.substr(0, colon);
    const std::string_view port = authority.substr(colon);
    if (!is_public_name(host) || (!port.empty() && port != ":443")) {
        return std::nullopt;
    }
    return HttpsUrl{host, url.substr(slash)};
}

bool belongs_to_issuer(std::string_view host, std::string_view issuer) {
    const std::string there = lower(host);
    const std::string name = lower(issuer);
    return there == name || there.ends_with("." + name) ||
           std::any_of(std::begin(known_issuers), std::end(known_issuers),
                       [&](const KnownIssuer &known) { return known.issuer == name && known.host == there; });
}

} // namespace kiro::kiro
