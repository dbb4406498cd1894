// Checks of the top-level members that have no place in the Conversation: the upstream knows no sampling,
// but a client's mistake should not pass unseen.
#pragma once

#include <span>
#include <string_view>

#include "core/chat/content.h"

namespace kiro::chat {

enum class ScalarKind { boolean, number, integer, string };

struct ScalarRule {
    const char *key;
    ScalarKind kind;
    double min = 0, max = 0; // equal: any
};

// Throws if value, not null, breaks the rule.
void check_scalar(const ScalarRule &rule, json::Value &value, const Path &path);

// Checks value if rules know the key.
bool check_scalars(std::span<const ScalarRule> rules, std::string_view key, json::Value &value,
                   const Path &root);

// Notes a member that has no effect, unless it says nothing.
void note_unused(Rule rule, const json::Value &value, Arena &arena);

// The same for a member of a message, part or tool.
void note_unused_member(std::string_view key, const json::Value &value, Arena &arena);

// The same for a member of the body, which is one of known or nobody's.
void note_unused_parameter(std::span<const std::string_view> known, std::string_view key,
                           const json::Value &value, Arena &arena);

} // namespace kiro::chat
