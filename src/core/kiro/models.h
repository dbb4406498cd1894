// What is known about a model, and the models that everybody knows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kiro::kiro {

enum class Effort : uint8_t { none, low, medium, high, xhigh, max };

std::string_view effort_name(Effort effort);
std::optional<Effort> find_effort(std::string_view name);

// The member of additionalModelRequestFields that takes the effort.
enum class EffortField : uint8_t { none, output_config, reasoning };

// What a model takes in additionalModelRequestFields; it refuses all else.
struct ReasoningFacts {
    EffortField field = EffortField::none;
    uint8_t efforts = 0; // a bit an Effort
    Effort usual = Effort::high;
    bool adaptive = false;      // thinking.type "adaptive"
    bool disabled = false;      // thinking.type "disabled"
    bool between_tools = false; // thinking.type "between_tools"
    bool display = false;       // thinking.display "summarized", "omitted"

    constexpr bool native() const { return field != EffortField::none || adaptive; }
    constexpr bool takes(Effort effort) const { return (efforts >> static_cast<unsigned>(effort) & 1) != 0; }

    bool operator==(const ReasoningFacts &) const = default;
};

// The defaults are a careful guess for a model that nobody knows.
struct ModelFacts {
    uint32_t context = 200'000; // tokens of input
    uint32_t output = 64'000;
    ReasoningFacts reasoning;
    bool images = true;
    bool documents = false;

    bool operator==(const ModelFacts &) const = default;
};

struct Model {
    std::string_view id; // the upstream's spelling
    std::string_view name;
    std::string_view description;
    uint32_t rate = 0; // credits for the work that costs one with "auto", in thousandths; 0: unknown
    ModelFacts facts;
};

// For as long as the account's own list is not at hand. The first is the default.
std::span<const Model> builtin_models();

// Without regard to case. nullptr: unknown.
const Model *find_builtin_model(std::string_view id);

// ASCII letters only, as ids have no others.
bool equals_ignoring_case(std::string_view a, std::string_view b);

} // namespace kiro::kiro
