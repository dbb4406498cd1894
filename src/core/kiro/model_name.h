// What clients write for a model, made an upstream id by an ordered list of rules.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kiro::kiro {

struct ModelName {
    std::string id;        // the upstream's, or what is left of an unknown name
    std::string effort;    // "high" of claude-opus-4.6-high; usually empty
    bool thinking = false; // -thinking
};

struct NameRule {
    std::string_view name;
    void (*apply)(ModelName &); // a name that it does not concern stays as it is
};

// In the order in which they must be applied; none makes one family of another.
std::span<const NameRule> name_rules();

// All rules.
ModelName normalise_model(std::string_view client_name);

} // namespace kiro::kiro
