// Where the answer shall end and what form it shall have, as all dialects say it.
#pragma once

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"
#include "core/json/reader.h"

namespace kiro::chat {

// An array of strings; null: none. Empty ones mean nothing and are left out.
std::vector<Raw> read_stop_texts(json::Value &value, const Path &path);

// The same, or one string.
std::vector<Raw> read_stop_text_or_texts(json::Value &value, const Path &path);

// null: 0.
uint64_t read_token_limit(json::Value &value, const Path &path);

// {"type": "text"|"json_object"|"json_schema"}, the schema's "name" and "schema" beside it or in a
// "json_schema" of their own. null: text.
OutputFormat read_output_format(json::Value &value, const Path &path);

} // namespace kiro::chat
