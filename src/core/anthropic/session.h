// metadata.user_id as Claude Code writes it.
#pragma once

#include "core/chat/conversation.h"

namespace kiro::anthropic {

// The session inside "user_..._account_..._session_<id>" or JSON text with session_id; empty: there is none,
// the id then names a person, not a session.
chat::Raw session_of_user_id(chat::Raw user_id, chat::Arena &arena);

} // namespace kiro::anthropic
