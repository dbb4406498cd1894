// Which tools the model may or must call, as a client says it. Keys come in any order, so the names are
// looked up when the tools are known.
#pragma once

#include <string>
#include <vector>

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"

namespace kiro::chat {

struct ToolName {
    Raw name;
    Raw name_space;   // may be empty
    std::string path; // where the name stands
};

struct ToolChoice {
    ToolMode mode = ToolMode::automatic;
    std::vector<ToolName> names; // the one of ToolMode::named, else the only ones that are allowed
};

// "auto", "none", "required", and "any" as some clients have it. Throws for any other word.
ToolMode tool_mode_of(Raw word, const Path &path);

// Fills tool_mode, tool_name and allowed_tools. Throws if a name is not among the tools.
void apply_tool_choice(const ToolChoice &choice, Conversation &conversation);

} // namespace kiro::chat
