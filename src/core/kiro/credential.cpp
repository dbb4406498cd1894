#include "core/kiro/credential.h"

#include <algorithm>

#include <openssl/sha.h>

namespace kiro::kiro {

namespace {

constexpr size_t fingerprint_length = 32;

bool contains(const std::vector<std::string> &lineage, const std::string &fingerprint) {
    return std::find(lineage.begin(), lineage.end(), fingerprint) != lineage.end();
}

} // namespace

bool is_token(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string fingerprint_of(std::string_view secret) {
    constexpr std::string_view hex = "0123456789abcdef";
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char *>(secret.data()), secret.size(), hash);
    std::string text;
    text.reserve(fingerprint_length);
    for (size_t i = 0; i < fingerprint_length / 2; ++i) {
        text.push_back(hex[hash[i] >> 4]);
        text.push_back(hex[hash[i] & 15]);
    }
    return text;
}

std::string current_fingerprint(const Credential &cred) {
    return fingerprint_of(cred.refresh_token.empty() ? cred.access_token.view() : cred.refresh_token.view());
}

bool prefer_state(const Credential &source, const Credential &state) {
    const std::string from_source = current_fingerprint(source);
    const std::string from_state = current_fingerprint(state);
    if (source.login != state.login) {
        return false;
    }
    if (from_source == from_state) {
        const bool registration_came = source.has_registration() && !state.has_registration();
        return !registration_came && state.expires_at >= source.expires_at;
    }
    if (contains(source.lineage, from_state)) {
        return false;
    }
    if (contains(state.lineage, from_source) || state.fingerprint == from_source) {
        return true;
    }
    // Two states of one login, neither made from the other.
    const bool siblings = source.is_state && source.fingerprint == state.fingerprint;
    return siblings && state.expires_at >= source.expires_at;
}

} // namespace kiro::kiro
