// Freeform tools take a text; upstream it stands in an object.
#pragma once

#include <string_view>

namespace kiro::chat {

// What stands in {"input": "..."}. A model that did not keep to that may have meant another member; else it
// is arguments: all of input as the contents of a JSON string.
std::string_view freeform_text(std::string_view input, std::string_view arguments);

} // namespace kiro::chat
