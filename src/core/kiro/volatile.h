// Lines of clients' system texts that differ from request to request without saying anything to the model:
// they would spoil the upstream's prefix cache.
#pragma once

#include <vector>

#include "core/chat/arena.h"
#include "core/json/raw.h"

namespace kiro::kiro {

using json::Raw;

// Takes the lines out of the texts; a text of nothing else goes.
void strip_volatile_lines(std::vector<Raw> &texts, chat::Arena &arena);

} // namespace kiro::kiro
