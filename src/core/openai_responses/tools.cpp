#include "core/openai_responses/tools.h"

#include "core/chat/content.h"
#include "core/chat/scalars.h"

namespace kiro::openai_responses {

using chat::Field;
using chat::Path;
using chat::Raw;
using json::Type;
using json::Value;

namespace {

// The beginnings of the types that OpenAI runs itself, or that its client knows without a schema.
constexpr std::string_view hosted_types[] = {
    "web_search",  "file_search", "code_interpreter", "image_generation",          "computer",   "mcp",
    "local_shell", "shell",       "apply_patch",      "programmatic_tool_calling", "tool_search"};

bool is_hosted(Raw type) {
    for (std::string_view known : hosted_types) {
        if (type.starts_with(known))
            return true;
    }
    return false;
}

// What a freeform tool's text must look like.
struct Format {
    Field syntax, definition;
};

Format read_format(Value &value) {
    Format format;
    if (value.is_object()) {
        value.members([&](std::string_view key, Value member) {
            if (key == "syntax")
                format.syntax = chat::read_field(member);
            else if (key == "definition")
                format.definition = chat::read_field(member);
        });
    }
    return format;
}

// One tool. The members of a function may stand below `function`, as in Chat Completions.
struct Definition {
    Type shape = Type::null;
    Raw at; // where it stands in the body
    Field type, name, description, parameters;
    Format format;
    Type tools_shape = Type::null;
    std::vector<Definition> tools; // of a namespace
};

Definition read_definition(Value &value, bool nested, chat::Arena &arena);

void read_member(std::string_view key, Value &member, Definition &out, bool nested, chat::Arena &arena) {
    if (key == "type") {
        out.type = chat::read_field(member);
    } else if (key == "name") {
        out.name = chat::read_field(member);
    } else if (key == "description") {
        out.description = chat::read_field(member);
    } else if (key == "parameters") {
        out.parameters = chat::read_field(member);
    } else if (key == "format") {
        out.format = read_format(member);
    } else if (key == "tools" && !nested) {
        out.tools_shape = member.type();
        out.tools.clear();
        if (member.is_array())
            member.items(
                [&](size_t, Value item) { out.tools.push_back(read_definition(item, true, arena)); });
    } else if (key == "function" && member.is_object()) {
        member.members([&](std::string_view inner, Value value) {
            if (inner != "type")
                read_member(inner, value, out, true, arena);
        });
    } else {
        chat::note_unused_member(key, member, arena);
    }
}

Definition read_definition(Value &value, bool nested, chat::Arena &arena) {
    Definition out;
    out.shape = value.type();
    out.at = value.slice();
    if (value.is_object())
        value.members(
            [&](std::string_view key, Value member) { read_member(key, member, out, nested, arena); });
    return out;
}

Raw name_of(const Definition &definition, const Path &path) {
    Path name_path = path["name"];
    Raw name = chat::required_string(definition.name, name_path);
    if (name.empty())
        chat::invalid(name_path, "must not be empty");
    return name;
}

// The upstream has no place for a grammar: the model is told.
Raw freeform_description(const Definition &definition, Raw description, chat::Arena &arena) {
    if (definition.format.definition.type != Type::string)
        return description;
    std::string text(description);
    text += text.empty() ? "" : "\\n\\n";
    text += "input is the whole text as it is, not JSON. It must match this ";
    if (definition.format.syntax.type == Type::string) {
        text += definition.format.syntax.raw;
        text += ' ';
    }
    text += "grammar:\\n";
    text += definition.format.definition.raw;
    arena.note(chat::Rule::tool_grammar_told, definition.format.definition.raw);
    return arena.keep(std::move(text));
}

class Reader {
public:
    Reader(chat::Arena &a, Tools &o) : arena(a), out(o) {}

    void add(const Definition &definition, const Path &path, Raw name_space) {
        if (definition.shape != Type::object)
            chat::wrong_type(path, "an object", definition.shape);
        Raw type = chat::optional_string(definition.type, path["type"]);
        if (type.empty() || type == "function") {
            add_function(definition, path, name_space);
        } else if (type == "custom") {
            add_freeform(definition, path, name_space);
        } else if (type == "namespace" && name_space.empty()) {
            add_namespace(definition, path);
        } else if (is_hosted(type)) {
            if (type.starts_with("web_search")) {
                out.web_search = true;
                out.web_search_at = definition.at;
            } else {
                arena.note(chat::Rule::tool_left_out, definition.at);
            }
        } else {
            chat::unsupported(path["type"], "tool type " + chat::quoted(type) + " is not supported");
        }
    }

private:
    chat::Arena &arena;
    Tools &out;

    chat::Tool named(const Definition &definition, const Path &path, Raw name_space) {
        chat::Tool tool;
        tool.name = name_of(definition, path);
        tool.description = chat::optional_string(definition.description, path["description"]);
        if (!name_space.empty()) {
            tool.local_name = tool.name;
            tool.name_space = name_space;
            tool.name = qualified_name(name_space, tool.local_name, arena);
        }
        return tool;
    }

    void add_function(const Definition &definition, const Path &path, Raw name_space) {
        chat::Tool tool = named(definition, path, name_space);
        if (definition.parameters.present()) {
            if (definition.parameters.type != Type::object)
                chat::wrong_type(path["parameters"], "an object", definition.parameters.type);
            tool.schema = definition.parameters.raw;
        }
        out.tools.push_back(tool);
    }

    void add_freeform(const Definition &definition, const Path &path, Raw name_space) {
        chat::Tool tool = named(definition, path, name_space);
        tool.freeform = true;
        tool.description = freeform_description(definition, tool.description, arena);
        out.tools.push_back(tool);
    }

    void add_namespace(const Definition &definition, const Path &path) {
        Raw name = name_of(definition, path);
        Path tools = path["tools"];
        if (definition.tools_shape == Type::null)
            chat::missing(tools);
        if (definition.tools_shape != Type::array)
            chat::wrong_type(tools, "an array", definition.tools_shape);
        for (size_t i = 0; i < definition.tools.size(); i++) {
            Path at = tools[i];
            add(definition.tools[i], at, name);
        }
    }
};

// {"type", "name", "namespace"}, in tool_choice or in its list.
struct Choice {
    Type shape = Type::null;
    Field type, name, name_space, mode;
    Type tools_shape = Type::null;
    std::vector<Choice> tools;
};

Choice read_choice(Value &value, bool nested) {
    Choice out;
    out.shape = value.type();
    if (!value.is_object())
        return out;
    value.members([&](std::string_view key, Value member) {
        if (key == "type") {
            out.type = chat::read_field(member);
        } else if (key == "name") {
            out.name = chat::read_field(member);
        } else if (key == "namespace") {
            out.name_space = chat::read_field(member);
        } else if (key == "mode") {
            out.mode = chat::read_field(member);
        } else if (key == "tools" && !nested) {
            out.tools_shape = member.type();
            out.tools.clear();
            if (member.is_array())
                member.items([&](size_t, Value item) { out.tools.push_back(read_choice(item, true)); });
        }
    });
    return out;
}

bool is_named(Raw type) {
    return type == "function" || type == "custom";
}

chat::ToolName tool_name(const Choice &choice, const Path &path) {
    Path name = path["name"];
    return {chat::required_string(choice.name, name),
            chat::optional_string(choice.name_space, path["namespace"]), name.str()};
}

chat::ToolChoice allowed_tools(const Choice &choice, const Path &path) {
    chat::ToolChoice out;
    if (choice.mode.present())
        out.mode = chat::tool_mode_of(chat::required_string(choice.mode, path["mode"]), path["mode"]);
    Path tools = path["tools"];
    if (choice.tools_shape == Type::null)
        chat::missing(tools);
    if (choice.tools_shape != Type::array)
        chat::wrong_type(tools, "an array", choice.tools_shape);
    for (size_t i = 0; i < choice.tools.size(); i++) {
        Path at = tools[i];
        const Choice &tool = choice.tools[i];
        if (tool.shape != Type::object)
            chat::wrong_type(at, "an object", tool.shape);
        if (is_named(chat::required_string(tool.type, at["type"])))
            out.names.push_back(tool_name(tool, at));
    }
    if (out.names.empty()) // only hosted ones, which are not offered
        out.mode = chat::ToolMode::none;
    return out;
}

} // namespace

Raw qualified_name(Raw name_space, Raw name, chat::Arena &arena) {
    if (name_space.empty())
        return name;
    std::string text(name_space);
    if (!name_space.ends_with("__"))
        text += "__";
    text += name;
    return arena.keep(std::move(text));
}

void read_tools(Value value, const Path &path, chat::Arena &arena, Tools &tools) {
    if (!value.is_array())
        chat::wrong_type(path, "an array", value.type());
    Reader reader(arena, tools);
    value.items([&](size_t i, Value item) {
        Path at = path[i];
        reader.add(read_definition(item, false, arena), at, {});
    });
}

chat::ToolChoice tool_choice_of(Raw word, const Path &path) {
    return {chat::tool_mode_of(word, path), {}};
}

chat::ToolChoice read_tool_choice(Value value, const Path &path, chat::Arena &arena) {
    if (!value.is_object())
        chat::wrong_type(path, "a string or an object", value.type());
    Choice choice = read_choice(value, false);
    Path type_path = path["type"];
    Raw type = chat::required_string(choice.type, type_path);
    if (is_named(type))
        return {chat::ToolMode::named, {tool_name(choice, path)}};
    if (type == "allowed_tools")
        return allowed_tools(choice, path);
    if (!is_hosted(type))
        chat::invalid(type_path, "unknown tool choice " + chat::quoted(type));
    arena.note(chat::Rule::tool_choice_ignored, value.slice());
    return {};
}

} // namespace kiro::openai_responses
