#include "core/kiro/model_name.h"

#include <algorithm>
#include <initializer_list>
#include <vector>

namespace kiro::kiro {

namespace {

constexpr std::string_view efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
constexpr std::string_view auto_names[] = {"", "auto-kiro", "kiro-auto", "default"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool all_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// "4" and "45"; a longer number is a date
bool is_version_part(std::string_view text) {
    return text.size() <= 2 && all_digits(text);
}

// "3.7"
bool is_dotted_version(std::string_view text) {
    const size_t dot = text.find('.');
    return dot != std::string_view::npos && is_version_part(text.substr(0, dot)) &&
           is_version_part(text.substr(dot + 1));
}

bool strip_suffix(std::string &text, std::string_view suffix) {
    if (!text.ends_with(suffix) || text.size() == suffix.size())
        return false;
    text.resize(text.size() - suffix.size());
    return true;
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (size_t start = 0;;) {
        const size_t dash = text.find('-', start);
        parts.push_back(text.substr(start, dash - start));
        if (dash == std::string_view::npos)
            return parts;
        start = dash + 1;
    }
}

std::string concat(std::initializer_list<std::string_view> parts) {
    std::string out;
    for (std::string_view part : parts)
        out += part;
    return out;
}

void trim(ModelName &name) {
    constexpr std::string_view space = " \t\r\n";
    const size_t first = name.id.find_first_not_of(space);
    if (first == std::string::npos) {
        name.id.clear();
        return;
    }
    name.id.erase(name.id.find_last_not_of(space) + 1);
    name.id.erase(0, first);
}

void lower_case(ModelName &name) {
    for (char &c : name.id) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c + 32);
    }
}

// anthropic/x, kiro/x
void strip_provider(ModelName &name) {
    if (const size_t slash = name.id.rfind('/'); slash != std::string::npos)
        name.id.erase(0, slash + 1);
}

// us.anthropic.x
void strip_bedrock_prefix(ModelName &name) {
    constexpr std::string_view vendor = "anthropic.";
    const size_t at = name.id.find(vendor);
    if (at != std::string::npos && (at == 0 || name.id[at - 1] == '.'))
        name.id.erase(0, at + vendor.size());
}

// -v1:0
void strip_bedrock_revision(ModelName &name) {
    const std::string_view id = name.id;
    const size_t colon = id.rfind(':');
    if (colon == std::string::npos || !all_digits(id.substr(colon + 1)))
        return;
    const size_t v = id.rfind("-v", colon);
    if (v != std::string::npos && all_digits(id.substr(v + 2, colon - v - 2)))
        name.id.resize(v);
}

// [1m]: a display hint of Claude Code
void strip_bracket(ModelName &name) {
    if (!name.id.ends_with(']'))
        return;
    if (const size_t open = name.id.rfind('['); open != std::string::npos && open > 0)
        name.id.resize(open);
}

// Words that gateways hang on to names of families whose own names never end so.
void strip_variants(ModelName &name) {
    if (!name.id.starts_with("claude-") && !name.id.starts_with("gpt-"))
        return;
    for (bool again = true; again;) {
        again = false;
        if (strip_suffix(name.id, "-thinking")) {
            name.thinking = again = true;
        } else if (strip_suffix(name.id, "-1m") || strip_suffix(name.id, "-latest")) {
            again = true;
        } else {
            for (std::string_view effort : efforts) {
                if (strip_suffix(name.id, concat({"-", effort}))) {
                    name.effort = effort;
                    again = true;
                    break;
                }
            }
        }
    }
}

void strip_latest(ModelName &name) {
    strip_suffix(name.id, "-latest");
}

// -20250514, @20250514
void strip_date(ModelName &name) {
    constexpr size_t digits = 8;
    if (name.id.size() <= digits + 1)
        return;
    const size_t mark = name.id.size() - digits - 1;
    if ((name.id[mark] == '-' || name.id[mark] == '@') &&
        all_digits(std::string_view(name.id).substr(mark + 1)))
        name.id.resize(mark);
}

// claude-sonnet-4-5 is claude-sonnet-4.5
void dot_version(ModelName &name) {
    const auto part = split(name.id);
    if (part.size() == 4 && part[0] == "claude" && is_version_part(part[2]) && is_version_part(part[3]))
        name.id = concat({"claude-", part[1], "-", part[2], ".", part[3]});
}

// claude-3-7-sonnet is claude-3.7-sonnet
void dot_old_version(ModelName &name) {
    const auto part = split(name.id);
    if (part.size() == 4 && part[0] == "claude" && is_version_part(part[1]) && is_version_part(part[2]))
        name.id = concat({"claude-", part[1], ".", part[2], "-", part[3]});
}

// claude-4.5-opus is claude-opus-4.5: since version 4 the family stands in front
void family_first(ModelName &name) {
    const auto part = split(name.id);
    if (part.size() != 3 || part[0] != "claude" || all_digits(part[2]))
        return;
    const std::string_view major = part[1].substr(0, part[1].find('.'));
    if ((is_dotted_version(part[1]) || is_version_part(part[1])) && (major.size() > 1 || major >= "4"))
        name.id = concat({"claude-", part[2], "-", part[1]});
}

void name_auto(ModelName &name) {
    if (std::find(std::begin(auto_names), std::end(auto_names), name.id) != std::end(auto_names))
        name.id = "auto";
}

constexpr NameRule rules[] = {
    {"trim", trim},
    {"lower_case", lower_case},
    {"strip_provider", strip_provider},
    {"strip_bedrock_prefix", strip_bedrock_prefix},
    {"strip_bedrock_revision", strip_bedrock_revision},
    {"strip_bracket", strip_bracket},
    {"strip_variants", strip_variants},
    {"strip_latest", strip_latest},
    {"strip_date", strip_date},
    {"strip_variants", strip_variants}, // claude-opus-4-6-thinking-20260101
    {"dot_version", dot_version},
    {"dot_old_version", dot_old_version},
    {"family_first", family_first},
    {"name_auto", name_auto},
};

} // namespace

std::span<const NameRule> name_rules() {
    return rules;
}

ModelName normalise_model(std::string_view client_name) {
    ModelName name{std::string(client_name), {}, false};
    for (const NameRule &rule : rules)
        rule.apply(name);
    return name;
}

} // namespace kiro::kiro
