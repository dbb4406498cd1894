#include "core/openai_chat/tools.h"

#include "core/chat/content.h"

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

Definition read_definition(Value &value) {
    Definition definition;
    if (value.is_object())
        value.members([&](std::string_view key, Value member) { definition.read(key, member); });
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

chat::Tool read_tool(Value &value, const Path &path) {
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
            function = read_definition(member);
        } else if (key == "custom") {
            custom_type = member.type();
            custom = read_definition(member);
        } else {
            flat.read(key, member);
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
    return tool_of(flat, path, kind == "custom" && !flat.schema.present());
}

} // namespace

std::vector<chat::Tool> read_tools(Value &value, const Path &path) {
    std::vector<chat::Tool> tools;
    if (value.is_null())
        return tools;
    if (!value.is_array())
        chat::wrong_type(path, "an array", value.type());
    value.items([&](size_t i, Value item) {
        Path at = path[i];
        tools.push_back(read_tool(item, at));
    });
    return tools;
}

ToolChoice read_tool_choice(Value &value, const Path &path) {
    using chat::ToolMode;
    if (value.is_null())
        return {};
    if (value.is_string()) {
        chat::Raw word = value.string();
        if (json::equals(word, "auto"))
            return {};
        if (json::equals(word, "none"))
            return {ToolMode::none, {}};
        if (json::equals(word, "required") || json::equals(word, "any"))
            return {ToolMode::required, {}};
        chat::invalid(path, "unknown tool choice " + chat::quoted(word));
    }
    if (!value.is_object())
        chat::wrong_type(path, "a string or an object", value.type());
    Field type, name;
    value.members([&](std::string_view key, Value member) {
        if (key == "type")
            type = chat::read_field(member);
        else if (key == "name")
            name = chat::read_field(member);
        else if ((key == "function" || key == "custom") && member.is_object())
            name = read_definition(member).name;
    });
    chat::Raw kind = chat::optional_string(type, path["type"]);
    if (kind == "none")
        return {ToolMode::none, {}};
    if (kind == "auto" || kind == "allowed_tools")
        return {};
    if (kind == "any" || kind == "required")
        return {ToolMode::required, {}};
    if (!kind.empty() && kind != "function" && kind != "custom" && kind != "tool")
        chat::invalid(path["type"], "unknown tool choice " + chat::quoted(kind));
    Path name_path = path["name"];
    return {ToolMode::named, chat::required_string(name, name_path)};
}

} // namespace kiro::openai_chat
