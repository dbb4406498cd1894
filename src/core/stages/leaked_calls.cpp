#include "core/stages/leaked_calls.h"

#include <algorithm>

#include "core/chat/freeform.h"
#include "core/json/character.h"
#include "core/json/space.h"
#include "core/json/writer.h"

namespace kiro::stages {

namespace {

using std::string_view;

constexpr std::size_t fence_marks = 3;
constexpr unsigned max_indent = 3;

} // namespace

void CodeFences::begin_line() {
    part_ = Part::indent;
    spaces_ = 0;
    marks_ = 0;
}

void CodeFences::take(char c) {
    if (c == '\n') {
        if ((part_ == Part::marks || part_ == Part::info) && marks_ >= fence_marks) {
            if (!fenced()) {
                open_ = marks_;
                open_mark_ = mark_;
            } else if (mark_ == open_mark_ && marks_ >= open_) {
                open_ = 0;
            }
        }
        begin_line();
        return;
    }
    switch (part_) {
    case Part::indent:
        if (c == ' ' && ++spaces_ <= max_indent)
            return;
        mark_ = c;
        marks_ = 1;
        part_ = c == '`' || c == '~' ? Part::marks : Part::rest;
        return;
    case Part::marks:
        if (c == mark_) {
            marks_++;
            return;
        }
        part_ = marks_ >= fence_marks ? Part::info : Part::rest;
        [[fallthrough]];
    case Part::info:
        // A closing fence stands alone; ticks behind opening ones make it a piece of code within the line.
        if (fenced() ? !json::is_space(c) : mark_ == '`' && c == '`')
            part_ = Part::rest;
        return;
    case Part::rest:
        return;
    }
}

// What was held is text.
void LeakedCalls::release(Sink out) {
    for (string_view rest = held_; !rest.empty();) {
        const json::Character character = json::first_character(rest);
        fences_.take(character.ascii());
        rest.remove_prefix(character.raw);
    }
    out.text(held_);
    held_.clear();
    parser_.reset();
}

void LeakedCalls::rescue(Sink out) {
    for (const chat::RescuedCall &call : parser_.calls()) {
        const std::string id = "tooluse_" + answer_ + "_" + std::to_string(++rescued_);
        const std::string arguments = json::escaped(call.input);
        chat::FinishedCall made{.id = id,
                                .name = call.tool.name,
                                .arguments = arguments,
                                .input = call.input,
                                .name_space = call.tool.name_space,
                                .freeform = call.tool.freeform};
        if (made.freeform)
            made.text = chat::freeform_text(made.input, made.arguments);
        out(made);
    }
    held_.clear();
    parser_.reset();
    fences_.begin_line();
    behind_call_ = true;
}

// False: the character is not part of what was held, which is text now.
bool LeakedCalls::take_candidate(string_view raw, Sink out) {
    const json::Character character = json::first_character(raw);
    for (const char byte : character.text()) {
        switch (parser_.take(byte)) {
        case chat::LeakedCallParser::Verdict::maybe:
            break;
        case chat::LeakedCallParser::Verdict::yes:
            rescue(out);
            return true;
        case chat::LeakedCallParser::Verdict::no:
            release(out);
            return false;
        }
    }
    held_.append(raw);
    return true;
}

void LeakedCalls::take_text(string_view text, Sink out) {
    std::size_t run = 0; // from here on nothing was given out, held or dropped
    std::size_t at = 0;
    const auto flush = [&] { out.text(text.substr(run, at - run)); };
    while (at < text.size()) {
        if (held_.empty() && !behind_call_ && fences_.within_line() && text[at] != '\\') {
            at = std::min(text.find('\\', at), text.size());
            continue;
        }
        const json::Character character = json::first_character(text.substr(at));
        const string_view raw = text.substr(at, character.raw);
        const char c = character.ascii();
        if (!held_.empty()) {
            run = at;
            if (take_candidate(raw, out)) {
                at += raw.size();
                run = at;
            }
            continue;
        }
        if (behind_call_ && json::is_space(c)) {
            at += raw.size();
            run = at;
            continue;
        }
        behind_call_ = false;
        if (chat::LeakedCallParser::may_begin(c) && fences_.at_line_start() && !fences_.fenced()) {
            flush();
            if (parser_.take(c) == chat::LeakedCallParser::Verdict::maybe) {
                held_.append(raw);
                at += raw.size();
                run = at;
                continue;
            }
            parser_.reset();
            run = at;
        }
        fences_.take(c);
        at += raw.size();
    }
    if (held_.empty())
        flush();
}

void LeakedCalls::take(const chat::Event &event, Sink out) {
    if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
        take_text(text->text, out);
        return;
    }
    release(out);
    fences_.begin_line(); // of another text
    behind_call_ = false;
    out(event);
}

void LeakedCalls::finish(Sink out) {
    release(out);
}

} // namespace kiro::stages
