// What each model takes in additionalModelRequestFields, as the service tells it; it refuses all else.
#pragma once

#include <algorithm>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <vector>

namespace kiro::test {

using Words = std::vector<std::string_view>;

struct FieldRule {
    const char *object;
    const char *member;
    Words words;
};

inline std::vector<FieldRule> field_rules(std::string_view model) {
    const Words four{"low", "medium", "high", "max"};
    const Words five{"low", "medium", "high", "xhigh", "max"};
    const auto claude = [](Words types, Words efforts) {
        return std::vector<FieldRule>{{"thinking", "type", std::move(types)},
                                      {"thinking", "display", {"summarized", "omitted"}},
                                      {"output_config", "effort", std::move(efforts)}};
    };
    if (model == "claude-opus-4.6" || model == "claude-sonnet-4.6")
        return claude({"adaptive", "disabled"}, four);
    if (model == "claude-opus-5.5")
        return claude({"adaptive"}, five);
    if (model == "claude-sonnet-5.5")
        return claude({"adaptive", "between_tools"}, five);
    for (std::string_view id : {"claude-opus-4.7", "claude-opus-4.8", "claude-opus-5", "claude-sonnet-5",
                                "claude-fable-5", "claude-fable-5.1"}) {
        if (model == id)
            return claude({"adaptive", "disabled"}, five);
    }
    if (model.starts_with("gpt-5.6-"))
        return {{"reasoning", "effort", {"none", "low", "medium", "high", "xhigh", "max"}}};
    return {};
}

// Empty if the model takes fields, else the member that it refuses.
inline std::string refused_field(std::string_view model, simdjson::dom::object fields) {
    const auto rules = field_rules(model);
    if (rules.empty())
        return "additionalModelRequestFields";
    for (auto group : fields) {
        simdjson::dom::object members;
        if (group.value.get(members) != simdjson::SUCCESS || members.size() == 0)
            return std::string(group.key);
        for (auto member : members) {
            std::string_view word;
            const bool taken =
                member.value.get(word) == simdjson::SUCCESS &&
                std::any_of(rules.begin(), rules.end(), [&](const FieldRule &rule) {
                    return rule.object == group.key && rule.member == member.key &&
                           std::find(rule.words.begin(), rule.words.end(), word) != rule.words.end();
                });
            if (!taken)
                return std::string(group.key) + "." + std::string(member.key);
        }
    }
    return {};
}

} // namespace kiro::test
