/*
 * Ends the text before the first of the client's stop texts. What could still become one is held back. The
 * one that is complete first counts, of several the longest. Texts are compared without their escapes; a
 * match does not reach over a tool call or reasoning.
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/raw.h"
#include "core/stages/sink.h"

namespace kiro::stages {

class StopTexts {
public:
    // The raw stop texts outlive this.
    explicit StopTexts(std::span<const json::Raw> stops);

    void take(const chat::Event &event, Sink out);
    void finish(Sink out);

    bool hit() const { return hit_ != nullptr; }
    json::Raw text() const { return hit_ != nullptr ? *hit_ : json::Raw(); }

private:
    // Aho-Corasick over the bytes of the stop texts. Node 0 is the root.
    struct Node {
        std::uint32_t child = 0;   // the first one
        std::uint32_t sibling = 0; // the next child of the same parent
        std::uint32_t fallback = 0;
        std::uint32_t depth = 0;   // bytes from the root
        std::uint32_t longest = 0; // 1 + the stop text that ends here, 0: none
        char byte = 0;
    };

    void add(std::uint32_t index, std::string_view text);
    void link();
    std::uint32_t child_of(std::uint32_t node, char byte) const;
    std::uint32_t next(std::uint32_t node, char byte) const;

    void take_text(std::string_view text, Sink out);
    void give(std::size_t bytes, std::string_view text, Sink out);
    void release(Sink out);

    std::span<const json::Raw> stops_;
    std::vector<Node> nodes_;
    std::array<std::uint32_t, 256> roots_{}; // the children of the root

    std::uint32_t state_ = 0; // its depth is the number of bytes held
    std::string held_;        // raw
    const json::Raw *hit_ = nullptr;
};

} // namespace kiro::stages
