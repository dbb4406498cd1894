/*
 * Reasoning that a model writes into its text, between tags:
 *
 *   white space? <thinking> line end? reasoning </thinking> blank line, answer
 *
 * thinking, think, reasoning and thought are known. The opening tag counts at the start of the answer or of a
 * line, but not between code fences, once. The closing tag counts before a blank line, before the end of the
 * text, or alone on its line: elsewhere the reasoning quotes it. What is not closed is reasoning to the end.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/stages/sink.h"
#include "core/tokens/estimate.h"

namespace kiro::stages {

class TagParser {
public:
    // shown: the client sees reasoning, and then also some text.
    explicit TagParser(bool shown) : shown_(shown) {}

    void take(const chat::Event &event, Sink out);
    void finish(Sink out);

    // What was reasoning, so far.
    const tokens::Characters &reasoning() const { return reasoning_; }

private:
    enum class State : std::uint8_t {
        start,   // white space only so far
        text,    // no tag so far
        opening, // an opening tag perhaps
        opened,  // behind it, before what is stripped
        thought,
        closing, // a closing tag perhaps
        closed,  // behind one that perhaps counts
        after,
    };

    void take_text(std::string_view text, Sink out);
    void begin_tag(State state, std::string_view raw);
    void give_up(State state, Sink out);
    void look_for_fence(char c);
    void boundary(Sink out);
    void say(std::string_view text, Sink out);
    void think(std::string_view text, Sink out);

    bool shown_;
    State state_ = State::start;
    std::string held_;          // raw: what may be part of a tag
    std::size_t matched_ = 0;   // characters of the tag
    std::uint8_t names_ = 0;    // bits of the names that still fit, or the one that opened
    std::size_t behind_ = 0;    // of held_: the tag and the line ends behind it
    unsigned line_ends_ = 0;    // behind the closing tag
    bool at_line_start_ = true; // the next character
    unsigned ticks_ = 0;        // that begin the line of text, past_fence behind anything else
    bool fenced_ = false;       // between code fences
    bool tag_alone_ = false;    // the closing tag began a line
    tokens::Characters reasoning_;
    bool spoke_ = false;
};

} // namespace kiro::stages
