#include "core/openai_responses/request.h"

#include "core/chat/content.h"
#include "core/chat/ending.h"
#include "core/chat/scalars.h"
#include "core/chat/thinking.h"
#include "core/chat/tool_choice.h"
#include "core/openai_responses/echo.h"
#include "core/openai_responses/items.h"
#include "core/openai_responses/tools.h"

namespace kiro::openai_responses {

using chat::Field;
using chat::Path;
using chat::Raw;
using json::Type;
using json::Value;

namespace {

constexpr chat::ScalarRule scalar_rules[] = {
    {"temperature", chat::ScalarKind::number, 0, 2},
    {"top_p", chat::ScalarKind::number, 0, 1},
    {"top_logprobs", chat::ScalarKind::integer, 0, 20},
    {"max_output_tokens", chat::ScalarKind::integer, 1, 1e9},
    {"max_tool_calls", chat::ScalarKind::integer},
    {"parallel_tool_calls", chat::ScalarKind::boolean},
    {"background", chat::ScalarKind::boolean},
    {"store", chat::ScalarKind::boolean},
    {"stream", chat::ScalarKind::boolean},
};

// Without an effect here, and no mistake.
constexpr std::string_view other_parameters[] = {
    "temperature",       "top_p",          "top_logprobs",    "max_tool_calls",         "store",
    "metadata",          "service_tier",   "truncation",      "prompt_cache_retention", "user",
    "safety_identifier", "stream_options", "client_metadata",
};

struct Unsupported {
    std::string_view key;
    const char *why;
};

// State that other requests would have left behind.
constexpr Unsupported unsupported_members[] = {
    {"conversation", "conversations are not stored here; send the whole history in input"},
    {"prompt", "stored prompts are not available; send instructions and input"},
};

const Unsupported *find_unsupported(std::string_view key) {
    for (const auto &row : unsupported_members) {
        if (row.key == key)
            return &row;
    }
    return nullptr;
}

void check_object(Value &value, const Path &path) {
    if (!value.is_object())
        chat::wrong_type(path, "an object", value.type());
}

bool wants_summary(Value value, const Path &path) {
    Field summary, old;
    value.members([&](std::string_view key, Value member) {
        if (key == "summary")
            summary = chat::read_field(member);
        else if (key == "generate_summary")
            old = chat::read_field(member);
    });
    return !chat::optional_string(summary, path["summary"]).empty() ||
           !chat::optional_string(old, path["generate_summary"]).empty();
}

chat::OutputFormat read_text(Value value, const Path &path) {
    chat::OutputFormat out;
    check_object(value, path);
    value.members([&](std::string_view key, Value member) {
        if (key == "format")
            out = chat::read_output_format(member, path["format"]);
    });
    return out;
}

// Does the client want reasoning that it cannot read, to send it back?
bool includes_sealed(Value &value, const Path &path) {
    if (value.is_null())
        return false;
    if (!value.is_array())
        chat::wrong_type(path, "an array", value.type());
    bool found = false;
    value.items([&](size_t, Value item) {
        found |= item.is_string() && json::equals(item.string(), "reasoning.encrypted_content");
    });
    return found;
}

// Slices are kept for the answer, so the parser has gone over them already: it takes a second look.
template <class Read> auto reread(std::string_view slice, Read &&read) {
    const json::Document document(slice);
    return read(document.root());
}

[[noreturn]] void unknown_response(Raw id) {
    throw chat::Invalid{KIRO_FAIL_RESPONSE_NOT_FOUND, "previous_response_id",
                        "Previous response with id " + chat::quoted(id) +
                            " not found. Nothing is stored here: send the whole history in input.",
                        chat::Rule::stored_state};
}

class Reader {
public:
    explicit Reader(chat::Changes *changes) { out.arena = chat::Arena(changes); }

    chat::Conversation read(Value &root) {
        root.members([&](std::string_view key, Value value) { take(key, value); });
        finish();
        return std::move(out);
    }

private:
    const Path top = Path();
    chat::Conversation out;
    Echo echo;
    Input input;
    Tools tools;
    chat::ToolChoice choice;
    Field model, instructions, session;
    bool has_input = false;
    bool sealed = false;  // the client wants what replays reasoning
    bool summary = false; // and to read it

    void take(std::string_view key, Value &value) {
        if (key == "input") {
            has_input = !value.is_null();
            if (has_input)
                read_input(value, top["input"], out.arena, input);
        } else if (key == "model") {
            model = chat::read_field(value);
        } else if (key == "include") {
            sealed = includes_sealed(value, top["include"]);
        } else if (const auto *row = find_unsupported(key)) {
            if (!value.is_null())
                chat::unsupported(top[row->key.data()], row->why, chat::Rule::stored_state);
        } else {
            chat::check_scalars(scalar_rules, key, value, top);
            if (!take_echoed(key, value))
                chat::note_unused_parameter(other_parameters, key, value, out.arena);
        }
    }

    // False: the member has no effect.
    bool take_echoed(std::string_view key, Value &value) {
        Field field = chat::read_field(value);
        // Of a string the slice is without its quotes, of everything else it is the value.
        bool text = field.type == Type::string;
        echo.take(key, text ? std::string_view(field.raw.data() - 1, field.raw.size() + 2) : field.raw);
        return take_field(key, field);
    }

    bool take_field(std::string_view key, const Field &field) {
        bool yes = field.type == Type::boolean && field.raw == "true";
        if (key == "instructions") {
            instructions = field;
        } else if (key == "stream") {
            out.stream = yes;
        } else if (key == "background") {
            if (yes)
                chat::unsupported(top["background"], "background responses are not supported");
        } else if (key == "parallel_tool_calls") {
            out.parallel_tools = !field.present() || yes;
        } else if (key == "max_output_tokens") {
            out.max_tokens = field.present() ? number_of(field) : 0;
            out.arena.note(chat::Rule::max_tokens_by_gateway, field.raw, field.present());
        } else if (key == "prompt_cache_key") {
            session = field;
        } else if (key == "previous_response_id") {
            if (field.present())
                unknown_response(chat::required_string(field, top["previous_response_id"]));
        } else if (key == "tools") {
            tools = {};
            if (field.present())
                take_tools(field);
        } else if (key == "tool_choice") {
            choice = {};
            if (field.present())
                take_choice(field);
        } else if (key == "reasoning") {
            take_reasoning(field);
        } else if (key == "text") {
            take_text(field);
        } else {
            return false;
        }
        return true;
    }

    static uint64_t number_of(const Field &field) {
        double number = 0;
        std::from_chars(field.raw.data(), field.raw.data() + field.raw.size(), number);
        return static_cast<uint64_t>(number);
    }

    static void need_container(const Field &field, const char *expected, const Path &path) {
        if (field.type != Type::object && field.type != Type::array)
            chat::wrong_type(path, expected, field.type);
    }

    void take_tools(const Field &field) {
        Path path = top["tools"];
        need_container(field, "an array", path);
        reread(field.raw, [&](Value value) { read_tools(value, path, out.arena, tools); });
    }

    void take_choice(const Field &field) {
        Path path = top["tool_choice"];
        out.tool_choice_at = field.raw;
        if (field.type == Type::string) {
            choice = tool_choice_of(field.raw, path);
            return;
        }
        need_container(field, "a string or an object", path);
        choice = reread(field.raw, [&](Value value) { return read_tool_choice(value, path, out.arena); });
    }

    void take_reasoning(const Field &field) {
        out.thinking = {};
        summary = false;
        if (!field.present())
            return;
        Path path = top["reasoning"];
        need_container(field, "an object", path);
        out.thinking = reread(field.raw, [&](Value value) { return chat::read_reasoning(value, path); });
        summary = reread(field.raw, [&](Value value) { return wants_summary(value, path); });
        // Who wants to read reasoning wants some.
        if (summary && out.thinking.mode == chat::ThinkingMode::unasked)
            out.thinking.mode = chat::ThinkingMode::adaptive;
    }

    void take_text(const Field &field) {
        out.output = {};
        if (!field.present())
            return;
        Path path = top["text"];
        need_container(field, "an object", path);
        out.output = reread(field.raw, [&](Value value) { return read_text(value, path); });
    }

    // A client that asks for an effort knows reasoning items.
    void show_reasoning() {
        using chat::ThinkingMode;
        ThinkingMode mode = out.thinking.mode;
        bool shown = summary || (mode != ThinkingMode::unasked && mode != ThinkingMode::off);
        out.reasoning = shown || sealed;
        out.thinking.omitted = sealed && !shown;
    }

    void finish() {
        if (!has_input)
            chat::missing(top["input"]);
        out.model = chat::optional_string(model, top["model"]);
        Raw text = chat::optional_string(instructions, top["instructions"]);
        if (!text.empty())
            out.system.push_back(text);
        if (session.type == Type::string)
            out.session = session.raw;
        out.messages = std::move(input.messages);
        out.tools = std::move(tools.tools);
        out.tools.insert(out.tools.end(), input.added.tools.begin(), input.added.tools.end());
        out.web_search = tools.web_search || input.added.web_search;
        out.search.at = tools.web_search ? tools.web_search_at : input.added.web_search_at;
        chat::apply_tool_choice(choice, out);
        show_reasoning();
        out.echo = out.arena.keep(echo.text());
    }
};

} // namespace

chat::Conversation read_request(Value root, chat::Changes *changes) {
    return Reader(changes).read(root);
}

} // namespace kiro::openai_responses
