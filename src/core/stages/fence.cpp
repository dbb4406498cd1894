#include "core/stages/fence.h"

#include "core/json/character.h"
#include "core/json/space.h"

namespace kiro::stages {

namespace {

using std::string_view;

constexpr std::size_t fence_ticks = 3;
constexpr std::size_t max_language = 16;

bool is_language(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-';
}

} // namespace

// Does c go on with what may be an opening fence? It is then held.
bool Fence::opens(char c, string_view raw) {
    switch (state_) {
    case State::space:
        if (c == '`')
            state_ = State::ticks;
        else if (!json::is_space(c))
            return false;
        break;
    case State::ticks:
        if (ticks_ == fence_ticks)
            state_ = State::language;
        else if (c != '`')
            return false;
        break;
    default:
        break;
    }
    if (state_ == State::ticks)
        ticks_++;
    if (state_ == State::language) {
        if (c == '\n') {
            state_ = State::inside;
            held_.clear();
            ticks_ = 0;
            return true;
        }
        if (is_language(c) ? ++letters_ > max_language : !json::is_space(c))
            return false;
    }
    held_.append(raw);
    return true;
}

void Fence::take_text(string_view text, Sink out) {
    std::size_t run = 0; // from here on nothing was given out or held
    std::size_t at = 0;
    while (at < text.size() && state_ != State::plain) {
        const json::Character character = json::first_character(text.substr(at));
        const string_view raw = text.substr(at, character.raw);
        const char c = character.ascii();
        if (state_ != State::inside) {
            if (opens(c, raw)) {
                at += raw.size();
                run = at;
            } else {
                out.text(held_);
                held_.clear();
                state_ = State::plain;
            }
            continue;
        }
        // A closing fence is white space, ticks, white space; all else ends what is held.
        const bool fits = json::is_space(c) || (c == '`' && !trailing_ && ticks_ < fence_ticks);
        if (!fits || (json::is_space(c) && ticks_ > 0 && ticks_ < fence_ticks)) {
            if (!held_.empty()) {
                out.text(held_);
                held_.clear();
                ticks_ = 0;
                trailing_ = false;
                run = at;
                if (json::is_space(c) || c == '`')
                    continue; // may begin another one
            }
            at += raw.size();
            continue;
        }
        if (held_.empty())
            out.text(text.substr(run, at - run));
        held_.append(raw);
        ticks_ += c == '`';
        trailing_ = json::is_space(c) && ticks_ > 0;
        at += raw.size();
        run = at;
    }
    if (state_ == State::plain || (state_ == State::inside && held_.empty()))
        out.text(text.substr(run));
}

void Fence::take(const chat::Event &event, Sink out) {
    if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
        take_text(text->text, out);
        return;
    }
    finish(out);
    out(event);
}

void Fence::finish(Sink out) {
    const bool closing = state_ == State::inside && ticks_ == fence_ticks;
    if (!closing)
        out.text(held_);
    held_.clear();
    ticks_ = letters_ = 0;
    trailing_ = false;
    state_ = State::space; // of the next text
}

} // namespace kiro::stages
