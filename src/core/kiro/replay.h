// Reasoning of earlier answers, given back to the account and model that it came from.
#pragma once

#include <string_view>

#include "core/chat/arena.h"
#include "core/kiro/turns.h"

namespace kiro::kiro {

// Sets the thought of the turns whose reasoning has a seal that opens with key; all other reasoning is
// dropped. A message takes one: of several the first, which came after nothing but the conversation before
// the message and is bound to that.
void replay_reasoning(Turns &turns, std::string_view key, chat::Arena &arena);

} // namespace kiro::kiro
