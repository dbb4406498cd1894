// Tool names and call ids within the upstream's limits. Both maps are deterministic: the same history gives
// the same bytes in every request.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/chat/arena.h"
#include "core/chat/conversation.h"
#include "core/chat/reply_context.h"
#include "core/json/raw.h"

namespace kiro::kiro {

using json::Raw;

// A letter, then at most 62 of [A-Za-z0-9_-]; no two that differ in case only.
class ToolNames {
public:
    explicit ToolNames(chat::Arena &a) : arena(a) {}

    // What the upstream calls the client's tool.
    Raw alias_of(Raw name);

    // The same, for a name that alias_of() was not asked for before; also remembers what a call of the tool
    // must look like to the client.
    Raw alias_of(const chat::Tool &tool);

    // Was alias_of() asked for this name before?
    bool knows(Raw name) const;

    // The tools that the client does not call by a name alone, or by another one.
    const std::vector<chat::ToolAlias> &aliases() const { return changed; }

private:
    chat::Arena &arena;
    std::unordered_map<std::string, Raw> by_name;
    std::unordered_set<std::string> taken; // in lower case
    std::vector<chat::ToolAlias> changed;
};

// 1-64 of [A-Za-z0-9_-], each once in a conversation.
class CallIds {
public:
    explicit CallIds(chat::Arena &a) : arena(a) {}

    Raw next(Raw client_id);

private:
    chat::Arena &arena;
    std::unordered_set<std::string_view> used;
    std::unordered_map<std::string_view, size_t> repeats; // of a client id
};

} // namespace kiro::kiro
