#include "core/chat/callable.h"

#include <map>
#include <unordered_set>
#include <utility>

#include "core/chat/reply_context.h"

namespace kiro::chat {

CallableTools::CallableTools(std::span<const Tool> tools, std::span<const ToolAlias> aliases,
                             std::span<const json::Raw> allowed) {
    std::map<std::pair<std::string_view, std::string_view>, std::string_view> alias_of;
    for (const ToolAlias &alias : aliases)
        alias_of.try_emplace({alias.name_space, alias.name}, alias.alias);
    std::unordered_set<std::string> may;
    for (json::Raw name : allowed)
        may.insert(json::unescaped(name));
    for (const Tool &tool : tools) {
        const json::Raw shown = tool.name_space.empty() ? tool.name : tool.local_name;
        std::string name = json::unescaped(tool.name);
        std::optional<Callable> callable;
        if (allowed.empty() || may.contains(name))
            callable = Callable{shown, tool.name_space, tool.freeform, tool.schema};
        by_name_.try_emplace(std::move(name), callable);
        if (const auto row = alias_of.find({tool.name_space, shown}); row != alias_of.end())
            by_name_.try_emplace(json::unescaped(row->second), callable);
    }
}

const Callable *CallableTools::find(std::string_view name) const {
    const auto row = by_name_.find(name);
    return row != by_name_.end() && row->second ? &*row->second : nullptr;
}

} // namespace kiro::chat
