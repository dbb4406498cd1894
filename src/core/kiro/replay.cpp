#include "core/kiro/replay.h"

#include <optional>
#include <string>
#include <vector>

#include "core/kiro/seal.h"

namespace kiro::kiro {

namespace {

constexpr Raw placeholder = "...";

Raw joined(const std::vector<Raw> &texts, chat::Arena &arena) {
    if (texts.empty())
        return {};
    if (texts.size() == 1)
        return texts.front();
    std::string out;
    for (Raw text : texts)
        out += text;
    return arena.keep(std::move(out));
}

Thought thought_of(Unsealed unsealed, const std::vector<Raw> &texts, chat::Arena &arena) {
    const Raw payload = arena.keep(std::move(unsealed.payload));
    switch (unsealed.kind) {
    case SealKind::text:
        return {joined(texts, arena), payload, false};
    case SealKind::placeholder:
        return {placeholder, payload, false};
    case SealKind::redacted:
        break;
    }
    return {{}, payload, true};
}

// A signature is for all text since the one before it, which may have come in several blocks.
std::optional<Thought> first_thought(const std::vector<chat::Reasoning> &reasoning, std::string_view key,
                                     chat::Arena &arena) {
    std::vector<Raw> texts;
    for (const chat::Reasoning &block : reasoning) {
        if (!block.text.empty())
            texts.push_back(block.text);
        if (block.seal.empty())
            continue;
        if (auto unsealed = open_seal(key, texts, block.seal))
            return thought_of(std::move(*unsealed), texts, arena);
        texts.clear();
    }
    return std::nullopt;
}

} // namespace

void replay_reasoning(Turns &turns, std::string_view key, chat::Arena &arena) {
    for (Turn &turn : turns)
        turn.thought = first_thought(turn.reasoning, key, arena);
}

} // namespace kiro::kiro
