#include "core/chat/tool_choice.h"

namespace kiro::chat {

namespace {

bool same(Raw a, Raw b) {
    return a == b || (json::has_escapes(b) ? json::equals(a, json::unescaped(b)) : json::equals(a, b));
}

// By its whole name, or by its own name if the namespace does not contradict.
bool is_called(const Tool &tool, const ToolName &wanted) {
    if (same(tool.name, wanted.name))
        return true;
    if (tool.name_space.empty() || !same(tool.local_name, wanted.name))
        return false;
    return wanted.name_space.empty() || same(tool.name_space, wanted.name_space);
}

Raw name_of(const ToolName &wanted, const std::vector<Tool> &tools) {
    for (const Tool &tool : tools) {
        if (is_called(tool, wanted))
            return tool.name;
    }
    throw Invalid{KIRO_FAIL_INVALID_REQUEST, wanted.path,
                  wanted.path + ": tool " + quoted(wanted.name) + " is not among the tools"};
}

} // namespace

void apply_tool_choice(const ToolChoice &choice, Conversation &conversation) {
    conversation.tool_mode = choice.mode;
    for (const ToolName &wanted : choice.names) {
        Raw name = name_of(wanted, conversation.tools);
        if (choice.mode == ToolMode::named)
            conversation.tool_name = name;
        else
            conversation.allowed_tools.push_back(name);
    }
}

} // namespace kiro::chat
