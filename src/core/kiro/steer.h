/*
 * What the upstream has no field for is asked for in words: which tools to call, the form of the answer, the
 * continuation of an answer that was begun. The words stand behind the text of the current message and
 * nowhere else, so that the turns before it are the same bytes in every request.
 */
#pragma once

#include <string>
#include <string_view>

#include "core/chat/conversation.h"
#include "core/kiro/names.h"
#include "core/kiro/request.h"

namespace kiro::kiro {

// Fills request.closing and takes tools that must not be called out of request.tools; tools of the history
// stay declared. An answer that the client begins has no output format any more.
void steer(chat::Conversation &conversation, Request &request, ToolNames &names);

// Says that the answer before this one had the wrong form, and why. False: that was said already, or the
// client asked for no form.
bool ask_for_repair(chat::Conversation &conversation, std::string_view why, Request &request);

} // namespace kiro::kiro
