// `tools`, `tool_choice`, and their forerunners `functions` and `function_call`.
#pragma once

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"
#include "core/chat/tool_choice.h"
#include "core/json/reader.h"

namespace kiro::openai_chat {

struct Tools {
    std::vector<chat::Tool> tools;
    bool flat_freeform = false; // a freeform tool is declared as Responses does it
};

Tools read_tools(json::Value &value, const chat::Path &path, chat::Arena &arena);

chat::ToolChoice read_tool_choice(json::Value &value, const chat::Path &path);

} // namespace kiro::openai_chat
