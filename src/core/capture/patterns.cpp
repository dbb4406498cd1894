#include "core/capture/patterns.h"

#include <algorithm>
#include <array>
#include <string>

namespace kiro::capture {
namespace {

using Found = std::function<void(size_t, size_t)>;

constexpr std::string_view digits = "0123456789";

bool is_one_of(char c, std::string_view extra) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != extra.npos;
}

size_t span(std::string_view text, size_t i, std::string_view extra) {
    const size_t begin = i;
    while (i < text.size() && is_one_of(text[i], extra)) {
        ++i;
    }
    return i - begin;
}

struct Prefix {
    std::string_view prefix; // stays
    std::string_view extra;  // characters of the value beside letters and digits
    size_t least;            // of the value
};

constexpr std::array<Prefix, 12> prefixes{{
    {"ksk_", "_-", 4},       // API keys of Kiro
    {"sk-", "_-", 16},       // of other providers, and what people call theirs
    {"aoaA", "+/=:._-", 12}, // access and refresh tokens of AWS SSO
    {"aorA", "+/=:._-", 12},
    {"aoa", "+/=:._-", 60},
    {"aor", "+/=:._-", 60},
    {"eyJ", "_-.", 40}, // JWT
    {"AKIA", "", 16},   // keys of AWS
    {"ASIA", "", 16},
    {"Bearer ", "+/=:._~-", 8},
    {"bearer ", "+/=:._~-", 8},
    {"Basic ", "+/=", 8},
}};

void find_prefixes(std::string_view text, const Found &found) {
    for (const Prefix &p : prefixes) {
        for (size_t i = 0; (i = text.find(p.prefix, i)) != text.npos;) {
            const size_t begin = i + p.prefix.size();
            const bool inside = i > 0 && is_one_of(text[i - 1], "");
            i = begin;
            if (inside) {
                continue; // and is not read on: a word may be nothing but prefixes
            }
            const size_t length = span(text, begin, p.extra);
            if (length >= p.least) {
                found(begin, begin + length);
                i += length;
            }
        }
    }
}

// arn:aws:codewhisperer:us-east-1:123456789012:profile/ABC: account and profile.
void find_arns(std::string_view text, const Found &found) {
    constexpr size_t account_digits = 12;
    for (size_t i = 0; (i = text.find("arn:aws", i)) != text.npos;) {
        size_t p = i + 7;
        i = p;
        for (int field = 0; field < 3; ++field) { // the rest of the partition, service, region
            p += span(text, p, "-");
            if (p >= text.size() || text[p] != ':') {
                p = text.npos;
                break;
            }
            ++p;
        }
        if (p == text.npos) {
            continue;
        }
        size_t end = p;
        while (end < text.size() && digits.find(text[end]) != digits.npos) {
            ++end;
        }
        if (end - p != account_digits) {
            continue;
        }
        found(p, end);
        if (text.substr(end).starts_with(":profile/")) {
            const size_t profile = end + 9;
            end = profile + span(text, profile, "_-");
            found(profile, end);
        }
        i = end;
    }
}

constexpr std::array<std::string_view, 22> secret_names{
    "accesstoken",
    "apikey",
    "authorization",
    "authtoken",
    "bearertoken",
    "clientsecret",
    "cookie",
    "csrftoken",
    "idtoken",
    "passwd",
    "password",
    "proxyauthorization",
    "refreshtoken",
    "secret",
    "secretaccesskey",
    "secretkey",
    "sessiontoken",
    "setcookie",
    "xamzsecuritytoken",
    "xapikey",
    "xgoogapikey",
    "xauthtoken",
};

// Whose values have more than one word.
constexpr std::array<std::string_view, 4> header_names{"authorization", "cookie", "proxyauthorization",
                                                       "setcookie"};

std::string plain_name(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (c != '_' && c != '-') {
            out.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
        }
    }
    return out;
}

bool names_header(std::string_view name) {
    return std::find(header_names.begin(), header_names.end(), plain_name(name)) != header_names.end();
}

// The name that ends in front of i, perhaps in quotes.
std::string_view name_before(std::string_view text, size_t i) {
    constexpr size_t longest = 32;
    while (i > 0 &&
           (text[i - 1] == ' ' || text[i - 1] == '"' || text[i - 1] == '\\' || text[i - 1] == '\'')) {
        --i;
    }
    size_t begin = i;
    while (begin > 0 && i - begin <= longest && is_one_of(text[begin - 1], "_-")) {
        --begin;
    }
    return i - begin > longest ? std::string_view() : text.substr(begin, i - begin);
}

// "AWS_SECRET_ACCESS_KEY", too.
bool ends_as_secret(std::string_view name) {
    constexpr size_t shortest = 6;
    while (name.size() >= shortest) {
        if (names_secret(name)) {
            return true;
        }
        const size_t part = name.find_first_of("_-");
        name.remove_prefix(part == name.npos ? name.size() : part + 1);
    }
    return false;
}

// "name": "value", name=value, Name: value
void find_named(std::string_view text, const Found &found) {
    constexpr size_t least = 6;
    size_t line = 0; // what was read so far: the rest of it says nothing new
    size_t word = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ':' && text[i] != '=') {
            continue;
        }
        const std::string_view name = name_before(text, i);
        if (!ends_as_secret(name)) {
            continue;
        }
        size_t begin = i + 1;
        while (begin < text.size() && (text[begin] == ' ' || text[begin] == '\\')) {
            ++begin;
        }
        size_t end = begin;
        if (begin < text.size() && (text[begin] == '"' || text[begin] == '\'')) {
            const char quote = text[begin++];
            end = std::min(text.find_first_of(std::string{quote, '\\', '\n'}, begin), text.size());
        } else if (names_header(name)) {
            if (begin < line) {
                continue;
            }
            line = end = std::min(text.find_first_of("\r\n\"", begin), text.size());
        } else {
            if (begin < word) {
                continue;
            }
            word = end = std::min(text.find_first_of(" \t\r\n&\"'\\,;<>(){}[]", begin), text.size());
            if (text.substr(begin, end - begin).find_first_of(digits) == text.npos) {
                continue; // a word of a program or of a sentence
            }
        }
        if (end - begin >= least) {
            found(begin, end);
        }
    }
}

} // namespace

bool names_secret(std::string_view name) {
    const std::string plain = plain_name(name);
    return std::find(secret_names.begin(), secret_names.end(), plain) != secret_names.end();
}

void find_patterns(std::string_view text, const Found &found) {
    find_prefixes(text, found);
    find_arns(text, found);
    find_named(text, found);
}

} // namespace kiro::capture
