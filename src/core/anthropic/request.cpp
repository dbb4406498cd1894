#include "core/anthropic/request.h"

#include <algorithm>

#include "core/anthropic/session.h"
#include "core/anthropic/tools.h"
#include "core/chat/content.h"
#include "core/chat/ending.h"
#include "core/chat/scalars.h"
#include "core/chat/thinking.h"

namespace kiro::anthropic {

using chat::Field;
using chat::Path;
using chat::Raw;
using json::Type;
using json::Value;

namespace {

constexpr chat::ScalarRule scalar_rules[] = {
    {"temperature", chat::ScalarKind::number, 0, 2},
    {"top_p", chat::ScalarKind::number, 0, 1},
    {"top_k", chat::ScalarKind::integer},
};

// Without an effect here, and no mistake.
constexpr std::string_view other_parameters[] = {
    "temperature",        "top_p", "top_k",         "service_tier", "container", "inference_geo", "speed",
    "context_management", "betas", "cache_control",
};

struct OutputConfig {
    Raw effort; // how hard to try, which alone asks for no thinking
    chat::OutputFormat format;
};

OutputConfig read_output_config(Value &value, const Path &path) {
    OutputConfig out;
    if (value.is_null())
        return out;
    if (!value.is_object())
        chat::wrong_type(path, "an object", value.type());
    value.members([&](std::string_view key, Value member) {
        if (key == "effort")
            out.effort = chat::optional_string(chat::read_field(member), path["effort"]);
        else if (key == "format")
            out.format = chat::read_output_format(member, path["format"]);
    });
    return out;
}

struct Message {
    Field role;
    chat::Content content;
    Raw effort; // output_config.effort
};

Message read_message(Value &value, const Path &path, chat::Arena &arena) {
    Message message;
    value.members([&](std::string_view key, Value member) {
        if (key == "role")
            message.role = chat::read_field(member);
        else if (key == "content")
            message.content = chat::read_content(member, arena);
        else if (key == "output_config")
            message.effort = read_output_config(member, path["output_config"]).effort;
        else
            chat::note_unused_member(key, member, arena);
    });
    return message;
}

// The effort that a message sets holds for the turn that it stands in: until a person writes after an answer.
class TurnEffort {
public:
    void pass(const chat::Message &message, Raw effort) {
        if (message.role == chat::Role::assistant) {
            answered = true;
        } else if (message.role == chat::Role::user && answered && speaks(message)) {
            answered = false;
            current = {};
        }
        if (!effort.empty()) {
            current = effort;
            answered = false;
        }
    }

    Raw current;

private:
    bool answered = false; // since the effort was set

    static bool speaks(const chat::Message &message) {
        return std::any_of(message.blocks.begin(), message.blocks.end(), [](const chat::Block &block) {
            return std::holds_alternative<chat::Text>(block);
        });
    }
};

chat::Role role_of(const Field &field, const Path &path) {
    Raw role = chat::required_string(field, path);
    if (json::equals(role, "user"))
        return chat::Role::user;
    if (json::equals(role, "assistant"))
        return chat::Role::assistant;
    if (json::equals(role, "system"))
        return chat::Role::system;
    chat::invalid(path, "unknown role " + chat::quoted(role) + "; expected user, assistant or system",
                  chat::Rule::known_role);
}

chat::Message message_of(const Message &message, const Path &path, chat::Arena &arena) {
    chat::Message out{role_of(message.role, path["role"]), {}};
    if (!message.content.present())
        chat::missing(path["content"]);
    chat::add_content(message.content, out.role, path["content"], arena, out.blocks);
    return out;
}

std::vector<chat::Message> read_messages(Value &value, const Path &path, chat::Arena &arena, Raw &effort) {
    if (!value.is_array())
        chat::wrong_type(path, "an array", value.type());
    std::vector<chat::Message> messages;
    TurnEffort turn_effort;
    value.items([&](size_t i, Value item) {
        Path at = path[i];
        if (!item.is_object())
            chat::wrong_type(at, "an object", item.type());
        Message message = read_message(item, at, arena);
        messages.push_back(message_of(message, at, arena));
        messages.back().at = item.slice();
        turn_effort.pass(messages.back(), message.effort);
    });
    effort = turn_effort.current;
    return messages;
}

std::vector<Raw> read_system(Value &value, const Path &path, chat::Arena &arena) {
    std::vector<Raw> texts;
    chat::add_texts(chat::read_content(value, arena), path, arena, texts);
    return texts;
}

Field read_user_id(Value &value, const Path &path) {
    Field user_id;
    if (value.is_null())
        return user_id;
    if (!value.is_object())
        chat::wrong_type(path, "an object", value.type());
    value.members([&](std::string_view key, Value member) {
        if (key == "user_id")
            user_id = chat::read_field(member);
    });
    return user_id;
}

bool has_items(Value &value) {
    if (!value.is_array())
        return !value.is_null();
    bool any = false;
    value.items([&](size_t, Value) { any = true; });
    return any;
}

chat::Conversation read(Value root, bool count_only, chat::Changes *changes) {
    const Path top;
    chat::Conversation out;
    out.arena = chat::Arena(changes);
    Field model, user_id;
    bool has_messages = false;
    Tools tools;
    ToolChoice choice;
    Raw turn_effort;
    OutputConfig output;
    chat::OutputFormat output_format; // by its old name

    root.members([&](std::string_view key, Value value) {
        if (key == "model") {
            model = chat::read_field(value);
        } else if (key == "messages") {
            has_messages = !value.is_null();
            if (has_messages)
                out.messages = read_messages(value, top["messages"], out.arena, turn_effort);
            if (has_messages && out.messages.empty() && !count_only)
                chat::invalid(top["messages"], "must have at least one message");
        } else if (key == "system") {
            out.system = read_system(value, top["system"], out.arena);
        } else if (key == "stream") {
            chat::check_scalar({"stream", chat::ScalarKind::boolean}, value, top["stream"]);
            out.stream = !value.is_null() && value.boolean();
        } else if (key == "tools") {
            tools = read_tools(value, top["tools"], out.arena);
        } else if (key == "tool_choice") {
            choice = read_tool_choice(value, top["tool_choice"]);
            out.tool_choice_at = value.slice();
        } else if (key == "thinking") {
            chat::add_thinking(out.thinking, chat::read_thinking(value, top["thinking"]));
        } else if (key == "output_config") {
            output = read_output_config(value, top["output_config"]);
        } else if (key == "metadata") {
            user_id = read_user_id(value, top["metadata"]);
        } else if (key == "stop_sequences") {
            out.stop = chat::read_stop_texts(value, top["stop_sequences"]);
            chat::note_unused(chat::Rule::stop_by_gateway, value, out.arena);
        } else if (key == "max_tokens") {
            out.max_tokens = chat::read_token_limit(value, top["max_tokens"]);
            chat::note_unused(chat::Rule::max_tokens_by_gateway, value, out.arena);
        } else if (key == "output_format") {
            output_format = chat::read_output_format(value, top["output_format"]);
        } else if (key == "thread") {
            if (!value.is_null())
                chat::unsupported(top["thread"], "threads are not supported");
        } else if (key == "mcp_servers") {
            if (has_items(value))
                chat::unsupported(top["mcp_servers"], "MCP servers are not supported");
        } else {
            chat::check_scalars(scalar_rules, key, value, top);
            chat::note_unused_parameter(other_parameters, key, value, out.arena);
        }
    });

    if (!has_messages && !count_only)
        chat::missing(top["messages"]);
    out.tools = std::move(tools.tools);
    out.web_search = tools.web_search;
    out.search = std::move(tools.search);
    apply_tool_choice(choice, tools, out);
    out.thinking.effort = turn_effort.empty() ? output.effort : turn_effort;
    if (out.thinking.at.empty())
        out.thinking.at = out.thinking.effort;
    out.reasoning =
        out.thinking.mode != chat::ThinkingMode::unasked && out.thinking.mode != chat::ThinkingMode::off;
    out.output = output.format.kind == chat::OutputKind::text ? output_format : output.format;
    out.model = chat::optional_string(model, top["model"]);
    if (user_id.type == Type::string)
        out.session = session_of_user_id(user_id.raw, out.arena);
    return out;
}

} // namespace

chat::Conversation read_request(Value root, chat::Changes *changes) {
    return read(root, false, changes);
}

chat::Conversation read_count_request(Value root, chat::Changes *changes) {
    chat::Conversation out = read(root, true, changes);
    if (out.messages.empty())
        out.messages.push_back({chat::Role::user, {}});
    return out;
}

} // namespace kiro::anthropic
