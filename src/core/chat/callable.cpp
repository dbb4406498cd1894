#include "core/chat/callable.h"

#include <algorithm>

#include "core/chat/reply_context.h"

namespace kiro::chat {

std::optional<Callable> CallableTools::find(std::string_view name) const {
    const auto row = std::find_if(aliases.begin(), aliases.end(),
                                  [&](const ToolAlias &alias) { return json::equals(alias.alias, name); });
    for (const Tool &tool : tools) {
        const json::Raw shown = tool.name_space.empty() ? tool.name : tool.local_name;
        const bool renamed = row != aliases.end() && row->name == shown && row->name_space == tool.name_space;
        if (!renamed && !json::equals(tool.name, name))
            continue;
        const std::string plain = json::unescaped(tool.name);
        if (!allowed.empty() && std::none_of(allowed.begin(), allowed.end(),
                                             [&](json::Raw each) { return json::equals(each, plain); }))
            return std::nullopt;
        return Callable{shown, tool.name_space, tool.freeform, tool.schema};
    }
    return std::nullopt;
}

} // namespace kiro::chat
