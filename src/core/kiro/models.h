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

enum class Effort : uint8_t { none, low, medium, high, xhigh, max };

// The member of additionalModelRequestFields that takes the effort.
enum class EffortField : uint8_t { none, output_config, reasoning };

// What a model takes in additionalModelRequestFields; it refuses all else.
struct ReasoningFacts {
    EffortField field = EffortField::none;
    uint8_t efforts = 0; // a bit an Effort
    Effort usual = Effort::high;
    bool adaptive = false; // thinking.type "adaptive", with display
    bool disabled = false; // thinking.type "disabled"

    constexpr bool native() const { return field != EffortField::none || adaptive; }
    constexpr bool takes(Effort effort) const { return (efforts >> static_cast<unsigned>(effort) & 1) != 0; }
};

struct ModelFacts {
    std::string_view id;
    uint32_t context; // tokens of input
    uint32_t output;
    ReasoningFacts reasoning;
    bool images = true;
    bool documents = false;
};

// Known models, for as long as the account's own list is not at hand. nullptr: unknown.
const ModelFacts *find_model(std::string_view id);

// Of an unknown model a careful guess.
uint32_t context_window(std::string_view id);

} // namespace kiro::kiro
