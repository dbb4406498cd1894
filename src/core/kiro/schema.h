// Tool schemas within what the upstream takes.
#pragma once

#include <string>
#include <string_view>

namespace kiro::kiro {

/*
 * Appends a tool's JSON schema: an object schema at the root, keywords that are known to pass, no nulls, no
 * empty `required`. A union or $ref at the root is resolved into one object schema. schema is a valid JSON
 * object, or empty for a tool without arguments.
 */
void append_schema(std::string &out, std::string_view schema);

} // namespace kiro::kiro
