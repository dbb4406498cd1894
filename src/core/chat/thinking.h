// What clients say about reasoning, in all the spellings there are. Wrong types throw Invalid; unknown words
// are not an error.
#pragma once

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"
#include "core/json/reader.h"

namespace kiro::chat {

// {"type": "enabled"|"adaptive"|"between_tools"|"disabled", "budget_tokens", "display"}, or true and false.
Thinking read_thinking(json::Value &value, const Path &path);

// A word. Whoever names one wants reasoning, unless it is "none".
Thinking read_effort(json::Value &value, const Path &path);

// {"effort", "enabled", "max_tokens"}
Thinking read_reasoning(json::Value &value, const Path &path);

// true or false
Thinking read_thinking_switch(json::Value &value, const Path &path);

// {"enable_thinking"} or {"thinking"} among arguments of a chat template.
Thinking read_template_arguments(json::Value &value, const Path &path);

// What is said twice: a "no" wins, else what was said first.
void add_thinking(Thinking &wish, const Thinking &more);

} // namespace kiro::chat
