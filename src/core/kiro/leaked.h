// Calls that stand in the text of earlier answers, where the model would imitate them.
#pragma once

#include "core/chat/conversation.h"

namespace kiro::kiro {

// Takes calls of declared tools that are written as text (chat/leaked_call.h) out of the assistant's texts,
// which may leave them blank.
void strip_leaked_calls(chat::Conversation &conversation);

} // namespace kiro::kiro
