// Which conversation a request belongs to: the upstream caches by it.
#pragma once

#include "core/kiro/request.h"

namespace kiro::kiro {

/*
 * Sets the ids of request from the session, which may be empty, and from what every request of a conversation
 * has in common: the model, whether there are tools, and the first message with the system text. So a
 * client's side calls (titles, topics) do not share the id of the session that they belong to.
 */
void identify(std::string_view session, Request &request);

} // namespace kiro::kiro
