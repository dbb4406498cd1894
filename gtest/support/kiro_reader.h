// A body of GenerateAssistantResponse (KIRO_WIRE_V3) back as a conversation: what a client would have to send
// to get that body. System text is part of the first user's text, ids and names are the upstream's.
#pragma once

#include <string_view>

#include "core/chat/conversation.h"

namespace kiro::test {

// Views into body. key is what reasoning in the body is sealed with: the conversation has it as a client
// would send it.
chat::Conversation read_kiro_body(std::string_view body, std::string_view key);

} // namespace kiro::test
