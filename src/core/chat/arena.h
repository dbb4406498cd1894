// Owns the few strings of a request that are made rather than sliced from the client's body, and is told what
// else is changed of it.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "core/chat/changes.h"

namespace kiro::chat {

class Arena {
public:
    Arena() = default;
    explicit Arena(Changes *c) : changes(c) {} // nullptr: nobody asks for them

    // Views stay valid as long as the arena, also when it moves.
    std::string_view keep(std::string text) { return strings.emplace_back(std::move(text)); }

    // at: a slice of the client's body where the rule had to be kept, if there is one.
    void note(Rule rule, std::string_view at = {}, std::size_t count = 1) {
        if (changes != nullptr && count > 0)
            changes->add(rule, at, count);
    }

    bool noting() const { return changes != nullptr; }

    void forget(Rule rule) {
        if (changes != nullptr)
            changes->forget(rule);
    }

private:
    std::deque<std::string> strings; // never moves its elements
    Changes *changes = nullptr;
};

} // namespace kiro::chat
