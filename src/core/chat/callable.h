// The tools that a model may call now, by any of their names.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

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

// Found without a walk over all tools: a text may name one in each line.
class CallableTools {
public:
    CallableTools() = default;

    // aliases: of the tools. allowed: names of those that may be called; empty: all.
    CallableTools(std::span<const Tool> tools, std::span<const ToolAlias> aliases,
                  std::span<const json::Raw> allowed);

    bool empty() const noexcept { return by_name_.empty(); }

    // By what the client or the upstream calls it, in UTF-8. nullptr: there is none, or it may not be called.
    const Callable *find(std::string_view name) const;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>()(text);
        }
    };

    std::unordered_map<std::string, std::optional<Callable>, Hash, std::equal_to<>> by_name_;
};

} // namespace kiro::chat
