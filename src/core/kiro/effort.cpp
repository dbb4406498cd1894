#include "core/kiro/effort.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace kiro::kiro {

namespace {

using chat::ThinkingMode;

struct EffortWord {
    std::string_view word;
    Effort effort;
};

// As clients spell them. Any other word means the model's usual effort.
constexpr EffortWord effort_words[] = {
    {"none", Effort::none}, {"minimal", Effort::low}, {"low", Effort::low}, {"medium", Effort::medium},
    {"high", Effort::high}, {"xhigh", Effort::xhigh}, {"max", Effort::max},
};

struct BudgetBand {
    uint32_t below; // tokens
    Effort effort;
};

constexpr BudgetBand budget_bands[] = {
    {2048, Effort::low},
    {8192, Effort::medium},
    {16384, Effort::high},
    {32768, Effort::xhigh},
};

// Tokens for thinking in tags, indexed by Effort. More than the last one makes models ramble.
constexpr int effort_count = 6;
constexpr uint32_t tag_budgets[effort_count] = {0, 4000, 10000, 20000, 24576, 24576};
constexpr uint32_t smallest_tag_budget = 1024;
constexpr uint32_t largest_tag_budget = 24576;

std::string lower(std::string text) {
    for (char &c : text) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c + 32);
    }
    return text;
}

std::optional<Effort> known_effort(chat::Raw raw) {
    const std::string word = lower(json::unescaped(raw));
    const auto *known = std::find_if(std::begin(effort_words), std::end(effort_words),
                                     [&](const EffortWord &row) { return row.word == word; });
    if (known == std::end(effort_words))
        return std::nullopt;
    return known->effort;
}

Effort effort_of_budget(uint32_t budget) {
    const auto *band = std::find_if(std::begin(budget_bands), std::end(budget_bands),
                                    [=](const BudgetBand &row) { return budget < row.below; });
    return band == std::end(budget_bands) ? Effort::max : band->effort;
}

// An effort by name says more than a budget.
std::optional<Effort> effort_of(const chat::Thinking &wish, Effort usual) {
    if (!wish.effort.empty())
        return known_effort(wish.effort).value_or(usual);
    if (wish.mode == ThinkingMode::budget)
        return effort_of_budget(wish.budget);
    return std::nullopt;
}

// The nearest that the model takes and is not more than wanted; if there is none, the least.
Effort clamp(Effort wanted, const ReasoningFacts &facts) {
    for (int i = static_cast<int>(wanted); i >= 0; i--) {
        if (facts.takes(static_cast<Effort>(i)))
            return static_cast<Effort>(i);
    }
    for (int i = static_cast<int>(wanted); i < effort_count; i++) {
        if (facts.takes(static_cast<Effort>(i)))
            return static_cast<Effort>(i);
    }
    return facts.usual;
}

bool asks(const chat::Thinking &wish) {
    return wish.mode != ThinkingMode::unasked && wish.mode != ThinkingMode::off;
}

// The members of additionalModelRequestFields, each an object with words.
class Fields {
public:
    void open(std::string_view key) {
        text += text.empty() ? "{\"" : ",\"";
        text += key;
        text += "\":{";
    }
    void word(std::string_view key, std::string_view value) {
        if (text.back() != '{')
            text += ',';
        text += '"';
        text += key;
        text += "\":\"";
        text += value;
        text += '"';
    }
    void close() { text += '}'; }
    std::string take() {
        if (!text.empty())
            text += '}';
        return std::move(text);
    }

private:
    std::string text;
};

void write_thinking(const ReasoningFacts &facts, const chat::Thinking &wish, bool shown, Fields &fields) {
    if (wish.mode == ThinkingMode::off) {
        if (facts.disabled) {
            fields.open("thinking");
            fields.word("type", "disabled");
            fields.close();
        }
        return;
    }
    if (!facts.adaptive || !asks(wish))
        return;
    const bool between = wish.mode == ThinkingMode::between_tools && facts.between_tools;
    fields.open("thinking");
    fields.word("type", between ? "between_tools" : "adaptive");
    if (facts.display)
        fields.word("display", shown && !wish.omitted ? "summarized" : "omitted");
    fields.close();
}

// What is sent as effort; nothing: the model's own default holds.
std::optional<Effort> sent_effort(const ReasoningFacts &facts, const chat::Thinking &wish) {
    if (facts.field == EffortField::none)
        return std::nullopt;
    if (wish.mode == ThinkingMode::off)
        return facts.disabled ? std::nullopt : std::optional(clamp(Effort::none, facts));
    if (const auto effort = effort_of(wish, facts.usual))
        return clamp(*effort, facts);
    return asks(wish) ? std::optional(facts.usual) : std::nullopt;
}

std::string native_fields(const ReasoningFacts &facts, const chat::Thinking &wish, bool shown) {
    Fields fields;
    write_thinking(facts, wish, shown, fields);
    if (const auto effort = sent_effort(facts, wish)) {
        fields.open(facts.field == EffortField::reasoning ? "reasoning" : "output_config");
        fields.word("effort", effort_name(*effort));
        fields.close();
    }
    return fields.take();
}

uint32_t tag_budget_of(const ReasoningFacts &facts, const chat::Thinking &wish) {
    if (!asks(wish))
        return 0;
    if (wish.effort.empty() && wish.mode == ThinkingMode::budget)
        return std::clamp(wish.budget, smallest_tag_budget, largest_tag_budget);
    const Effort effort = effort_of(wish, facts.usual).value_or(facts.usual);
    return std::max(tag_budgets[static_cast<size_t>(effort)], smallest_tag_budget);
}

} // namespace

ThinkingPlan plan_thinking(const ReasoningFacts &facts, kiro_thinking option, const chat::Thinking &wish,
                           bool shown) {
    ThinkingPlan plan;
    chat::Thinking meant = wish;
    if (option == KIRO_THINKING_OFF) {
        meant = {};
        meant.mode = ThinkingMode::off;
    }
    const bool tags = option == KIRO_THINKING_TAGS || (option == KIRO_THINKING_AUTO && !facts.native());
    if (tags) {
        plan.tag_budget = tag_budget_of(facts, meant);
        return plan;
    }
    plan.fields = native_fields(facts, meant, shown);
    if (!meant.effort.empty() && meant.mode != ThinkingMode::off) {
        const auto sent = sent_effort(facts, meant);
        plan.clamped = sent && sent != known_effort(meant.effort);
    }
    plan.replay = facts.native() && (asks(meant) || !facts.disabled);
    return plan;
}

} // namespace kiro::kiro
