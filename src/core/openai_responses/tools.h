// `tools` and `tool_choice`.
#pragma once

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"
#include "core/chat/tool_choice.h"
#include "core/json/reader.h"

namespace kiro::openai_responses {

struct Tools {
    std::vector<chat::Tool> tools;
    bool web_search = false;
    chat::Raw web_search_at = {}; // where it stands in the body
};

// Adds to tools. Tools that only OpenAI could run are left out.
void read_tools(json::Value value, const chat::Path &path, chat::Arena &arena, Tools &tools);

chat::ToolChoice read_tool_choice(json::Value value, const chat::Path &path, chat::Arena &arena);
chat::ToolChoice tool_choice_of(chat::Raw word, const chat::Path &path);

// What the upstream calls a tool of a namespace.
chat::Raw qualified_name(chat::Raw name_space, chat::Raw name, chat::Arena &arena);

} // namespace kiro::openai_responses
