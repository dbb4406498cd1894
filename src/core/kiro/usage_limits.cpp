#include "core/kiro/usage_limits.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/json/raw.h"
#include "core/json/writer.h"
#include "core/kiro/expiry_form.h"
#include "core/kiro/management.h"
#include "core/kiro/timestamp.h"

namespace kiro::kiro {

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

std::string_view view(kiro_str s) {
    return s.len == 0 ? std::string_view() : std::string_view(s.data, s.len);
}

// Whole characters, terminated.
template <size_t N> void put(char (&to)[N], std::string_view text) {
    size_t end = 0;
    while (end < text.size()) {
        const size_t step = json::utf8_sequence(text.substr(end));
        if (step == 0 || end + step >= N)
            break;
        end += step;
    }
    std::memcpy(to, text.data(), end);
    to[end] = '\0';
}

// Texts may come from a copy that was cut in the middle.
template <size_t N> std::string_view text(const char (&from)[N]) {
    return {from, static_cast<size_t>(std::find(from, from + N, '\0') - from)};
}

int64_t time_of(json::Value value) {
    std::optional<int64_t> time;
    if (value.type() == json::Type::number)
        time = parse_epoch(value.number());
    else if (value.is_string())
        time = parse_iso8601(text_of(value));
    return time.value_or(0);
}

template <class T> struct Member {
    std::string_view key;
    void (*read)(T &, json::Value);
};

template <auto Field, class T> void read_text(T &to, json::Value value) {
    put(to.*Field, text_of(value));
}

template <auto Field, class T> void read_time(T &to, json::Value value) {
    to.*Field = time_of(value);
}

// The service tells many numbers twice, once without the fraction.
template <auto Field, bool Precise, class T> void read_number(T &to, json::Value value) {
    if (value.type() != json::Type::number || (!Precise && !std::isnan(to.*Field)))
        return;
    const double number = value.number();
    if (std::abs(number) <= 1e15)
        to.*Field = number;
}

template <class T, size_t N> void read_members(json::Value value, const Member<T> (&table)[N], T &to) {
    each_member(value, [&](std::string_view key, json::Value member) {
        for (const auto &row : table) {
            if (row.key == key)
                row.read(to, member);
        }
    });
}

using Grant = kiro_usage_grant;
using Resource = kiro_usage_resource;
using Limits = kiro_usage_limits;

constexpr Member<Grant> grant_members[] = {
    {"displayName", read_text<&Grant::name>},
    {"status", read_text<&Grant::status>},
    {"freeTrialStatus", read_text<&Grant::status>},
    {"currentUsage", read_number<&Grant::used, false>},
    {"currentUsageWithPrecision", read_number<&Grant::used, true>},
    {"usageLimit", read_number<&Grant::limit, false>},
    {"usageLimitWithPrecision", read_number<&Grant::limit, true>},
    {"expiresAt", read_time<&Grant::expires_at>},
    {"freeTrialExpiry", read_time<&Grant::expires_at>},
};

Grant read_grant(json::Value value) {
    Grant grant{};
    grant.used = grant.limit = unknown;
    read_members(value, grant_members, grant);
    return grant;
}

void read_trial(Resource &to, json::Value value) {
    to.has_trial = value.is_object();
    to.trial = read_grant(value);
}

void read_bonuses(Resource &to, json::Value value) {
    to.nbonuses = 0;
    if (!value.is_array())
        return;
    value.items([&](size_t, json::Value item) {
        if (item.is_object() && to.nbonuses < KIRO_USAGE_BONUSES)
            to.bonuses[to.nbonuses++] = read_grant(item);
    });
}

constexpr Member<Resource> resource_members[] = {
    {"resourceType", read_text<&Resource::type>},
    {"displayName", read_text<&Resource::name>},
    {"unit", read_text<&Resource::unit>},
    {"currency", read_text<&Resource::currency>},
    {"currentUsage", read_number<&Resource::used, false>},
    {"currentUsageWithPrecision", read_number<&Resource::used, true>},
    {"usageLimit", read_number<&Resource::limit, false>},
    {"usageLimitWithPrecision", read_number<&Resource::limit, true>},
    {"currentOverages", read_number<&Resource::overage_used, false>},
    {"currentOveragesWithPrecision", read_number<&Resource::overage_used, true>},
    {"overageCap", read_number<&Resource::overage_limit, false>},
    {"overageCapWithPrecision", read_number<&Resource::overage_limit, true>},
    {"overageRate", read_number<&Resource::overage_rate, true>},
    {"overageCharges", read_number<&Resource::overage_charges, true>},
    {"nextDateReset", read_time<&Resource::resets_at>},
    {"freeTrialInfo", read_trial},
    {"bonuses", read_bonuses},
};

// Of two that have the same type the first one is told.
void read_resource(Limits &to, json::Value value) {
    if (!value.is_object() || to.nresources == KIRO_USAGE_RESOURCES)
        return;
    Resource &resource = to.resources[to.nresources];
    resource = {};
    for (double Resource::*field :
         {&Resource::used, &Resource::limit, &Resource::overage_used, &Resource::overage_limit,
          &Resource::overage_rate, &Resource::overage_charges})
        resource.*field = unknown;
    read_members(value, resource_members, resource);
    const bool known = std::any_of(to.resources, &resource, [&](const Resource &other) {
        return text(other.type) == text(resource.type);
    });
    if (!text(resource.type).empty() && !known)
        to.nresources++;
}

void read_resources(Limits &to, json::Value value) {
    if (value.is_array())
        value.items([&](size_t, json::Value item) { read_resource(to, item); });
}

constexpr Member<Limits> subscription_members[] = {
    {"subscriptionTitle", read_text<&Limits::subscription>},
    {"type", read_text<&Limits::subscription_type>},
};

constexpr Member<Limits> overage_members[] = {
    {"overageStatus", read_text<&Limits::overage>},
    {"overageLimit", read_number<&Limits::overage_limit, true>},
};

// Neither userInfo nor anything else that names a person is read.
constexpr Member<Limits> limits_members[] = {
    {"nextDateReset", read_time<&Limits::resets_at>},
    {"subscriptionInfo",
     [](Limits &to, json::Value value) { read_members(value, subscription_members, to); }},
    {"overageConfiguration", [](Limits &to, json::Value value) { read_members(value, overage_members, to); }},
    {"usageBreakdownList", read_resources},
    {"usageBreakdown", read_resource},
};

bool may_take_other_form(const kiro_failure &f) {
    return f.upstream_status == 400 ? f.kind != KIRO_FAIL_AUTH_EXPIRED
                                    : f.upstream_status == 403 && f.kind == KIRO_FAIL_ACCESS_DENIED;
}

// --- the answer
// ----------------------------------------------------------------------------------------------------

class Object {
public:
    explicit Object(std::string &to) : out(to) { out += '{'; }

    std::string &key(std::string_view name) {
        out += first ? "\"" : ",\"";
        first = false;
        out += name;
        out += "\":";
        return out;
    }
    void text(std::string_view name, std::string_view value) {
        key(name);
        if (value.empty())
            out += "null";
        else
            json::append_string(out, value);
    }
    void number(std::string_view name, double value) { json::append_double(key(name), value); }
    void boolean(std::string_view name, bool value) { key(name) += value ? "true" : "false"; }

    // For programs and for people.
    void time(std::string_view name, int64_t at) {
        if (at == 0)
            key(name) += "null";
        else
            json::append_int(key(name), at / 1000);
        text(std::string(name) + "_iso",
             at == 0 ? std::string() : expiry_like_text("2026-10-01T12:00:00Z", at));
    }
    void end() { out += '}'; }

private:
    std::string &out;
    bool first = true;
};

void write_grant(std::string &out, const Grant &grant) {
    Object object(out);
    object.text("name", text(grant.name));
    object.text("status", text(grant.status));
    object.number("used", grant.used);
    object.number("limit", grant.limit);
    object.time("expires_at", grant.expires_at);
    object.end();
}

void write_resource(std::string &out, const Resource &resource, int64_t resets_at) {
    Object object(out);
    object.text("type", text(resource.type));
    object.text("name", text(resource.name));
    object.text("unit", text(resource.unit));
    object.number("used", resource.used);
    object.number("limit", resource.limit);
    const double left = resource.limit - resource.used;
    object.number("remaining", left < 0 ? 0 : left);
    Object overage(object.key("overage"));
    overage.number("used", resource.overage_used);
    overage.number("limit", resource.overage_limit);
    overage.number("rate", resource.overage_rate);
    overage.number("charges", resource.overage_charges);
    overage.text("currency", text(resource.currency));
    overage.end();
    object.time("resets_at", resource.resets_at != 0 ? resource.resets_at : resets_at);
    object.key("free_trial");
    if (resource.has_trial != 0)
        write_grant(out, resource.trial);
    else
        out += "null";
    object.key("bonuses") += '[';
    for (uint32_t i = 0; i < std::min<uint32_t>(resource.nbonuses, KIRO_USAGE_BONUSES); i++) {
        out += i > 0 ? "," : "";
        write_grant(out, resource.bonuses[i]);
    }
    out += ']';
    object.end();
}

} // namespace

std::optional<Secret> usage_request(const kiro_usage_query &query, kiro_failure *f) {
    // The pairs that the official clients send.
    std::string body = query.wire == KIRO_WIRE_V2
                           ? R"({"origin":"KIRO_CLI","resourceType":"CREDIT")"
                           : R"({"origin":"AI_EDITOR","resourceType":"AGENTIC_REQUEST")";
    if (query.profile_arn.len > 0) {
        body += R"(,"profileArn":)";
        json::append_string(body, view(query.profile_arn));
    }
    body += R"(,"isEmailRequired":false})";
    return management_request({"GetUsageLimits", query.login, view(query.token), view(query.host),
                               view(query.prefix), view(query.user_agent), body},
                              f);
}

kiro_status read_usage(int status, std::string_view error_type, std::string_view body, Limits &limits,
                       kiro_failure *f) {
    limits = {};
    limits.overage_limit = unknown;
    if (status != 200) {
        management_refused(status, error_type, body, f);
        return may_take_other_form(*f) ? KIRO_AGAIN : KIRO_ERROR;
    }
    if (!is_management_page(body, f))
        return KIRO_ERROR;
    std::string copy(body);
    json::replace_lone_surrogates(copy.data(), copy.size());
    const json::Document document(copy);
    read_members(document.root(), limits_members, limits);
    if (limits.nresources == 0 && limits.resets_at == 0 && text(limits.subscription).empty())
        return management_unusable(f, "tells no limits");
    return KIRO_OK;
}

int64_t usage_resets_at(const Limits &limits, int64_t now) {
    const bool overage = text(limits.overage) == "ENABLED";
    int64_t next = 0;
    for (uint32_t i = 0; i < std::min<uint32_t>(limits.nresources, KIRO_USAGE_RESOURCES); i++) {
        const Resource &resource = limits.resources[i];
        // What a plan does not have at all, none of none, never comes back.
        const bool used_up = resource.used > 0 && resource.used >= resource.limit &&
                             (!overage || resource.overage_used >= resource.overage_limit);
        const int64_t at = resource.resets_at != 0 ? resource.resets_at : limits.resets_at;
        if (used_up && at > now)
            next = std::max(next, at);
    }
    return next;
}

std::string usage_answer(const kiro_usage_view &from) {
    const Limits &limits = *from.limits;
    std::string out;
    Object object(out);
    object.text("object", "usage");
    object.text("account", view(from.account));
    Object subscription(object.key("subscription"));
    subscription.text("title", text(limits.subscription));
    subscription.text("type", text(limits.subscription_type));
    subscription.end();
    Object overage(object.key("overage"));
    overage.text("status", text(limits.overage));
    overage.number("limit", limits.overage_limit);
    overage.end();
    object.key("resources") += '[';
    for (uint32_t i = 0; i < std::min<uint32_t>(limits.nresources, KIRO_USAGE_RESOURCES); i++) {
        out += i > 0 ? "," : "";
        write_resource(out, limits.resources[i], limits.resets_at);
    }
    out += ']';
    object.time("resets_at", limits.resets_at);
    object.time("fetched_at", from.fetched_at);
    json::append_int(object.key("age"), std::max<int64_t>(0, from.now - from.fetched_at) / 1000);
    object.boolean("stale", from.stale != 0);
    object.end();
    return out;
}

} // namespace kiro::kiro
