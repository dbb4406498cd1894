// The input of a tool call in a client's history, as the object that the upstream wants.
#pragma once

#include <string_view>

#include "core/chat/content.h"

namespace kiro::chat {

/*
 * `arguments` is JSON inside a string. Models and clients do not always keep to it, and a history must not
 * become unusable by that: nothing is {}, another JSON value is {"value": ...}, text that is no JSON is
 * {"arguments": "..."}.
 */
std::string_view input_of_arguments(const Field &arguments, const Path &path, Arena &arena);

// A freeform tool's text: {"input": "..."}.
std::string_view input_of_text(Raw text, Arena &arena);

} // namespace kiro::chat
