#include "core/openai_chat/tools.h"

#include "core/chat/content.h"
#include "core/chat/scalars.h"

namespace kiro::openai_chat {

using chat::Field;
using chat::Path;
using json::Type;
using json::Value;

namespace {

// {"name", "description", "parameters"}: a function's members, nested or flat. input_schema is what clients
// write that speak Anthropic's tools here.
struct Definition {
    Field name, description, schema;
    const char *schema_key = "parameters";

    bool read(std::string_view key, Value &value) {
        if (key == "name") {
            name = chat::read_field(value);
        } else if (key == "description") {
            description = chat::read_field(value);
        } else if (key == "parameters" || key == "input_schema") {
            schema = chat::read_field(value);
            schema_key = key == "parameters" ? "parameters" : "input_schema";
        } else {
            return false;
        }
        return true;
    }
};

Definition read_definition(Value &value, chat::Arena &arena) {
    Definition definition;
    if (!value.is_object())
        return definition;
    value.members([&](std::string_view key, Value member) {
        if (!definition.read(key, member))
            chat::note_unused_member(key, member, arena);
    });
    return definition;
}

chat::Tool tool_of(const Definition &definition, const Path &path, bool freeform) {
    chat::Tool tool;
    tool.name = chat::required_string(definition.name, path["name"]);
    if (tool.name.empty())
        chat::invalid(path["name"], "must not be empty");
    tool.description = chat::optional_string(definition.description, path["description"]);
    tool.freeform = freeform;
    if (!freeform && definition.schema.present()) {
        if (definition.schema.type != Type::object)
            chat::wrong_type(path[definition.schema_key], "an object", definition.schema.type);
        tool.schema = definition.schema.raw;
    }
    return tool;
}

chat::Tool read_tool(Value &value, const Path &path, chat::Arena &arena, bool &flat_freeform) {
    if (!value.is_object())
        chat::wrong_type(path, "an object", value.type());
    Field type;
    Definition flat, function, custom;
    Type function_type = Type::null, custom_type = Type::null;
    value.members([&](std::string_view key, Value member) {
        if (key == "type") {
            type = chat::read_field(member);
        } else if (key == "function") {
            function_type = member.type();
            function = read_definition(member, arena);
        } else if (key == "custom") {
            custom_type = member.type();
            custom = read_definition(member, arena);
        } else if (!flat.read(key, member)) {
            chat::note_unused_member(key, member, arena);
        }
    });
    if (function_type == Type::object)
        return tool_of(function, path["function"], false);
    if (custom_type == Type::object)
        return tool_of(custom, path["custom"], true);
    if (function_type != Type::null)
        chat::wrong_type(path["function"], "an object", function_type);
    if (custom_type != Type::null)
        chat::wrong_type(path["custom"], "an object", custom_type);
    chat::Raw kind = chat::optional_string(type, path["type"]);
    if (!kind.empty() && kind != "function" && kind != "custom")
        chat::unsupported(path["type"], "tool type " + chat::quoted(kind) + " is not supported");
    if (!flat.name.present())
        chat::missing(path[kind == "custom" ? "custom" : "function"]);
    const bool freeform = kind == "custom" && !flat.schema.present();
    flat_freeform |= freeform;
    return tool_of(flat, path, freeform);
}

// tool_choice, or an entry of its list of tools.
struct Choice {
    Type shape = Type::null;
    Field type, name, mode;
    const char *holder = nullptr; // what the name stands in: "function", "custom" or nothing
    bool own_list = false;        // mode and tools stand in "allowed_tools"
    Type tools_shape = Type::null;
    std::vector<Choice> tools;
};

Choice read_choice(Value &value, bool with_list);

void read_choice_member(std::string_view key, Value &member, bool with_list, Choice &out) {
    if (key == "type") {
        out.type = chat::read_field(member);
    } else if (key == "name") {
        out.name = chat::read_field(member);
    } else if (key == "mode") {
        out.mode = chat::read_field(member);
    } else if ((key == "function" || key == "custom") && member.is_object()) {
        member.members([&](std::string_view inner, Value part) {
            if (inner == "name")
                out.name = chat::read_field(part);
        });
        out.holder = key == "function" ? "function" : "custom";
    } else if (key == "tools" && with_list) {
        out.tools_shape = member.type();
        out.tools.clear();
        if (member.is_array())
            member.items([&](size_t, Value item) { out.tools.push_back(read_choice(item, false)); });
    }
}

Choice read_choice(Value &value, bool with_list) {
    Choice out;
    out.shape = value.type();
    if (!value.is_object())
        return out;
    value.members([&](std::string_view key, Value member) {
        if (key == "allowed_tools" && with_list && member.is_object()) {
            out.own_list = true;
            member.members([&](std::string_view inner, Value part) {
                if (inner != "type")
                    read_choice_member(inner, part, true, out);
            });
        } else {
            read_choice_member(key, member, with_list, out);
        }
    });
    return out;
}

chat::ToolName tool_name(const Choice &choice, const Path &path) {
    const Path inner = choice.holder == nullptr ? path["name"] : path[choice.holder];
    if (choice.holder == nullptr)
        return {chat::required_string(choice.name, inner), {}, inner.str()};
    const Path name = inner["name"];
    return {chat::required_string(choice.name, name), {}, name.str()};
}

chat::ToolChoice allowed_tools(const Choice &choice, const Path &path) {
    chat::ToolChoice out;
    if (choice.mode.present())
        out.mode = chat::tool_mode_of(chat::required_string(choice.mode, path["mode"]), path["mode"]);
    const Path tools = path["tools"];
    if (choice.tools_shape == Type::null)
        chat::missing(tools);
    if (choice.tools_shape != Type::array)
        chat::wrong_type(tools, "an array", choice.tools_shape);
    for (size_t i = 0; i < choice.tools.size(); i++) {
        const Path at = tools[i];
        if (choice.tools[i].shape != Type::object)
            chat::wrong_type(at, "an object", choice.tools[i].shape);
        out.names.push_back(tool_name(choice.tools[i], at));
    }
    if (out.names.empty()) // none of them
        out.mode = chat::ToolMode::none;
    return out;
}

} // namespace

Tools read_tools(Value &value, const Path &path, chat::Arena &arena) {
    Tools out;
    if (value.is_null())
        return out;
    if (!value.is_array())
        chat::wrong_type(path, "an array", value.type());
    value.items([&](size_t i, Value item) {
        Path at = path[i];
        out.tools.push_back(read_tool(item, at, arena, out.flat_freeform));
    });
    return out;
}

chat::ToolChoice read_tool_choice(Value &value, const Path &path) {
    if (value.is_null())
        return {};
    if (value.is_string())
        return {chat::tool_mode_of(value.string(), path), {}};
    if (!value.is_object())
        chat::wrong_type(path, "a string or an object", value.type());
    const Choice choice = read_choice(value, true);
    const Path type_path = path["type"];
    const chat::Raw kind = chat::optional_string(choice.type, type_path);
    if (kind == "allowed_tools")
        return choice.own_list ? allowed_tools(choice, path["allowed_tools"]) : allowed_tools(choice, path);
    if (!kind.empty() && kind != "function" && kind != "custom" && kind != "tool")
        return {chat::tool_mode_of(kind, type_path), {}};
    return {chat::ToolMode::named, {tool_name(choice, path)}};
}

} // namespace kiro::openai_chat
