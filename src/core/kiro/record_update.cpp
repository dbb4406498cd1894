#include "core/kiro/record_update.h"

#include <algorithm>

#include "core/json/reader.h"
#include "core/kiro/expiry_form.h"
#include "core/kiro/secret_json.h"

namespace kiro::kiro {

namespace {

enum class Part { access_token, refresh_token, expiry, profile_arn };

struct PartName {
    std::string_view name;
    Part part;
};

constexpr PartName part_names[] = {
    {"accessToken", Part::access_token},   {"access_token", Part::access_token},
    {"refreshToken", Part::refresh_token}, {"refresh_token", Part::refresh_token},
    {"expiresAt", Part::expiry},           {"expires_at", Part::expiry},
    {"profileArn", Part::profile_arn},     {"profile_arn", Part::profile_arn},
};

const Part *part_of(std::string_view name) {
    const auto row =
        std::find_if(std::begin(part_names), std::end(part_names), [&](auto &r) { return r.name == name; });
    return row == std::end(part_names) ? nullptr : &row->part;
}

// Tokens and ARNs are visible ASCII: no other byte needs an escape.
void append_quoted(Secret &out, std::string_view text) {
    out.push_back('"');
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out.push_back('\\');
        }
        out.push_back(c);
    }
    out.push_back('"');
}

void append_expiry(Secret &out, const json::Value &old, int64_t at) {
    if (old.type() == json::Type::number) {
        out.append(expiry_like_number(old.slice(), at));
    } else {
        append_quoted(out, expiry_like_text(old.is_string() ? json::unescaped(old.string()) : "", at));
    }
}

// The new value behind out; false: the old one stays.
bool append_part(Secret &out, Part part, const json::Value &old, const Credential &used,
                 const Credential &fresh) {
    switch (part) {
    case Part::access_token:
        append_quoted(out, fresh.access_token.view());
        return true;
    case Part::refresh_token:
        append_quoted(out, fresh.refresh_token.view());
        return true;
    case Part::expiry:
        if (fresh.expires_at == 0) {
            return false;
        }
        append_expiry(out, old, fresh.expires_at);
        return true;
    case Part::profile_arn:
        if (!old.is_string() || old.string().empty() || fresh.profile_arn.empty() ||
            fresh.profile_arn == used.profile_arn) {
            return false;
        }
        append_quoted(out, fresh.profile_arn);
        return true;
    }
    return false;
}

} // namespace

std::optional<Secret> update_record(std::string_view text, const Credential &used, const Credential &fresh,
                                    kiro_failure *f) {
    const std::string_view object = trim(text);
    json::Index index;
    if (!json::validate(object, json::max_depth, &index) || object.front() != '{') {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "it is not a valid JSON object");
        return std::nullopt;
    }
    constexpr size_t room = 1024;
    Secret out;
    out.reserve(text.size() + fresh.access_token.size() + fresh.refresh_token.size() + room);

    const char *at = text.data();
    bool has_refresh_token = false;
    const json::Document document(object.data(), std::move(index));
    document.root().members([&](std::string_view name, const json::Value &value) {
        const Part *part = part_of(name);
        if (part == nullptr) {
            return;
        }
        has_refresh_token = has_refresh_token || *part == Part::refresh_token;
        const std::string_view old = value.slice();
        out.append({at, static_cast<size_t>(old.data() - at)});
        at = old.data();
        if (append_part(out, *part, value, used, fresh)) {
            at += old.size();
        }
    });
    out.append({at, static_cast<size_t>(text.data() + text.size() - at)});
    if (!has_refresh_token) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "there is no refresh token in it");
        return std::nullopt;
    }
    return out;
}

Secret update_refresh_token(std::string_view text, const Credential &fresh) {
    const std::string_view old = trim(text);
    const auto before = static_cast<size_t>(old.data() - text.data());
    Secret out;
    out.reserve(text.size() + fresh.refresh_token.size());
    out.append(text.substr(0, before));
    out.append(fresh.refresh_token.view());
    out.append(text.substr(before + old.size()));
    return out;
}

bool spent_for(std::string_view refresh_token, const Credential &used, const Credential &fresh) {
    if (refresh_token.empty() || refresh_token == used.refresh_token.view()) {
        return !refresh_token.empty();
    }
    // An earlier one is there when writing it failed the last time.
    const std::string fingerprint = fingerprint_of(refresh_token);
    return fingerprint == fresh.fingerprint ||
           std::find(fresh.lineage.begin(), fresh.lineage.end(), fingerprint) != fresh.lineage.end();
}

} // namespace kiro::kiro
