#include "core/stages/tags.h"

#include <array>

#include "core/json/character.h"
#include "core/json/space.h"

namespace kiro::stages {

namespace {

using std::string_view;

constexpr std::array<string_view, 4> names{"thinking", "think", "reasoning", "thought"};
constexpr std::uint8_t every_name = (1U << names.size()) - 1;
constexpr std::size_t max_space = 256; // behind a closing tag
constexpr unsigned fence_ticks = 3;
constexpr unsigned past_fence = fence_ticks + 1; // no fence can begin on this line any more

// The character at a place of "<name>" or "</name>", 0 behind the end.
char tag_at(string_view name, std::size_t at, bool closing) {
    const std::size_t lead = closing ? 2 : 1;
    if (at < lead)
        return at == 0 ? '<' : '/';
    at -= lead;
    return at < name.size() ? name[at] : at == name.size() ? '>' : '\0';
}

// The names whose tag has c at this place.
std::uint8_t fitting(std::uint8_t candidates, std::size_t at, char c, bool closing) {
    std::uint8_t fit = 0;
    for (std::size_t i = 0; i < names.size(); i++) {
        if ((candidates >> i & 1) != 0 && c != '\0' && tag_at(names[i], at, closing) == c)
            fit = static_cast<std::uint8_t>(fit | 1U << i);
    }
    return fit;
}

} // namespace

void TagParser::say(string_view text, Sink out) {
    spoke_ |= !text.empty();
    out.text(text);
}

void TagParser::think(string_view text, Sink out) {
    reasoning_.add(text);
    out.reasoning(text);
}

void TagParser::begin_tag(State state, string_view raw) {
    state_ = state;
    matched_ = 1;
    if (state == State::opening)
        names_ = every_name;
    else
        tag_alone_ = at_line_start_;
    held_.append(raw);
}

// What was held is no tag.
void TagParser::give_up(State state, Sink out) {
    if (state == State::text)
        say(held_, out);
    else
        think(held_, out);
    held_.clear();
    state_ = state;
    at_line_start_ = false;
}

// A character of text: three backticks begin or end code, at a line's start or behind spaces.
void TagParser::look_for_fence(char c) {
    if (c == '\n') {
        ticks_ = 0;
    } else if (c == '`' && ticks_ < fence_ticks) {
        if (++ticks_ == fence_ticks)
            fenced_ = !fenced_;
    } else if (c != ' ' || ticks_ > 0) {
        ticks_ = past_fence;
    }
}

void TagParser::take_text(string_view text, Sink out) {
    std::size_t run = 0; // from here on nothing was given out or held
    std::size_t at = 0;
    const auto flush = [&] {
        const string_view piece = text.substr(run, at - run);
        if (state_ == State::thought)
            think(piece, out);
        else
            say(piece, out);
    };
    while (at < text.size() && state_ != State::after) {
        const json::Character character = json::first_character(text.substr(at));
        const char c = character.ascii();
        const string_view raw = text.substr(at, character.raw);
        bool taken = true;
        switch (state_) {
        case State::start:
            if (json::is_space(c)) {
                held_.append(raw);
            } else if (c == '<') {
                begin_tag(State::opening, raw);
            } else {
                give_up(State::text, out);
                taken = false;
            }
            run = at + (taken ? raw.size() : 0);
            break;
        case State::text:
        case State::thought:
            if (c == '<' && (state_ == State::thought || (at_line_start_ && !fenced_))) {
                flush();
                begin_tag(state_ == State::thought ? State::closing : State::opening, raw);
            } else {
                at_line_start_ = c == '\n';
                if (state_ == State::text)
                    look_for_fence(c);
            }
            break;
        case State::opening:
        case State::closing: {
            const bool closing = state_ == State::closing;
            const std::uint8_t fit = fitting(names_, matched_, c, closing);
            if (fit == 0) {
                give_up(closing ? State::thought : State::text, out);
                ticks_ = past_fence;
                run = at;
                taken = false;
                break;
            }
            names_ = fit;
            matched_++;
            held_.append(raw);
            run = at + raw.size();
            if (c == '>') {
                state_ = closing ? State::closed : State::opened;
                behind_ = held_.size();
                line_ends_ = 0;
                if (!closing)
                    held_.clear();
            }
            break;
        }
        case State::opened:
            run = at;
            if (c == '\r' || c == '\n') {
                run = at + raw.size();
            } else {
                taken = false;
            }
            if (c != '\r') {
                state_ = State::thought;
                at_line_start_ = true;
            }
            break;
        case State::closed:
            if (json::is_space(c) && held_.size() - behind_ < max_space) {
                held_.append(raw);
                if (c == '\n') {
                    line_ends_++;
                    behind_ = held_.size();
                }
                run = at + raw.size();
                if (line_ends_ == 2) {
                    held_.clear();
                    state_ = State::after;
                }
                break;
            }
            run = at;
            taken = false;
            if (line_ends_ == 1 && tag_alone_) {
                say(string_view(held_).substr(behind_), out);
                held_.clear();
                state_ = State::after;
            } else {
                const bool line_start = line_ends_ > 0 && behind_ == held_.size();
                give_up(State::thought, out);
                at_line_start_ = line_start;
            }
            break;
        case State::after:
            break;
        }
        if (taken)
            at += raw.size();
    }
    if (state_ == State::text || state_ == State::thought) {
        flush();
    } else if (state_ == State::after) {
        at = text.size();
        flush();
    }
}

// The text ends here, or something else comes between.
void TagParser::boundary(Sink out) {
    switch (state_) {
    case State::start:
        say(held_, out);
        held_.clear();
        break;
    case State::opening:
        give_up(State::text, out);
        [[fallthrough]];
    case State::text:
        at_line_start_ = true;
        ticks_ = 0;
        fenced_ = false;
        break;
    case State::closing:
        give_up(State::thought, out);
        state_ = State::after;
        break;
    case State::opened:
    case State::thought:
    case State::closed:
        held_.clear();
        state_ = State::after;
        break;
    case State::after:
        break;
    }
}

void TagParser::take(const chat::Event &event, Sink out) {
    if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
        take_text(text->text, out);
        return;
    }
    boundary(out);
    spoke_ |=
        std::holds_alternative<chat::FinishedCall>(event) || std::holds_alternative<chat::CallStart>(event);
    out(event);
}

void TagParser::finish(Sink out) {
    boundary(out);
    // Clients expect an answer behind the reasoning.
    if (shown_ && reasoning_.size > 0 && !spoke_)
        say(" ", out);
}

} // namespace kiro::stages
