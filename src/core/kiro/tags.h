// Thinking in tags, for models that have no field for it.
#pragma once

#include "core/chat/arena.h"
#include "core/kiro/turns.h"

namespace kiro::kiro {

// Puts the request to think in front of the current turn's own texts, unless there is one or the turn brings
// results of tools, where it would be taken for a new order. A budget of 0 does nothing.
void ask_for_tags(Turn &current, uint32_t budget, chat::Arena &arena);

} // namespace kiro::kiro
