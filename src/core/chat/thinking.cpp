#include "core/chat/thinking.h"

#include "core/chat/scalars.h"

namespace kiro::chat {

using json::Type;
using json::Value;

namespace {

constexpr double max_budget = 1e9;

void require(Value &value, Type type, const char *expected, const Path &path) {
    if (value.type() != type)
        wrong_type(path, expected, value.type());
}

// A budget of nothing is a way to say no.
void set_budget(Value &value, const Path &path, Thinking &out) {
    check_scalar({"", ScalarKind::integer, 0, max_budget}, value, path);
    if (value.is_null())
        return;
    out.budget = static_cast<uint32_t>(value.number());
    out.mode = out.budget > 0 ? ThinkingMode::budget : ThinkingMode::off;
}

struct Kind {
    std::string_view word;
    ThinkingMode mode;
};

constexpr Kind kinds[] = {
    {"disabled", ThinkingMode::off},
    {"enabled", ThinkingMode::adaptive}, // a budget says more
    {"between_tools", ThinkingMode::between_tools},
};

ThinkingMode mode_of(Raw type) {
    for (const Kind &kind : kinds) {
        if (json::equals(type, kind.word))
            return kind.mode;
    }
    return ThinkingMode::adaptive; // and whatever is invented next
}

} // namespace

Thinking read_thinking(Value &value, const Path &path) {
    if (value.type() == Type::boolean)
        return read_thinking_switch(value, path);
    Thinking out;
    if (value.is_null())
        return out;
    require(value, Type::object, "an object", path);
    out.at = value.slice();
    bool typed = false;
    Thinking budget;
    value.members([&](std::string_view key, Value member) {
        if (key == "type" && !member.is_null()) {
            require(member, Type::string, "a string", path["type"]);
            out.mode = mode_of(member.string());
            typed = true;
        } else if (key == "budget_tokens") {
            set_budget(member, path["budget_tokens"], budget);
        } else if (key == "display" && !member.is_null()) {
            require(member, Type::string, "a string", path["display"]);
            out.omitted = json::equals(member.string(), "omitted");
        }
    });
    if (!typed)
        missing(path["type"]);
    if (out.mode == ThinkingMode::adaptive && budget.mode != ThinkingMode::unasked) {
        out.mode = budget.mode;
        out.budget = budget.budget;
    }
    return out;
}

Thinking read_effort(Value &value, const Path &path) {
    Thinking out;
    if (value.is_null())
        return out;
    require(value, Type::string, "a string", path);
    out.at = value.slice();
    out.effort = value.string();
    if (!out.effort.empty())
        out.mode = json::equals(out.effort, "none") ? ThinkingMode::off : ThinkingMode::adaptive;
    return out;
}

Thinking read_reasoning(Value &value, const Path &path) {
    Thinking out;
    if (value.is_null())
        return out;
    require(value, Type::object, "an object", path);
    out.at = value.slice();
    Thinking effort, enabled, budget;
    value.members([&](std::string_view key, Value member) {
        if (key == "effort")
            effort = read_effort(member, path["effort"]);
        else if (key == "enabled")
            enabled = read_thinking_switch(member, path["enabled"]);
        else if (key == "max_tokens")
            set_budget(member, path["max_tokens"], budget);
    });
    add_thinking(out, effort);
    add_thinking(out, budget);
    add_thinking(out, enabled);
    return out;
}

Thinking read_thinking_switch(Value &value, const Path &path) {
    Thinking out;
    if (value.is_null())
        return out;
    require(value, Type::boolean, "a boolean", path);
    out.at = value.slice();
    out.mode = value.boolean() ? ThinkingMode::adaptive : ThinkingMode::off;
    return out;
}

Thinking read_template_arguments(Value &value, const Path &path) {
    Thinking out;
    if (value.is_null())
        return out;
    require(value, Type::object, "an object", path);
    value.members([&](std::string_view key, Value member) {
        if (key == "enable_thinking")
            add_thinking(out, read_thinking_switch(member, path["enable_thinking"]));
        else if (key == "thinking")
            add_thinking(out, read_thinking_switch(member, path["thinking"]));
    });
    return out;
}

void add_thinking(Thinking &wish, const Thinking &more) {
    if (wish.effort.empty())
        wish.effort = more.effort;
    wish.omitted = wish.omitted || more.omitted;
    if (wish.at.empty())
        wish.at = more.at;
    if (more.mode == ThinkingMode::off)
        wish.mode = ThinkingMode::off;
    if (wish.mode != ThinkingMode::unasked)
        return;
    wish.mode = more.mode;
    wish.budget = more.budget;
}

} // namespace kiro::chat
