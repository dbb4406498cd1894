// What $ref means.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "core/json/raw.h"

namespace kiro::kiro {

// Finds what references mean within root. Each object and list on the way is read once, however many
// references lead through it.
class References {
public:
    explicit References(std::string_view r) : root(r) {}

    // What "#/$defs/Name" means; empty: nothing.
    std::string_view resolve(json::Raw reference);

private:
    using Steps = std::unordered_map<std::string, std::string_view>;

    const Steps &steps_of(std::string_view value);

    std::string_view root;
    std::unordered_map<const char *, Steps> known;
};

} // namespace kiro::kiro
