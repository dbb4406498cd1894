#include "core/kiro/models.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace kiro::kiro {

namespace {

constexpr uint32_t k = 1000;

constexpr uint8_t bits(std::initializer_list<Effort> efforts) {
    unsigned set = 0;
    for (Effort effort : efforts)
        set |= 1U << static_cast<unsigned>(effort);
    return static_cast<uint8_t>(set);
}

constexpr uint8_t four = bits({Effort::low, Effort::medium, Effort::high, Effort::max});
constexpr uint8_t five = bits({Effort::low, Effort::medium, Effort::high, Effort::xhigh, Effort::max});
constexpr uint8_t six = five | bits({Effort::none});

constexpr ReasoningFacts claude_46{EffortField::output_config, four, Effort::high, true, true};
constexpr ReasoningFacts claude_47{EffortField::output_config, five, Effort::xhigh, true, true};
constexpr ReasoningFacts claude_48{EffortField::output_config, five, Effort::high, true, true};
constexpr ReasoningFacts opus_55{EffortField::output_config, five, Effort::medium, true, false};
constexpr ReasoningFacts sonnet_55{EffortField::output_config, five, Effort::high, true, false};
constexpr ReasoningFacts gpt{EffortField::reasoning, six, Effort::high, false, false};
constexpr ReasoningFacts none;

// As listed from mid to autumn 2026.
constexpr ModelFacts models[] = {
    {"auto", 200 * k, 64 * k, none},
    {"claude-opus-5.5", 1000 * k, 128 * k, opus_55, true, true},
    {"claude-sonnet-5.5", 1000 * k, 128 * k, sonnet_55, true, true},
    {"claude-opus-5", 1000 * k, 128 * k, claude_48, true, true},
    {"claude-sonnet-5", 1000 * k, 128 * k, claude_48, true, true},
    {"claude-fable-5", 1000 * k, 128 * k, claude_48, true, true},
    {"claude-fable-5.1", 1000 * k, 128 * k, claude_48, true, true},
    {"claude-opus-4.8", 1000 * k, 128 * k, claude_48, true, true},
    {"claude-opus-4.7", 1000 * k, 128 * k, claude_47, true, true},
    {"claude-opus-4.6", 1000 * k, 64 * k, claude_46, true, true},
    {"claude-sonnet-4.6", 1000 * k, 64 * k, claude_46, true, true},
    {"claude-opus-4.5", 200 * k, 64 * k, none, true, true},
    {"claude-sonnet-4.5", 200 * k, 64 * k, none, true, true},
    {"claude-sonnet-4", 200 * k, 64 * k, none, true, true},
    {"claude-haiku-4.5", 200 * k, 64 * k, none, true, true},
    {"gpt-5.6-sol", 272 * k, 128 * k, gpt},
    {"gpt-5.6-terra", 272 * k, 128 * k, gpt},
    {"gpt-5.6-luna", 272 * k, 128 * k, gpt},
    {"deepseek-3.2", 128 * k, 64 * k, none, false},
    {"minimax-m2.5", 196 * k, 64 * k, none, false},
    {"minimax-m2.1", 196 * k, 64 * k, none, false},
    {"glm-5", 200 * k, 64 * k, none, false},
    {"qwen3-coder-next", 256 * k, 64 * k, none, false},
};

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
    size_t dot = text.find('.');
    return dot != std::string_view::npos && is_version_part(text.substr(0, dot)) &&
           is_version_part(text.substr(dot + 1));
}

std::string lower_trimmed(std::string_view text) {
    size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos)
        return {};
    text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
    std::string out(text);
    for (char &c : out) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c + 32);
    }
    return out;
}

bool strip_suffix(std::string &text, std::string_view suffix) {
    if (!text.ends_with(suffix) || text.size() == suffix.size())
        return false;
    text.resize(text.size() - suffix.size());
    return true;
}

// anthropic/x, us.anthropic.x
void strip_provider(std::string &name) {
    if (size_t slash = name.rfind('/'); slash != std::string::npos)
        name.erase(0, slash + 1);
    constexpr std::string_view bedrock = "anthropic.";
    if (size_t at = name.find(bedrock); at != std::string::npos && (at == 0 || name[at - 1] == '.'))
        name.erase(0, at + bedrock.size());
}

// -v1:0 of Bedrock
void strip_revision(std::string &name) {
    size_t colon = name.rfind(':');
    if (colon == std::string::npos || !all_digits(std::string_view(name).substr(colon + 1)))
        return;
    size_t v = name.rfind("-v", colon);
    if (v != std::string::npos && all_digits(std::string_view(name).substr(v + 2, colon - v - 2)))
        name.resize(v);
}

// [1m]: a display hint of Claude Code
void strip_bracket(std::string &name) {
    if (!name.ends_with(']'))
        return;
    if (size_t open = name.rfind('['); open != std::string::npos && open > 0)
        name.resize(open);
}

// -20250514, @20250514
void strip_date(std::string &name) {
    constexpr size_t digits = 8;
    if (name.size() <= digits + 1)
        return;
    size_t mark = name.size() - digits - 1;
    if ((name[mark] == '-' || name[mark] == '@') && all_digits(std::string_view(name).substr(mark + 1)))
        name.resize(mark);
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
                if (strip_suffix(name.id, "-" + std::string(effort))) {
                    name.effort = effort;
                    again = true;
                    break;
                }
            }
        }
    }
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (size_t start = 0;;) {
        size_t dash = text.find('-', start);
        parts.push_back(text.substr(start, dash - start));
        if (dash == std::string_view::npos)
            return parts;
        start = dash + 1;
    }
}

std::string join(std::initializer_list<std::string_view> parts) {
    std::string out;
    for (std::string_view part : parts) {
        if (!out.empty() && out.back() != '.' && part != ".")
            out += '-';
        out += part;
    }
    return out;
}

// Claude's versions have a dot, and since 4 stand behind the family.
void order_claude(std::string &name) {
    auto part = split(name);
    if (part.size() < 3 || part[0] != "claude")
        return;
    std::string ordered;
    if (part.size() == 4 && is_version_part(part[2]) && is_version_part(part[3])) {
        ordered = join({"claude", part[1], part[2], ".", part[3]});
    } else if (part.size() == 4 && is_version_part(part[1]) && is_version_part(part[2])) {
        bool inverted = part[1] >= "4" || part[1].size() > 1;
        ordered = inverted ? join({"claude", part[3], part[1], ".", part[2]})
                           : join({"claude", part[1], ".", part[2], part[3]});
    } else if (part.size() == 3 && !all_digits(part[2]) &&
               (is_dotted_version(part[1]) || is_version_part(part[1])) && part[1][0] >= '4') {
        ordered = join({"claude", part[2], part[1]});
    }
    if (!ordered.empty())
        name = std::move(ordered);
}

} // namespace

ModelName normalise_model(std::string_view client_name) {
    ModelName name;
    name.id = lower_trimmed(client_name);
    strip_provider(name.id);
    strip_revision(name.id);
    strip_bracket(name.id);
    strip_variants(name);
    strip_suffix(name.id, "-latest");
    strip_date(name.id);
    strip_variants(name); // claude-opus-4-6-thinking-20260101 and the like
    order_claude(name.id);
    if (std::find(std::begin(auto_names), std::end(auto_names), name.id) != std::end(auto_names))
        name.id = "auto";
    return name;
}

const ModelFacts *find_model(std::string_view id) {
    for (const auto &model : models) {
        if (model.id == id)
            return &model;
    }
    return nullptr;
}

uint32_t context_window(std::string_view id) {
    const ModelFacts *model = find_model(id);
    return model != nullptr ? model->context : 200 * k;
}

} // namespace kiro::kiro
