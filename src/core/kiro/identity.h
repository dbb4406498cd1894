// Conversation ids: the same conversation has the same ones in all its requests.
#pragma once

#include "core/kiro/request.h"

namespace kiro::kiro {

// Sets request.conversation_id and continuation_id. session, if not empty, names the conversation, else its
// beginning does.
void identify(std::string_view session, Request &request);

} // namespace kiro::kiro
