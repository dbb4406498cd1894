#include "core/kiro/models.h"

#include <algorithm>
#include <array>
#include <initializer_list>

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

constexpr ReasoningFacts claude_46{EffortField::output_config, four, Effort::high, true, true, false, true};
constexpr ReasoningFacts claude_47{EffortField::output_config, five, Effort::xhigh, true, true, false, true};
constexpr ReasoningFacts claude_48{EffortField::output_config, five, Effort::high, true, true, false, true};
constexpr ReasoningFacts opus_55{EffortField::output_config, five, Effort::medium, true, false, false, true};
constexpr ReasoningFacts sonnet_55{EffortField::output_config, five, Effort::high, true, false, true, true};
constexpr ReasoningFacts gpt{EffortField::reasoning, six, Effort::high};
constexpr ReasoningFacts none;

// As listed from mid to autumn 2026.
constexpr Model models[] = {
    {"auto", "Auto", "", 1000, {200 * k, 64 * k, none}},
    {"claude-opus-5.5", "Claude Opus 5.5", "", 2000, {1000 * k, 128 * k, opus_55, true, true}},
    {"claude-sonnet-5.5", "Claude Sonnet 5.5", "", 0, {1000 * k, 128 * k, sonnet_55, true, true}},
    {"claude-opus-5", "Claude Opus 5", "", 2200, {1000 * k, 128 * k, claude_48, true, true}},
    {"claude-sonnet-5", "Claude Sonnet 5", "", 1300, {1000 * k, 128 * k, claude_48, true, true}},
    {"claude-fable-5", "Claude Fable 5", "", 0, {1000 * k, 128 * k, claude_48, true, true}},
    {"claude-fable-5.1", "Claude Fable 5.1", "", 0, {1000 * k, 128 * k, claude_48, true, true}},
    {"claude-opus-4.8", "Claude Opus 4.8", "", 2200, {1000 * k, 128 * k, claude_48, true, true}},
    {"claude-opus-4.7", "Claude Opus 4.7", "", 2200, {1000 * k, 128 * k, claude_47, true, true}},
    {"claude-opus-4.6", "Claude Opus 4.6", "", 2200, {1000 * k, 64 * k, claude_46, true, true}},
    {"claude-sonnet-4.6", "Claude Sonnet 4.6", "", 1300, {1000 * k, 64 * k, claude_46, true, true}},
    {"claude-opus-4.5", "Claude Opus 4.5", "", 2200, {200 * k, 64 * k, none, true, true}},
    {"claude-sonnet-4.5", "Claude Sonnet 4.5", "", 1300, {200 * k, 64 * k, none, true, true}},
    {"claude-sonnet-4", "Claude Sonnet 4", "", 1300, {200 * k, 64 * k, none, true, true}},
    {"claude-haiku-4.5", "Claude Haiku 4.5", "", 400, {200 * k, 64 * k, none, true, true}},
    {"gpt-5.6-sol", "GPT-5.6 Sol", "", 2400, {272 * k, 128 * k, gpt}},
    {"gpt-5.6-terra", "GPT-5.6 Terra", "", 1200, {272 * k, 128 * k, gpt}},
    {"gpt-5.6-luna", "GPT-5.6 Luna", "", 1100, {272 * k, 128 * k, gpt}},
    {"deepseek-3.2", "DeepSeek 3.2", "", 250, {128 * k, 64 * k, none, false}},
    {"minimax-m2.5", "MiniMax M2.5", "", 250, {196 * k, 64 * k, none, false}},
    {"minimax-m2.1", "MiniMax M2.1", "", 150, {196 * k, 64 * k, none, false}},
    {"glm-5", "GLM-5", "", 500, {200 * k, 64 * k, none, false}},
    {"qwen3-coder-next", "Qwen3 Coder Next", "", 50, {256 * k, 64 * k, none, false}},
};

constexpr std::array<std::string_view, 6> effort_names{"none", "low", "medium", "high", "xhigh", "max"};

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

} // namespace

std::string_view effort_name(Effort effort) {
    return effort_names[static_cast<size_t>(effort)];
}

std::optional<Effort> find_effort(std::string_view name) {
    const auto *at = std::find(effort_names.begin(), effort_names.end(), name);
    if (at == effort_names.end())
        return std::nullopt;
    return static_cast<Effort>(at - effort_names.begin());
}

std::span<const Model> builtin_models() {
    return models;
}

const Model *find_builtin_model(std::string_view id) {
    for (const Model &model : models) {
        if (equals_ignoring_case(model.id, id))
            return &model;
    }
    return nullptr;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

} // namespace kiro::kiro
