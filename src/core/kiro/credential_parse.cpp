#include "core/kiro/credential.h"

#include <algorithm>
#include <charconv>

#include "core/kiro/https_url.h"
#include "core/kiro/profile_arn.h"
#include "core/kiro/secret_json.h"
#include "core/kiro/state_format.h"
#include "core/kiro/timestamp.h"

namespace kiro::kiro {

namespace {

constexpr std::string_view builder_id_start_url = "https://view.awsapps.com/start";

constexpr kiro_failure_kind bad_login = KIRO_FAIL_LOGIN_REQUIRED;
constexpr size_t max_client_secret = 16384;
constexpr size_t max_text = 2048;
// kiro_auth_endpoint() promises that 256 bytes are enough.
constexpr size_t max_url = 256;

// The text members of a record, as views into the JSON.
struct Raw {
    std::string_view access_token, refresh_token, api_key;
    std::string_view client_id, client_secret, client_id_hash;
    std::string_view profile_arn, region, auth_method, provider, start_url, oauth_flow;
    std::string_view token_endpoint, issuer_url;
    // of a state only
    std::string_view fingerprint, operator_profile_arn, operator_region;
};

bool is_any(std::string_view) {
    return true;
}

bool is_file_stem(std::string_view text) {
    return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
           text.npos;
}

bool is_fingerprint(std::string_view text) {
    return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_url(std::string_view text) {
    return parse_https_url(text).has_value();
}
bool is_arn(std::string_view text) {
    return arn_region(text).has_value();
}

struct TextMember {
    const char *camel;
    const char *snake;
    std::string_view Raw::*field;
    size_t max;
    bool (*valid)(std::string_view);
    const char *expected;
};

constexpr const char *token_form = "visible ASCII without white space";
constexpr const char *arn_form = "arn:aws:codewhisperer:REGION:ACCOUNT:profile/ID";
constexpr const char *url_form = "an https URL of a public host name, without a port";
constexpr const char *region_form = "an AWS region";

constexpr TextMember text_members[] = {
    {"accessToken", "access_token", &Raw::access_token, max_token, is_token, token_form},
    {"refreshToken", "refresh_token", &Raw::refresh_token, max_token, is_token, token_form},
    {"apiKey", "api_key", &Raw::api_key, max_token, is_token, token_form},
    {"clientId", "client_id", &Raw::client_id, max_text, is_token, token_form},
    {"clientSecret", "client_secret", &Raw::client_secret, max_client_secret, is_token, token_form},
    {"clientIdHash", "client_id_hash", &Raw::client_id_hash, 128, is_file_stem,
     "letters, digits, \"_\" and \"-\""},
    {"profileArn", "profile_arn", &Raw::profile_arn, 256, is_arn, arn_form},
    {"region", "region", &Raw::region, 32, is_region, region_form},
    {"authMethod", "auth_method", &Raw::auth_method, max_text, is_any, ""},
    {"provider", "provider", &Raw::provider, max_text, is_any, ""},
    {"startUrl", "start_url", &Raw::start_url, max_text, is_any, ""},
    {"oauthFlow", "oauth_flow", &Raw::oauth_flow, max_text, is_any, ""},
    {"tokenEndpoint", "token_endpoint", &Raw::token_endpoint, max_url, is_url, url_form},
    {"issuerUrl", "issuer_url", &Raw::issuer_url, max_text, is_url, url_form},
};

constexpr TextMember state_members[] = {
    {"fingerprint", "fingerprint", &Raw::fingerprint, 32, is_fingerprint, "32 hex digits"},
    {"operatorProfileArn", "operatorProfileArn", &Raw::operator_profile_arn, 256, is_arn, arn_form},
    {"operatorRegion", "operatorRegion", &Raw::operator_region, 32, is_region, region_form},
};

constexpr TextMember registration_members[] = {
    {"clientId", "client_id", &Raw::client_id, max_text, is_token, token_form},
    {"clientSecret", "client_secret", &Raw::client_secret, max_client_secret, is_token, token_form},
    {"region", "region", &Raw::region, 32, is_region, region_form},
    {"oauthFlow", "oauth_flow", &Raw::oauth_flow, max_text, is_any, ""},
};

std::optional<simdjson::dom::element> find(const SecretJson &json, const char *camel, const char *snake,
                                           const char *&name) {
    name = camel;
    auto element = json.find(camel);
    if (!element) {
        name = snake;
        element = json.find(snake);
    }
    return element;
}

template <size_t N>
bool read_texts(const SecretJson &json, const TextMember (&members)[N], Raw &raw, kiro_failure *f) {
    for (const TextMember &member : members) {
        const char *name;
        const auto element = find(json, member.camel, member.snake, name);
        if (!element) {
            continue;
        }
        std::string_view text;
        if (element->get(text)) {
            kiro_failure_set(f, bad_login, "\"%s\" must be a string", name);
            return false;
        }
        if (text.size() > member.max) {
            kiro_failure_set(f, bad_login, "\"%s\" is longer than %zu bytes", name, member.max);
            return false;
        }
        if (!text.empty() && !member.valid(text)) {
            kiro_failure_set(f, bad_login, "\"%s\" is malformed: it must be %s", name, member.expected);
            return false;
        }
        raw.*member.field = text;
    }
    return true;
}

bool open_json(SecretJson &json, std::string_view text, kiro_failure *f) {
    if (text.size() > max_credential_file) {
        kiro_failure_set(f, bad_login, "the credentials are larger than %zu bytes", max_credential_file);
        return false;
    }
    if (text.starts_with("SQLite format 3")) {
        kiro_failure_set(f, bad_login, "this is an SQLite database, not a JSON file");
        return false;
    }
    switch (json.parse(text)) {
    case SecretJson::Status::ok:
        return true;
    case SecretJson::Status::empty:
        kiro_failure_set(f, bad_login, "the file is empty");
        return false;
    case SecretJson::Status::not_object:
        kiro_failure_set(f, bad_login, "the file must hold one JSON object");
        return false;
    case SecretJson::Status::invalid:
        break;
    }
    kiro_failure_set(f, bad_login, "this is not valid JSON in UTF-8 (is the copy complete?)");
    return false;
}

// The words of authMethod and provider, without case and separators.
struct DeclaredLogin {
    std::string_view word;
    kiro_login login;
};

constexpr DeclaredLogin declared_logins[] = {
    {"idc", KIRO_LOGIN_OIDC},       {"builderid", KIRO_LOGIN_OIDC}, {"enterprise", KIRO_LOGIN_OIDC},
    {"internal", KIRO_LOGIN_OIDC},  {"oidc", KIRO_LOGIN_OIDC},      {"social", KIRO_LOGIN_SOCIAL},
    {"google", KIRO_LOGIN_SOCIAL},  {"github", KIRO_LOGIN_SOCIAL},  {"externalidp", KIRO_LOGIN_EXTERNAL},
    {"apikey", KIRO_LOGIN_API_KEY},
};

const DeclaredLogin *declared_login(std::string_view text) {
    std::string word;
    for (char c : text) {
        if (c != '_' && c != '-' && c != ' ') {
            word.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
        }
    }
    for (const DeclaredLogin &row : declared_logins) {
        if (row.word == word) {
            return &row;
        }
    }
    return nullptr;
}

bool is_api_key(std::string_view text) {
    return text.starts_with("ksk_");
}

// The kind of a login, and what told it.
struct Detected {
    kiro_login login;
    std::string why;
};

Detected detect_login(const Raw &raw, std::optional<kiro_login> expected) {
    if (!raw.api_key.empty() || is_api_key(raw.access_token)) {
        return {KIRO_LOGIN_API_KEY, "a ksk_ key"};
    }
    if (expected) {
        return {*expected, ""};
    }
    // Only words of our table go into the log.
    if (const DeclaredLogin *declared = declared_login(raw.auth_method)) {
        return {declared->login, "authMethod " + std::string(declared->word)};
    }
    if (const DeclaredLogin *declared = declared_login(raw.provider)) {
        return {declared->login, "provider " + std::string(declared->word)};
    }
    if (!raw.token_endpoint.empty()) {
        return {KIRO_LOGIN_EXTERNAL, "it names a token endpoint"};
    }
    if (!raw.client_id.empty() && !raw.client_secret.empty()) {
        return {KIRO_LOGIN_OIDC, "client id and secret in it"};
    }
    // Only AWS SSO records name a registration or a start URL.
    if (!raw.client_id_hash.empty() || !raw.start_url.empty()) {
        return {KIRO_LOGIN_OIDC,
                raw.client_id_hash.empty() ? "it names a start URL" : "it names a registration"};
    }
    return {KIRO_LOGIN_SOCIAL, "tokens alone"};
}

bool check_refresh_token(std::string_view token, kiro_login login, kiro_failure *f) {
    // Other identity providers have shorter ones, of some 40 characters.
    constexpr size_t shortest_kiro_token = 100;
    const bool cut = login != KIRO_LOGIN_EXTERNAL && token.size() < shortest_kiro_token;
    if (cut || token.find("...") != token.npos) {
        kiro_failure_set(f, bad_login,
                         "the refresh token is a truncated copy (%zu characters%s): copy the whole token",
                         token.size(), cut ? ", at least 100 expected" : ", with \"...\" in it");
        return false;
    }
    return true;
}

bool read_time(const std::optional<simdjson::dom::element> &element, const char *name, bool is_state,
               int64_t &expires_at, kiro_failure *f) {
    if (!element) {
        return true;
    }
    std::string_view text;
    double number = 0;
    std::optional<int64_t> time;
    if (!element->get(text)) {
        if (text.empty()) {
            return true;
        }
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        const bool digits = error == std::errc() && end == text.data() + text.size();
        time = digits ? parse_epoch(number) : parse_iso8601(text);
    } else if (!element->get(number)) {
        // Ours is always in ms, so nothing has to be guessed.
        time = is_state && number >= 0 && number < 1e15 ? static_cast<int64_t>(number) : parse_epoch(number);
    }
    if (!time) {
        kiro_failure_set(f, bad_login,
                         "\"%s\" must be an ISO-8601 time like 2026-10-01T12:00:00Z or Unix seconds", name);
        return false;
    }
    expires_at = *time;
    return true;
}

bool read_expiry(const SecretJson &json, bool is_state, int64_t &expires_at, kiro_failure *f) {
    const char *name;
    const auto element = find(json, "expiresAt", "expires_at", name);
    return read_time(element, name, is_state, expires_at, f);
}

// A string, or an array of strings that are joined by spaces.
bool read_scopes(const SecretJson &json, std::string &scopes, kiro_failure *f) {
    const auto element = json.find("scopes");
    if (!element) {
        return true;
    }
    std::string_view text;
    simdjson::dom::array array;
    bool good = true;
    if (!element->get(text)) {
        scopes = text;
    } else if (!element->get(array)) {
        for (simdjson::dom::element item : array) {
            good = good && !item.get(text);
            if (!good || scopes.size() > max_text) {
                break;
            }
            scopes.append(scopes.empty() ? "" : " ").append(text);
        }
    } else {
        good = false;
    }
    const bool printable =
        std::all_of(scopes.begin(), scopes.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (!good || !printable || scopes.size() > max_text) {
        kiro_failure_set(f, bad_login, "\"scopes\" must be a string or an array of strings in ASCII");
        return false;
    }
    return true;
}

bool read_lineage(const SecretJson &json, std::vector<std::string> &lineage, kiro_failure *f) {
    const auto element = json.find(state_format::lineage);
    if (!element) {
        return true;
    }
    simdjson::dom::array array;
    bool good = !element->get(array);
    if (good) {
        for (simdjson::dom::element item : array) {
            std::string_view text;
            good = !item.get(text) && is_fingerprint(text) && lineage.size() < state_format::max_lineage;
            if (!good) {
                break;
            }
            lineage.emplace_back(text);
        }
    }
    if (!good) {
        kiro_failure_set(f, bad_login, "\"%s\" is malformed", state_format::lineage);
    }
    return good;
}

// A credential file is not trusted: its token endpoint gets the refresh token.
bool check_external(const Raw &raw, kiro_failure *f) {
    if (raw.token_endpoint.empty()) {
        return true;
    }
    if (raw.issuer_url.empty()) {
        kiro_failure_set(f, bad_login,
                         "\"issuerUrl\" is missing: the token endpoint cannot be checked against it");
        return false;
    }
    if (!belongs_to_issuer(parse_https_url(raw.token_endpoint)->host,
                           parse_https_url(raw.issuer_url)->host)) {
        kiro_failure_set(f, bad_login,
                         "the host of \"tokenEndpoint\" does not belong to that of \"issuerUrl\"");
        return false;
    }
    return true;
}

bool read_format(const SecretJson &json, bool &is_state, kiro_failure *f) {
    std::string_view format;
    const auto element = json.find("format");
    is_state = element && !element->get(format) && format == state_format::name;
    if (!is_state) {
        return true;
    }
    int64_t version = 0;
    const auto number = json.find("version");
    if (!number || number->get(version) || version < 1) {
        kiro_failure_set(f, bad_login, "the state file has no version");
        return false;
    }
    if (version > state_format::version) {
        kiro_failure_set(f, bad_login, "the state file was written by a newer version of ngx_kiro");
        return false;
    }
    return true;
}

bool check_complete(const Raw &raw, const Credential &cred, kiro_failure *f) {
    if (cred.login == KIRO_LOGIN_API_KEY && !is_api_key(cred.access_token.view())) {
        kiro_failure_set(f, bad_login, "the API key must start with \"ksk_\"");
        return false;
    }
    if (cred.access_token.empty() && cred.refresh_token.empty()) {
        kiro_failure_set(f, bad_login, "%s",
                         !raw.client_secret.empty()
                             ? "this is a client registration without a login: the login is in the "
                               "kiro-auth-token.json beside it"
                             : "there is neither a refresh token nor an access token in it");
        return false;
    }
    if (cred.is_state && raw.fingerprint.empty()) {
        kiro_failure_set(f, bad_login, "the state file has no fingerprint");
        return false;
    }
    return true;
}

} // namespace

bool is_builder_id(const Credential &cred) {
    return cred.login == KIRO_LOGIN_OIDC && cred.start_url.starts_with(builder_id_start_url);
}

void append_note(std::string &notes, std::string_view note) {
    notes.append(notes.empty() || note.empty() ? "" : ", ").append(note);
}

std::optional<Credential> parse_credential(std::string_view text, kiro_failure *f,
                                           std::optional<kiro_login> expected) {
    SecretJson json;
    Raw raw;
    Credential cred;
    if (!open_json(json, text, f) || !read_format(json, cred.is_state, f) ||
        !read_texts(json, text_members, raw, f) ||
        (cred.is_state && !read_texts(json, state_members, raw, f)) ||
        !read_expiry(json, cred.is_state, cred.expires_at, f)) {
        return std::nullopt;
    }
    Detected detected = detect_login(raw, expected);
    cred.login = detected.login;
    cred.found = std::move(detected.why);
    if (cred.login == KIRO_LOGIN_API_KEY) {
        cred.access_token = Secret(raw.api_key.empty() ? raw.access_token : raw.api_key);
        cred.expires_at = 0;
    } else {
        cred.access_token = Secret(raw.access_token);
        cred.refresh_token = Secret(raw.refresh_token);
        cred.profile_arn = raw.profile_arn;
    }
    if (!check_complete(raw, cred, f)) {
        return std::nullopt;
    }
    // What the auth host gave us is whole, whatever its length.
    if (!cred.is_state && !cred.refresh_token.empty() &&
        !check_refresh_token(cred.refresh_token.view(), cred.login, f)) {
        return std::nullopt;
    }
    if (cred.login == KIRO_LOGIN_OIDC) {
        cred.client_id = raw.client_id;
        cred.client_secret = Secret(raw.client_secret);
        cred.client_id_hash = raw.client_id_hash;
        cred.sso_region = raw.region.empty() ? default_region : raw.region;
        cred.region_is_default = raw.region.empty();
        cred.oauth_flow = raw.oauth_flow;
        const DeclaredLogin *provider = declared_login(raw.provider);
        cred.start_url = raw.start_url.empty() && provider != nullptr && provider->word == "builderid"
                             ? builder_id_start_url
                             : raw.start_url;
    }
    if (cred.login == KIRO_LOGIN_SOCIAL) {
        // The file's region, if any, names no host of the Kiro Desktop service.
        cred.sso_region = default_region;
    }
    if (cred.login == KIRO_LOGIN_EXTERNAL) {
        if (!check_external(raw, f) || !read_scopes(json, cred.scopes, f)) {
            return std::nullopt;
        }
        cred.client_id = raw.client_id;
        cred.token_endpoint = raw.token_endpoint;
        cred.issuer_url = raw.issuer_url;
    }
    if (cred.is_state) {
        if (!read_lineage(json, cred.lineage, f)) {
            return std::nullopt;
        }
        cred.fingerprint = raw.fingerprint;
        cred.operator_profile_arn = raw.operator_profile_arn;
        cred.operator_region = raw.operator_region;
    } else {
        cred.fingerprint =
            fingerprint_of(cred.refresh_token.empty() ? cred.access_token.view() : cred.refresh_token.view());
    }
    return cred;
}

std::optional<Registration> parse_registration(std::string_view text, kiro_failure *f) {
    SecretJson json;
    Raw raw;
    Registration out;
    if (!open_json(json, text, f) || !read_texts(json, registration_members, raw, f)) {
        return std::nullopt;
    }
    if (raw.client_id.empty() || raw.client_secret.empty()) {
        kiro_failure_set(f, bad_login, "the client registration lacks \"%s\"",
                         raw.client_id.empty() ? "clientId" : "clientSecret");
        return std::nullopt;
    }
    // The SSO cache calls it expiresAt, the databases client_secret_expires_at.
    for (const char *name :
         {"clientSecretExpiresAt", "client_secret_expires_at", "expiresAt", "expires_at"}) {
        if (const auto element = json.find(name)) {
            if (!read_time(element, name, false, out.expires_at, f)) {
                return std::nullopt;
            }
            break;
        }
    }
    out.client_id = raw.client_id;
    out.client_secret = Secret(raw.client_secret);
    out.region = raw.region;
    out.oauth_flow = raw.oauth_flow;
    return out;
}

void set_registration(Credential &cred, Registration registration) {
    cred.client_id = std::move(registration.client_id);
    cred.client_secret = std::move(registration.client_secret);
    cred.registration_expires_at = registration.expires_at;
    if (cred.region_is_default && !registration.region.empty()) {
        // A registration holds in its region alone, so the login is from there.
        cred.sso_region = std::move(registration.region);
        cred.region_is_default = false;
    }
}

bool add_registration(Credential &cred, std::string_view text, kiro_failure *f) {
    auto registration = parse_registration(text, f);
    if (registration) {
        set_registration(cred, std::move(*registration));
    }
    return registration.has_value();
}

void keep_registration(Credential &cred, const Credential &known) {
    const bool same = cred.login == known.login && !cred.client_id_hash.empty() &&
                      cred.client_id_hash == known.client_id_hash && cred.sso_region == known.sso_region;
    if (same && !cred.has_registration() && known.has_registration()) {
        Secret client_secret = known.client_secret;
        cred.client_id = known.client_id;
        cred.client_secret = std::move(client_secret);
    }
}

std::optional<Credential> credential_from_api_key(std::string_view key, kiro_failure *f) {
    key = trim(key);
    const char *problem = key.empty()              ? "the file holds no API key"
                          : !is_api_key(key)       ? "the API key must start with \"ksk_\""
                          : key.size() > max_token ? "the API key is too long"
                          : !is_token(key)         ? "the API key must be one line of visible ASCII"
                                                   : nullptr;
    if (problem != nullptr) {
        kiro_failure_set(f, bad_login, "%s", problem);
        return std::nullopt;
    }
    Credential cred;
    cred.login = KIRO_LOGIN_API_KEY;
    cred.access_token = Secret(key);
    cred.fingerprint = fingerprint_of(key);
    cred.found = "a ksk_ key";
    return cred;
}

std::optional<Credential> credential_from_refresh_token(std::string_view token, kiro_failure *f) {
    token = trim(token);
    const char *problem = token.empty()              ? "the file holds no refresh token"
                          : is_api_key(token)        ? "this is an API key, not a refresh token"
                          : token.front() == '{'     ? "this is JSON, not a bare refresh token"
                          : token.size() > max_token ? "the refresh token is too long"
                          : !is_token(token)         ? "the refresh token must be one line of visible ASCII"
                                                     : nullptr;
    if (problem != nullptr) {
        kiro_failure_set(f, bad_login, "%s", problem);
        return std::nullopt;
    }
    if (!check_refresh_token(token, KIRO_LOGIN_SOCIAL, f)) {
        return std::nullopt;
    }
    Credential cred;
    cred.login = KIRO_LOGIN_SOCIAL;
    cred.refresh_token = Secret(token);
    cred.sso_region = default_region;
    cred.fingerprint = fingerprint_of(token);
    cred.found = "a bare refresh token";
    return cred;
}

} // namespace kiro::kiro
