// Model names: what clients write, what the upstream knows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kiro::kiro {

struct ModelName {
    std::string id;        // the upstream's, or what is left of an unknown name
    std::string effort;    // "high" of claude-opus-4.6-high; usually empty
    bool thinking = false; // -thinking
};

ModelName normalise_model(std::string_view client_name);

struct ModelFacts {
    std::string_view id;
    uint32_t context; // tokens of input
    uint32_t output;
};

// Known models, for as long as the account's own list is not at hand. nullptr: unknown.
const ModelFacts *find_model(std::string_view id);

// Of an unknown model a careful guess.
uint32_t context_window(std::string_view id);

} // namespace kiro::kiro
