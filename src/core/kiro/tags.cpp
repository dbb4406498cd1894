#include "core/kiro/tags.h"

#include <algorithm>
#include <string>

namespace kiro::kiro {

namespace {

constexpr std::string_view marks[] = {"<thinking_mode>", "<max_thinking_length>"};

bool has_marks(const Turn &turn) {
    return std::any_of(turn.texts.begin(), turn.texts.end(), [](Raw text) {
        return std::any_of(std::begin(marks), std::end(marks),
                           [text](std::string_view mark) { return text.find(mark) != Raw::npos; });
    });
}

} // namespace

void ask_for_tags(Turn &current, uint32_t budget, chat::Arena &arena) {
    if (budget == 0 || !current.results.empty() || has_marks(current))
        return;
    std::string text = "<thinking_mode>enabled</thinking_mode><max_thinking_length>";
    text += std::to_string(budget);
    text +=
        "</max_thinking_length><thinking_instruction>Reason first, between <thinking> and </thinking>, and "
        "give the answer behind it.</thinking_instruction>";
    current.texts.insert(current.texts.begin(), arena.keep(std::move(text)));
}

} // namespace kiro::kiro
