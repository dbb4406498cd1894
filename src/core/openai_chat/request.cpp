#include "core/openai_chat/request.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_set>

#include "core/chat/arguments.h"
#include "core/chat/content.h"
#include "core/chat/ending.h"
#include "core/chat/scalars.h"
#include "core/chat/thinking.h"
#include "core/openai_chat/tools.h"
#include "core/openai_responses/request.h"

namespace kiro::openai_chat {

using chat::Field;
using chat::Path;
using chat::Raw;
using json::Type;
using json::Value;

namespace {

constexpr chat::ScalarRule scalar_rules[] = {
    {"temperature", chat::ScalarKind::number, 0, 2},
    {"top_p", chat::ScalarKind::number, 0, 1},
    {"presence_penalty", chat::ScalarKind::number, -2, 2},
    {"frequency_penalty", chat::ScalarKind::number, -2, 2},
    {"seed", chat::ScalarKind::integer},
};

// Without an effect here, and no mistake.
constexpr std::string_view other_parameters[] = {
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "top_k",
    "user",
    "metadata",
    "store",
    "logit_bias",
    "service_tier",
    "audio",
    "prompt_cache_retention",
    "prediction",
    "safety_identifier",
    "min_p",
    "verbosity",
    "repetition_penalty",
    "web_search_options",
};

// One entry of tool_calls, or the deprecated function_call.
struct Call {
    Type shape = Type::null;
    Type function_shape = Type::null;
    Field id, name, arguments, custom_input;
    bool custom = false;
};

void read_function(Value &value, Call &call) {
    call.function_shape = value.type();
    if (!value.is_object())
        return;
    value.members([&](std::string_view key, Value member) {
        if (key == "name")
            call.name = chat::read_field(member);
        else if (key == "arguments")
            call.arguments = chat::read_field(member);
        else if (key == "input")
            call.custom_input = chat::read_field(member);
    });
}

Call read_call(Value &value) {
    Call call;
    call.shape = value.type();
    if (!value.is_object())
        return call;
    value.members([&](std::string_view key, Value member) {
        if (key == "id") {
            call.id = chat::read_field(member);
        } else if (key == "function") {
            read_function(member, call);
        } else if (key == "custom" && member.is_object()) {
            call.custom = true;
            read_function(member, call);
        }
    });
    return call;
}

struct Message {
    Field role, name, tool_call_id, refusal;
    chat::Content content;
    Type tool_calls_shape = Type::null;
    std::vector<Call> tool_calls;
    Call function_call;
};

Message read_message(Value &value, chat::Arena &arena) {
    Message message;
    value.members([&](std::string_view key, Value member) {
        if (key == "role") {
            message.role = chat::read_field(member);
        } else if (key == "content") {
            message.content = chat::read_content(member, arena);
        } else if (key == "tool_calls") {
            message.tool_calls_shape = member.type();
            message.tool_calls.clear();
            if (member.is_array())
                member.items([&](size_t, Value item) { message.tool_calls.push_back(read_call(item)); });
        } else if (key == "tool_call_id") {
            message.tool_call_id = chat::read_field(member);
        } else if (key == "refusal") {
            message.refusal = chat::read_field(member);
        } else if (key == "function_call") {
            message.function_call = {};
            message.function_call.shape = member.type();
            if (member.is_object())
                read_function(member, message.function_call);
        } else if (key == "name") {
            message.name = chat::read_field(member);
        } else {
            chat::note_unused_member(key, member, arena);
        }
    });
    return message;
}

Raw name_of(const Call &call, const Path &path) {
    Raw name = chat::required_string(call.name, path);
    if (name.empty())
        chat::invalid(path, "must not be empty");
    return name;
}

chat::ToolCall tool_call_of(const Call &call, const Path &path, chat::Arena &arena) {
    if (call.shape != Type::object)
        chat::wrong_type(path, "an object", call.shape);
    Path function = path[call.custom ? "custom" : "function"];
    if (call.function_shape == Type::null)
        chat::missing(function);
    if (call.function_shape != Type::object)
        chat::wrong_type(function, "an object", call.function_shape);
    chat::ToolCall result;
    result.id = chat::required_string(call.id, path["id"]);
    result.name = name_of(call, function["name"]);
    if (call.custom) {
        Raw input = chat::optional_string(call.custom_input, function["input"]);
        result.input = chat::input_of_text(input, arena);
    } else {
        result.input = chat::input_of_arguments(call.arguments, function["arguments"], arena);
    }
    return result;
}

// function_call has no id; call and result meet by the function's name.
Raw function_id(Raw name, chat::Arena &arena) {
    return arena.keep("function_" + std::string(name));
}

void add_calls(const Message &message, const Path &path, chat::Arena &arena,
               std::vector<chat::Block> &blocks) {
    if (message.tool_calls_shape != Type::null && message.tool_calls_shape != Type::array)
        chat::wrong_type(path["tool_calls"], "an array", message.tool_calls_shape);
    Path calls = path["tool_calls"];
    for (size_t i = 0; i < message.tool_calls.size(); i++) {
        Path at = calls[i];
        blocks.emplace_back(tool_call_of(message.tool_calls[i], at, arena));
    }
    if (message.function_call.shape == Type::null)
        return;
    Path call = path["function_call"];
    if (message.function_call.shape != Type::object)
        chat::wrong_type(call, "an object", message.function_call.shape);
    Raw name = name_of(message.function_call, call["name"]);
    blocks.emplace_back(
        chat::ToolCall{function_id(name, arena), name,
                       chat::input_of_arguments(message.function_call.arguments, call["arguments"], arena)});
}

chat::Message assistant_message(const Message &message, const Path &path, chat::Arena &arena) {
    chat::Message out{chat::Role::assistant, {}};
    chat::add_content(message.content, out.role, path["content"], arena, out.blocks);
    Raw refusal = chat::optional_string(message.refusal, path["refusal"]);
    if (out.blocks.empty() && !refusal.empty())
        out.blocks.emplace_back(chat::Text{refusal});
    add_calls(message, path, arena, out.blocks);
    return out;
}

chat::Message result_message(const Message &message, Raw id, const Path &path, chat::Arena &arena) {
    chat::ToolResult result;
    result.id = id;
    chat::add_result_content(message.content, path["content"], arena, result);
    chat::Message out{chat::Role::user, {}};
    out.blocks.emplace_back(std::move(result));
    return out;
}

chat::Message plain_message(const Message &message, chat::Role role, const Path &path, chat::Arena &arena) {
    if (!message.content.present())
        chat::missing(path["content"]);
    chat::Message out{role, {}};
    chat::add_content(message.content, role, path["content"], arena, out.blocks);
    return out;
}

chat::Message message_of(const Message &message, const Path &path, chat::Arena &arena) {
    Raw role = chat::required_string(message.role, path["role"]);
    if (json::equals(role, "user"))
        return plain_message(message, chat::Role::user, path, arena);
    if (json::equals(role, "assistant"))
        return assistant_message(message, path, arena);
    if (json::equals(role, "tool")) {
        Raw id = chat::required_string(message.tool_call_id, path["tool_call_id"]);
        return result_message(message, id, path, arena);
    }
    if (json::equals(role, "system") || json::equals(role, "developer"))
        return plain_message(message, chat::Role::system, path, arena);
    if (json::equals(role, "function")) {
        Raw name = chat::required_string(message.name, path["name"]);
        return result_message(message, function_id(name, arena), path, arena);
    }
    chat::invalid(path["role"],
                  "unknown role " + chat::quoted(role) +
                      "; expected system, developer, user, assistant or tool",
                  chat::Rule::known_role);
}

std::vector<chat::Message> read_messages(Value &value, const Path &path, chat::Arena &arena) {
    if (!value.is_array())
        chat::wrong_type(path, "an array", value.type());
    std::vector<chat::Message> messages;
    value.items([&](size_t i, Value item) {
        Path at = path[i];
        if (!item.is_object())
            chat::wrong_type(at, "an object", item.type());
        messages.push_back(message_of(read_message(item, arena), at, arena));
        messages.back().at = item.slice();
    });
    if (messages.empty())
        chat::invalid(path, "must have at least one message");
    return messages;
}

bool boolean_of(Value &value, const Path &path) {
    if (value.is_null())
        return false;
    if (value.type() != Type::boolean)
        chat::wrong_type(path, "a boolean", value.type());
    return value.boolean();
}

bool include_usage_of(Value &value, const Path &path) {
    if (value.is_null())
        return false;
    if (!value.is_object())
        chat::wrong_type(path, "an object", value.type());
    bool include_usage = false;
    value.members([&](std::string_view key, Value member) {
        if (key == "include_usage")
            include_usage = boolean_of(member, path["include_usage"]);
    });
    return include_usage;
}

void check_count(Value &value, const Path &path) {
    chat::check_scalar({"n", chat::ScalarKind::integer, 1, 128}, value, path);
    if (!value.is_null() && value.number() != 1)
        chat::unsupported(path, "only one choice per request is supported");
}

// What only the model itself could do. Values that ask for nothing are accepted.
struct Refused {
    const char *key;
    const char *why;
};

constexpr Refused refused_members[] = {
    {"best_of", "only one choice per request is supported"},
    {"logprobs", "log probabilities are not available"},
    {"top_logprobs", "log probabilities are not available"},
    {"suffix", "text in front of a suffix is not supported"},
    {"echo", "the prompt cannot be part of the answer"},
};

const Refused *find_refused(std::string_view key) {
    for (const Refused &refused : refused_members) {
        if (key == refused.key)
            return &refused;
    }
    return nullptr;
}

void check_refused(const Refused &refused, Value &value, const Path &path) {
    bool asks = false;
    switch (value.type()) {
    case Type::null:
        break;
    case Type::boolean:
        asks = value.boolean();
        break;
    case Type::number:
        asks = value.number() != 0 && !(refused.key == std::string_view("best_of") && value.number() == 1);
        break;
    case Type::string:
        asks = !value.string().empty();
        break;
    case Type::array:
    case Type::object:
        asks = true;
        break;
    }
    if (asks)
        chat::unsupported(path, refused.why);
}

void check_modalities(Value &value, const Path &path) {
    if (value.is_null())
        return;
    if (!value.is_array())
        chat::wrong_type(path, "an array", value.type());
    value.items([&](size_t, Value item) {
        if (!item.is_string())
            chat::wrong_type(path, "an array of strings", item.type());
        Raw word = item.string();
        if (!json::equals(word, "text"))
            chat::unsupported(path, "modality " + chat::quoted(word) + " is not supported; only text is");
    });
}

// The spellings of OpenAI, gateways and model servers; the first one says most.
struct ThinkingKey {
    const char *key;
    chat::Thinking (*read)(Value &, const Path &);
};

constexpr ThinkingKey thinking_keys[] = {
    {"reasoning_effort", chat::read_effort},
    {"reasoning", chat::read_reasoning},
    {"thinking", chat::read_thinking},
    {"enable_thinking", chat::read_thinking_switch},
    {"chat_template_kwargs", chat::read_template_arguments},
};

using ThinkingWishes = std::array<chat::Thinking, std::size(thinking_keys)>;

bool read_thinking_key(std::string_view key, Value &value, const Path &root, ThinkingWishes &wishes) {
    for (size_t i = 0; i < wishes.size(); i++) {
        if (key == thinking_keys[i].key) {
            wishes[i] = thinking_keys[i].read(value, root[thinking_keys[i].key]);
            return true;
        }
    }
    return false;
}

chat::Conversation read_chat_form(Value root, chat::Changes *changes) {
    const Path top;
    chat::Conversation out;
    out.arena = chat::Arena(changes);
    Field model, prompt_cache_key;
    bool has_messages = false, has_tools = false, has_choice = false;
    uint64_t max_tokens = 0; // by its old name
    Tools tools, functions;
    chat::ToolChoice choice, function_call;
    ThinkingWishes wishes;

    root.members([&](std::string_view key, Value value) {
        if (key == "model") {
            model = chat::read_field(value);
        } else if (key == "messages") {
            has_messages = !value.is_null();
            if (has_messages)
                out.messages = read_messages(value, top["messages"], out.arena);
        } else if (key == "stream") {
            out.stream = boolean_of(value, top["stream"]);
        } else if (key == "stream_options") {
            out.include_usage = include_usage_of(value, top["stream_options"]);
        } else if (key == "tools") {
            has_tools = !value.is_null();
            tools = read_tools(value, top["tools"], out.arena);
        } else if (key == "functions") {
            functions = read_tools(value, top["functions"], out.arena);
        } else if (key == "tool_choice") {
            has_choice = !value.is_null();
            choice = read_tool_choice(value, top["tool_choice"]);
            out.tool_choice_at = value.slice();
        } else if (key == "function_call") {
            function_call = read_tool_choice(value, top["function_call"]);
            if (!has_choice)
                out.tool_choice_at = value.slice();
        } else if (key == "parallel_tool_calls") {
            out.parallel_tools = value.is_null() || boolean_of(value, top["parallel_tool_calls"]);
        } else if (key == "n") {
            check_count(value, top["n"]);
        } else if (key == "modalities") {
            check_modalities(value, top["modalities"]);
        } else if (key == "stop") {
            out.stop = chat::read_stop_text_or_texts(value, top["stop"]);
            chat::note_unused(chat::Rule::stop_by_gateway, value, out.arena);
        } else if (key == "max_tokens") {
            max_tokens = chat::read_token_limit(value, top["max_tokens"]);
            chat::note_unused(chat::Rule::max_tokens_by_gateway, value, out.arena);
        } else if (key == "max_completion_tokens") {
            out.max_tokens = chat::read_token_limit(value, top["max_completion_tokens"]);
            chat::note_unused(chat::Rule::max_tokens_by_gateway, value, out.arena);
        } else if (key == "response_format") {
            out.output = chat::read_output_format(value, top["response_format"]);
        } else if (const Refused *refused = find_refused(key)) {
            check_refused(*refused, value, top[refused->key]);
        } else if (key == "prompt_cache_key") {
            prompt_cache_key = chat::read_field(value);
        } else if (!read_thinking_key(key, value, top, wishes)) {
            chat::check_scalars(scalar_rules, key, value, top);
            chat::note_unused_parameter(other_parameters, key, value, out.arena);
        }
    });
    for (const chat::Thinking &wish : wishes)
        chat::add_thinking(out.thinking, wish);
    out.reasoning = out.thinking.mode != chat::ThinkingMode::off;

    if (!has_messages)
        chat::missing(top["messages"]);
    if (out.max_tokens == 0)
        out.max_tokens = max_tokens;
    out.model = chat::optional_string(model, top["model"]);
    if (prompt_cache_key.type == Type::string)
        out.session = prompt_cache_key.raw;
    if (!has_tools && !functions.tools.empty()) {
        tools = std::move(functions);
        out.legacy_functions = true;
    }
    out.tools = std::move(tools.tools);
    out.functions_only = tools.flat_freeform;
    if (!has_choice)
        choice = std::move(function_call);
    chat::apply_tool_choice(choice, out);
    return out;
}

// Cursor's agent posts the body of a Responses request, and reads Chat Completions.
bool has_responses_form(const Value &root) {
    bool messages = false, input = false;
    root.members([&](std::string_view key, const Value &value) {
        messages |= key == "messages" && !value.is_null();
        input |= key == "input" && !value.is_null();
    });
    return input && !messages;
}

chat::Conversation read_responses_form(Value root, chat::Changes *changes) {
    const Path top;
    chat::Conversation out = openai_responses::read_request(root, changes);
    root.members([&](std::string_view key, Value value) {
        if (key == "stream_options")
            out.include_usage = include_usage_of(value, top["stream_options"]);
    });
    out.reasoning = out.thinking.mode != chat::ThinkingMode::off;
    out.thinking.omitted = false;
    out.arena.note(chat::Rule::tool_left_out, out.search.at, out.web_search);
    out.web_search = false; // there is no place for what it finds
    out.echo = {};
    out.functions_only = true;
    return out;
}

// Calls of freeform tools that were told as functions' come back as such, their text in place of arguments.
void restore_texts(chat::Conversation &out) {
    constexpr std::string_view before = R"({"arguments":")", behind = R"("})"; // of what is no JSON
    std::unordered_set<std::string_view> freeform;
    for (const chat::Tool &tool : out.tools) {
        if (tool.freeform)
            freeform.insert(tool.name);
    }
    for (chat::Message &message : out.messages) {
        for (chat::Block &block : message.blocks) {
            auto *call = std::get_if<chat::ToolCall>(&block);
            if (call == nullptr || !call->input.starts_with(before) || !call->input.ends_with(behind) ||
                freeform.count(call->name) == 0)
                continue;
            const Raw text =
                call->input.substr(before.size(), call->input.size() - before.size() - behind.size());
            call->input = chat::input_of_text(text, out.arena);
        }
    }
}

} // namespace

chat::Conversation read_request(Value root, chat::Changes *changes) {
    chat::Conversation out =
        has_responses_form(root) ? read_responses_form(root, changes) : read_chat_form(root, changes);
    if (out.functions_only)
        restore_texts(out);
    return out;
}

} // namespace kiro::openai_chat
