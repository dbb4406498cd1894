// `input`: one text, or the items of a conversation.
#pragma once

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"
#include "core/json/reader.h"
#include "core/openai_responses/tools.h"

namespace kiro::openai_responses {

struct Input {
    std::vector<chat::Message> messages;
    Tools added; // tools that came in the middle of the conversation
};

void read_input(json::Value value, const chat::Path &path, chat::Arena &arena, Input &input);

} // namespace kiro::openai_responses
