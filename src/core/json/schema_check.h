/*
 * Does a JSON value match a JSON Schema? Knows what structured output uses: type, properties, required,
 * additionalProperties, items, prefixItems, enum, const, anyOf, oneOf, allOf, minItems, maxItems and $ref
 * within the schema. All other keywords, references elsewhere, and what is nested too deep or would take too
 * long count as a match: this finds plain mistakes, it does not prove anything.
 */
#pragma once

#include <string>
#include <string_view>

namespace kiro::json {

// Both are valid JSON. Empty: it matches, else what is wrong: "$.items[2].name: expected a string".
std::string schema_mismatch(std::string_view schema, std::string_view value);

} // namespace kiro::json
