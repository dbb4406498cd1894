// The tools of a request: what the client offers, and what its history needs.
#pragma once

#include "core/chat/conversation.h"
#include "core/kiro/names.h"
#include "core/kiro/request.h"

namespace kiro::kiro {

// A tool that is declared only because the history has calls of it.
ToolSpec stub_of(Raw name);

// Fills request.tools. A description that is too long moves to the end of request.system.
void declare_tools(const chat::Conversation &conversation, Request &request, ToolNames &names,
                   chat::Arena &arena);

// Names the calls of request.turns; what was called before must be declared, also when the client declares it
// no more.
void declare_used(Request &request, ToolNames &names, chat::Arena &arena);

} // namespace kiro::kiro
