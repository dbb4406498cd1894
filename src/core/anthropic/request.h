// Anthropic Messages: the body of POST /v1/messages.
#pragma once

#include "core/chat/conversation.h"
#include "core/json/reader.h"

namespace kiro::anthropic {

// Throws chat::Invalid. root is an object. changes: nullptr where nobody asks.
chat::Conversation read_request(json::Value root, chat::Changes *changes = nullptr);

// The body of POST /v1/messages/count_tokens: it may have no messages.
chat::Conversation read_count_request(json::Value root, chat::Changes *changes = nullptr);

} // namespace kiro::anthropic
