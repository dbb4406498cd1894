// OpenAI Chat Completions: the body of POST /v1/chat/completions.
#pragma once

#include "core/chat/conversation.h"
#include "core/json/reader.h"

namespace kiro::openai_chat {

// Throws chat::Invalid. root is an object. changes: nullptr where nobody asks.
chat::Conversation read_request(json::Value root, chat::Changes *changes = nullptr);

} // namespace kiro::openai_chat
