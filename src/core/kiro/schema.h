// Tool schemas within what the upstream takes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/chat/arena.h"

namespace kiro::kiro {

/*
 * Appends a tool's JSON schema in the words that all hosts of the upstream take: type, description,
 * properties, required, items, enum, default, and anyOf below the root. The root is an object; its unions
 * become one object. $ref is replaced by what it means, a recursive one by a hint. What cannot be said with
 * these words is told in the description. The result stays as it is when it goes through again. schema is a
 * valid JSON object, or empty for a tool without arguments.
 */
void append_schema(std::string &out, std::string_view schema);

// The same for one of many: nodes is how many schemas within schemas may still be looked at, those that
// references multiply included. What comes when none is left takes any value. arena: is told what is changed.
void append_schema(std::string &out, std::string_view schema, size_t &nodes, chat::Arena *arena = nullptr);

} // namespace kiro::kiro
