#include "core/chat/scalars.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace kiro::chat {

namespace {

bool has_type(ScalarKind kind, json::Type type) {
    switch (kind) {
    case ScalarKind::boolean:
        return type == json::Type::boolean;
    case ScalarKind::string:
        return type == json::Type::string;
    case ScalarKind::number:
    case ScalarKind::integer:
        return type == json::Type::number;
    }
    return false;
}

constexpr const char *kind_names[] = {"a boolean", "a number", "an integer", "a string"};

} // namespace

void check_scalar(const ScalarRule &rule, json::Value &value, const Path &path) {
    if (value.is_null())
        return;
    const char *expected = kind_names[static_cast<int>(rule.kind)];
    if (!has_type(rule.kind, value.type()))
        wrong_type(path, expected, value.type());
    if (!(value.type() == json::Type::number))
        return;
    double number = value.number();
    if (rule.kind == ScalarKind::integer && number != std::floor(number))
        invalid(path, "expected an integer, got a fraction");
    if (rule.min != rule.max && !(number >= rule.min && number <= rule.max)) {
        char text[96];
        std::snprintf(text, sizeof(text), "must be between %g and %g", rule.min, rule.max);
        invalid(path, text);
    }
}

bool check_scalars(std::span<const ScalarRule> rules, std::string_view key, json::Value &value,
                   const Path &root) {
    for (const auto &rule : rules) {
        if (key == rule.key) {
            check_scalar(rule, value, root[rule.key]);
            return true;
        }
    }
    return false;
}

void note_unused(Rule rule, const json::Value &value, Arena &arena) {
    if (!arena.noting())
        return;
    bool says = true;
    switch (value.type()) {
    case json::Type::null:
        says = false;
        break;
    case json::Type::boolean:
        says = value.boolean();
        break;
    case json::Type::array:
        says = false;
        value.items([&](size_t, const json::Value &) { says = true; });
        break;
    case json::Type::object:
        says = false;
        value.members([&](std::string_view, const json::Value &) { says = true; });
        break;
    case json::Type::number:
    case json::Type::string:
        break;
    }
    if (says)
        arena.note(rule, value.slice());
}

void note_unused_member(std::string_view key, const json::Value &value, Arena &arena) {
    note_unused(key == "cache_control" ? Rule::cache_control_ignored : Rule::member_ignored, value, arena);
}

void note_unused_parameter(std::span<const std::string_view> known, std::string_view key,
                           const json::Value &value, Arena &arena) {
    const bool is_known = std::find(known.begin(), known.end(), key) != known.end();
    note_unused(is_known ? Rule::parameter_ignored : Rule::unknown_member_ignored, value, arena);
}

} // namespace kiro::chat
