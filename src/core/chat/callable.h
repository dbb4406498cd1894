// The tools that a model may call now, by any of their names.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/chat/conversation.h"

namespace kiro::chat {

struct ToolAlias;

// Views of the tool's definition.
struct Callable {
    json::Raw name;       // as the client knows it
    json::Raw name_space; // may be empty
    bool freeform = false;
    std::string_view schema; // a JSON object; empty: takes no arguments
};

struct CallableTools {
    std::span<const Tool> tools;
    std::span<const ToolAlias> aliases; // of them
    std::span<const json::Raw> allowed; // names of those that may be called; empty: all

    bool empty() const noexcept { return tools.empty(); }

    // By what the client or the upstream calls it, in UTF-8.
    std::optional<Callable> find(std::string_view name) const;
};

} // namespace kiro::chat
