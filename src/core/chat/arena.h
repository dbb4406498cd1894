// Owns the few strings of a request that are made rather than sliced from the client's body.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace kiro::chat {

class Arena {
public:
    // Views stay valid as long as the arena, also when it moves.
    std::string_view keep(std::string text) { return strings.emplace_back(std::move(text)); }

private:
    std::deque<std::string> strings; // never moves its elements
};

} // namespace kiro::chat
