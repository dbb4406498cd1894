#include "core/kiro/profiles.h"

#include <algorithm>

#include "core/json/raw.h"
#include "core/json/writer.h"
#include "core/kiro/management.h"
#include "core/kiro/profile_arn.h"

namespace kiro::kiro {

namespace {

constexpr size_t max_pages = 16; // of one host
constexpr size_t max_profiles = 256;
constexpr size_t max_next = 4096;
constexpr size_t max_name = 100;

std::string_view view(kiro_str s) {
    return s.len == 0 ? std::string_view() : std::string_view(s.data, s.len);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// Every other 403 is about the token, the region or the account.
bool is_builder_id(int status, std::string_view body) {
    constexpr std::string_view words = "builder id";
    return status == 403 && std::search(body.begin(), body.end(), words.begin(), words.end(),
                                        [](char a, char b) { return lower(a) == b; }) != body.end();
}

// The last characters behind the last of these separators.
std::string masked(std::string_view text, std::string_view separators) {
    constexpr size_t shown = 4;
    const size_t at = text.find_last_of(separators);
    if (at != text.npos)
        text.remove_prefix(at + 1);
    return "****" + std::string(text.size() > 2 * shown ? text.substr(text.size() - shown) : "");
}

} // namespace

std::optional<Secret> profiles_request(const kiro_profiles_query &query, kiro_failure *f) {
    std::string body = R"({"maxResults":10)";
    if (query.next.len > 0) {
        body += R"(,"nextToken":)";
        json::append_raw_string(body, view(query.next));
    }
    body += '}';
    return management_request({"ListAvailableProfiles", query.login, view(query.token), view(query.host),
                               view(query.prefix), view(query.user_agent), body},
                              f);
}

void ProfileList::add(Profile profile) {
    const bool known = std::any_of(profiles_.begin(), profiles_.end(),
                                   [&](const Profile &other) { return other.arn == profile.arn; });
    if (!known && arn_region(profile.arn) && profiles_.size() < max_profiles)
        profiles_.push_back(std::move(profile));
}

void ProfileList::read_page(std::string_view body) {
    std::string text(body);
    json::replace_lone_surrogates(text.data(), text.size());
    const json::Document document(text);
    std::string next;
    each_member(document.root(), [&](std::string_view key, json::Value value) {
        if (key == "profiles" && value.is_array()) {
            value.items([&](size_t, json::Value item) {
                Profile profile;
                each_member(item, [&](std::string_view member, json::Value inner) {
                    if (member == "arn")
                        profile.arn = text_of(inner);
                    else if (member == "profileName")
                        profile.name = text_of(inner);
                });
                add(std::move(profile));
            });
        } else if (key == "nextToken" && value.is_string()) {
            next = value.string();
        }
    });
    // A service that never comes to an end has told enough.
    next_ = next.size() > max_next || next == next_ || ++pages_ == max_pages ? std::string() : next;
    if (next_.empty())
        pages_ = 0;
}

kiro_status ProfileList::add_page(int status, std::string_view error_type, std::string_view body,
                                  kiro_failure *f) {
    if (is_builder_id(status, body)) {
        builder_id_ = true;
        next_.clear();
        return KIRO_OK;
    }
    if (status != 200 || !is_management_page(body, f)) {
        next_.clear();
        pages_ = 0;
        return status != 200 ? management_refused(status, error_type, body, f) : KIRO_ERROR;
    }
    read_page(body);
    return next_.empty() ? KIRO_OK : KIRO_AGAIN;
}

std::string describe(const ProfileList::Profile &profile) {
    const std::string_view arn = profile.arn;
    std::string out(arn_region(arn).value_or("?"));
    const std::string_view account = arn.substr(0, arn.rfind(':'));
    out += ", account " + masked(account, ":") + ", profile " + masked(arn, ":/");
    if (!profile.name.empty()) {
        size_t end = 0;
        while (end < profile.name.size()) {
            const size_t step = json::utf8_sequence(std::string_view(profile.name).substr(end));
            if (step == 0 || end + step > max_name)
                break;
            end += step;
        }
        out += ", \"" + profile.name.substr(0, end) + "\"";
    }
    return out;
}

} // namespace kiro::kiro
