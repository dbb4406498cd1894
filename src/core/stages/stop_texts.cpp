#include "core/stages/stop_texts.h"

#include <algorithm>

#include "core/json/character.h"

namespace kiro::stages {

namespace {

using std::string_view;

// The raw length of the characters that make up so many bytes of text.
std::size_t raw_length(string_view raw, std::size_t bytes) {
    std::size_t at = 0;
    for (std::size_t given = 0; given < bytes && at < raw.size();) {
        const json::Character character = json::first_character(raw.substr(at));
        given += character.size;
        at += character.raw;
    }
    return at;
}

std::size_t index_of(char byte) {
    return static_cast<unsigned char>(byte);
}

} // namespace

StopTexts::StopTexts(std::span<const json::Raw> stops) : stops_(stops), nodes_(1) {
    std::string text;
    std::size_t longest = 0;
    for (std::size_t i = 0; i < stops.size(); i++) {
        text.clear();
        json::unescape(stops[i], text);
        longest = std::max(longest, text.size());
        if (!text.empty())
            add(static_cast<std::uint32_t>(i), text);
    }
    link();
    held_.reserve(longest + 4096); // with the delta that ends it
}

std::uint32_t StopTexts::child_of(std::uint32_t node, char byte) const {
    if (node == 0)
        return roots_[index_of(byte)];
    std::uint32_t child = nodes_[node].child;
    while (child != 0 && nodes_[child].byte != byte)
        child = nodes_[child].sibling;
    return child;
}

void StopTexts::add(std::uint32_t index, string_view text) {
    std::uint32_t node = 0;
    for (char byte : text) {
        std::uint32_t child = child_of(node, byte);
        if (child == 0) {
            child = static_cast<std::uint32_t>(nodes_.size());
            Node made;
            made.byte = byte;
            made.depth = nodes_[node].depth + 1;
            made.sibling = nodes_[node].child;
            nodes_.push_back(made);
            nodes_[node].child = child;
            if (node == 0)
                roots_[index_of(byte)] = child;
        }
        node = child;
    }
    if (nodes_[node].longest == 0)
        nodes_[node].longest = index + 1;
}

// Breadth first, as a fallback is less deep than what falls back.
void StopTexts::link() {
    std::vector<std::uint32_t> order;
    order.reserve(nodes_.size());
    order.push_back(0);
    for (std::size_t i = 0; i < order.size(); i++) {
        const std::uint32_t parent = order[i];
        for (std::uint32_t child = nodes_[parent].child; child != 0; child = nodes_[child].sibling) {
            if (parent != 0)
                nodes_[child].fallback = next(nodes_[parent].fallback, nodes_[child].byte);
            if (nodes_[child].longest == 0)
                nodes_[child].longest = nodes_[nodes_[child].fallback].longest;
            order.push_back(child);
        }
    }
}

std::uint32_t StopTexts::next(std::uint32_t node, char byte) const {
    while (true) {
        const std::uint32_t child = child_of(node, byte);
        if (child != 0 || node == 0)
            return child;
        node = nodes_[node].fallback;
    }
}

// Gives out the first bytes of what is held and text, and holds the rest.
void StopTexts::give(std::size_t bytes, string_view text, Sink out) {
    if (held_.empty()) {
        const std::size_t length = raw_length(text, bytes);
        out.text(text.substr(0, length));
        held_.append(text.substr(length));
        return;
    }
    held_.append(text);
    if (bytes > 0) {
        const std::size_t length = raw_length(held_, bytes);
        out.text(string_view(held_).substr(0, length));
        held_.erase(0, length);
    }
}

void StopTexts::take_text(string_view text, Sink out) {
    const std::size_t before = nodes_[state_].depth;
    std::size_t bytes = 0;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] != '\\') { // most bytes
            state_ = state_ == 0 ? roots_[index_of(text[at])] : next(state_, text[at]);
            at++;
            bytes++;
        } else {
            const json::Character character = json::first_character(text.substr(at));
            for (char byte : character.text()) {
                state_ = next(state_, byte);
                bytes++;
                if (nodes_[state_].longest != 0)
                    break;
            }
            at += character.raw;
        }
        if (const std::uint32_t longest = nodes_[state_].longest; longest != 0) {
            const std::size_t length = json::unescaped(stops_[longest - 1]).size();
            give(before + bytes - length, text.substr(0, at), out);
            hit_ = &stops_[longest - 1];
            held_.clear();
            return;
        }
    }
    const std::size_t now = nodes_[state_].depth;
    if (now == 0 && before == 0)
        out.text(text);
    else
        give(before + bytes - now, text, out);
}

// What was held back comes out after all.
void StopTexts::release(Sink out) {
    out.text(held_);
    held_.clear();
    state_ = 0;
}

void StopTexts::take(const chat::Event &event, Sink out) {
    if (hit())
        return;
    if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
        take_text(text->text, out);
        return;
    }
    release(out);
    out(event);
}

void StopTexts::finish(Sink out) {
    if (!hit())
        release(out);
}

} // namespace kiro::stages
