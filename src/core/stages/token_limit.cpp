#include "core/stages/token_limit.h"

#include <algorithm>

#include "core/json/character.h"
#include "core/tokens/estimate.h"

namespace kiro::stages {

namespace {

using std::string_view;

constexpr std::uint64_t ninths = 9;
constexpr std::uint64_t max_tokens = UINT64_MAX / ninths;

// In ninths of a token: 4.5 characters of ASCII make a token, 1.5 of those with three bytes of UTF-8, three
// of the others. Vocabularies of today need more tokens for nearly all texts.
std::uint64_t cost(std::uint64_t ascii, std::uint64_t wide, std::uint64_t other) {
    return 2 * ascii + 6 * wide + 3 * other;
}

std::uint64_t cost(const json::Character &character) {
    return cost(character.size == 1, character.size == 3, character.size == 2 || character.size == 4);
}

// An escape is the character that it stands for; most texts have none that matter.
std::uint64_t cost(string_view raw) {
    if (raw.find('\\') == string_view::npos) {
        tokens::Characters characters;
        characters.add(raw);
        return cost(characters.ascii, characters.wide, characters.other);
    }
    std::uint64_t sum = 0;
    while (!raw.empty()) {
        const json::Character character = json::first_character(raw);
        sum += cost(character);
        raw.remove_prefix(character.raw);
    }
    return sum;
}

} // namespace

TokenLimit::TokenLimit(std::uint64_t tokens) : left_(std::min(tokens, max_tokens) * ninths) {}

// The beginning of text that still fits.
string_view TokenLimit::fitting(string_view text) {
    const std::uint64_t whole = cost(text);
    if (whole <= left_) {
        left_ -= whole;
        return text;
    }
    reached_ = true;
    std::size_t at = 0;
    while (at < text.size()) {
        const json::Character character = json::first_character(text.substr(at));
        if (cost(character) > left_)
            break;
        left_ -= cost(character);
        at += character.raw;
    }
    return text.substr(0, at);
}

void TokenLimit::take(const chat::Event &event, Sink out) {
    if (reached_)
        return;
    if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
        out.text(fitting(text->text));
    } else if (const auto *reasoning = std::get_if<chat::ReasoningDelta>(&event)) {
        out.reasoning(fitting(reasoning->text));
    } else if (const auto *call = std::get_if<chat::FinishedCall>(&event)) {
        const std::uint64_t whole = cost(call->name) + cost(call->input);
        reached_ = whole > left_;
        if (!reached_) {
            left_ -= whole;
            out(event);
        }
    } else if (const auto *start = std::get_if<chat::CallStart>(&event)) {
        const std::uint64_t name = cost(start->name);
        reached_ = name > left_;
        if (!reached_) {
            left_ -= name;
            out(event);
        }
    } else if (const auto *input = std::get_if<chat::CallInput>(&event)) {
        if (const string_view fits = fitting(input->text); !fits.empty())
            out(chat::CallInput{fits});
        if (reached_)
            out(chat::CallEnd{false});
    } else {
        out(event);
    }
}

} // namespace kiro::stages
