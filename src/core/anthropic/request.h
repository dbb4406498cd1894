// Anthropic Messages: the body of POST /v1/messages.
#ifndef KIRO_ANTHROPIC_REQUEST_H
#define KIRO_ANTHROPIC_REQUEST_H

#include "core/chat/conversation.h"
#include "core/json/reader.h"

namespace kiro::anthropic {

// Throws chat::Invalid. root is an object.
chat::Conversation read_request(json::Value root);

} // namespace kiro::anthropic

#endif
