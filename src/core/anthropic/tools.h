// `tools` and `tool_choice` of Anthropic Messages.
#pragma once

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"
#include "core/chat/tool_choice.h"
#include "core/json/reader.h"

namespace kiro::anthropic {

struct Tools {
    std::vector<chat::Tool> tools;
    std::vector<chat::Raw> left_out; // names of tools that nobody here can run
    bool web_search = false;
    chat::SearchOffer search;
};

// Tools that Anthropic's servers would run are left out but for the web search; those that the client runs
// but whose schema only Anthropic knows get it here.
Tools read_tools(json::Value &value, const chat::Path &path, chat::Arena &arena);

struct ToolChoice {
    chat::ToolChoice tools;
    bool parallel = true;
};

ToolChoice read_tool_choice(json::Value &value, const chat::Path &path);

// Throws if a tool is named that tools never had.
void apply_tool_choice(const ToolChoice &choice, const Tools &tools, chat::Conversation &conversation);

} // namespace kiro::anthropic
