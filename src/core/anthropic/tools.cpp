#include "core/anthropic/tools.h"

#include <algorithm>
#include <optional>

#include "core/chat/content.h"
#include "core/chat/scalars.h"

namespace kiro::anthropic {

using chat::Field;
using chat::Path;
using json::Type;
using json::Value;

namespace {

// Tools with a dated type: the client runs them, but sends no schema.
struct ClientTool {
    std::string_view type_prefix;
    std::string_view description;
    std::string_view schema;
};

constexpr ClientTool client_tools[] = {
    {"bash_", "Runs a command in a persistent bash session.",
     R"({"type":"object","properties":{"command":{"type":"string","description":"The command to run."},)"
     R"("restart":{"type":"boolean","description":"Starts the session anew."}}})"},
    {"text_editor_", "Views, creates and edits text files.",
     R"({"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},)"
     R"("path":{"type":"string","description":"Absolute path."},)"
     R"("file_text":{"type":"string","description":"create: the contents."},)"
     R"("old_str":{"type":"string","description":"str_replace: the text to replace, unique in the file."},)"
     R"("new_str":{"type":"string","description":"str_replace: the text in its place."},)"
     R"("insert_line":{"type":"integer","description":"insert: the line after which to insert."},)"
     R"("insert_text":{"type":"string","description":"insert: the text."},)"
     R"("view_range":{"type":"array","items":{"type":"integer"},"description":"view: first and last line."}},)"
     R"("required":["command","path"]})"},
    {"memory_", "Keeps notes in files under /memories.",
     R"({"type":"object","properties":{"command":{"type":"string",)"
     R"("enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string"},)"
     R"("file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},)"
     R"("insert_line":{"type":"integer"},"insert_text":{"type":"string"},)"
     R"("view_range":{"type":"array","items":{"type":"integer"}},"old_path":{"type":"string"},)"
     R"("new_path":{"type":"string"}},"required":["command"]})"},
    {"computer_2", "Controls the screen, mouse and keyboard of a computer.",
     R"({"type":"object","properties":{"action":{"type":"string","description":"Such as screenshot, left_click, )"
     R"(right_click, double_click, mouse_move, left_click_drag, type, key, scroll, wait, cursor_position."},)"
     R"("coordinate":{"type":"array","items":{"type":"integer"},"description":"x and y in pixels."},)"
     R"("start_coordinate":{"type":"array","items":{"type":"integer"}},)"
     R"("text":{"type":"string"},"scroll_direction":{"type":"string","enum":["up","down","left","right"]},)"
     R"("scroll_amount":{"type":"integer"},"duration":{"type":"number"}},"required":["action"]})"},
};

// What Claude Code puts in place of tools that it has not loaded.
constexpr std::string_view deferred_placeholder = "DeferredToolPlaceholder";

// The service's own: dated, or named as Anthropic's and without anything that a client's tool needs.
bool is_web_search(chat::Raw kind, const Field &name, const Field &schema) {
    if (schema.present())
        return false;
    return kind.starts_with("web_search_") || kind == "web_search" ||
           (kind.empty() && name.type == Type::string && name.raw == "web_search");
}

std::vector<chat::Raw> read_domains(Value &value, const Path &path) {
    std::vector<chat::Raw> domains;
    if (value.is_null())
        return domains;
    if (!value.is_array())
        chat::wrong_type(path, "an array of strings", value.type());
    value.items([&](size_t i, Value item) {
        if (!item.is_string())
            chat::wrong_type(path[i], "a string", item.type());
        domains.push_back(item.string());
    });
    return domains;
}

// Null: a tool that nobody here can run; the search is noted in tools.
std::optional<chat::Tool> read_tool(Value &value, const Path &path, Tools &tools, chat::Raw &its_name,
                                    chat::Arena &arena) {
    if (!value.is_object())
        chat::wrong_type(path, "an object", value.type());
    Field type, name, description, schema;
    chat::SearchOffer search;
    value.members([&](std::string_view key, Value member) {
        if (key == "type")
            type = chat::read_field(member);
        else if (key == "name")
            name = chat::read_field(member);
        else if (key == "description")
            description = chat::read_field(member);
        else if (key == "input_schema")
            schema = chat::read_field(member);
        else if (key == "allowed_domains")
            search.allowed = read_domains(member, path["allowed_domains"]);
        else if (key == "blocked_domains")
            search.blocked = read_domains(member, path["blocked_domains"]);
        else
            chat::note_unused_member(key, member, arena);
    });
    if (name.type == Type::string)
        its_name = name.raw;
    chat::Raw kind = chat::optional_string(type, path["type"]);
    if (is_web_search(kind, name, schema)) {
        tools.web_search = true;
        tools.search = std::move(search);
        tools.search.at = value.slice();
        return std::nullopt;
    }
    if (schema.present() || kind.empty() || kind == "custom") {
        chat::Tool tool;
        tool.name = chat::required_string(name, path["name"]);
        if (tool.name.empty())
            chat::invalid(path["name"], "must not be empty");
        if (tool.name == deferred_placeholder) {
            arena.note(chat::Rule::tool_left_out, value.slice());
            return std::nullopt;
        }
        tool.description = chat::optional_string(description, path["description"]);
        if (!schema.present())
            chat::missing(path["input_schema"]);
        if (schema.type != Type::object)
            chat::wrong_type(path["input_schema"], "an object", schema.type);
        tool.schema = schema.raw;
        return tool;
    }
    for (const auto &known : client_tools) {
        if (kind.starts_with(known.type_prefix)) {
            chat::Tool tool;
            tool.name = chat::required_string(name, path["name"]);
            tool.description = known.description;
            tool.schema = known.schema;
            arena.note(chat::Rule::tool_schema_added, tool.name);
            return tool;
        }
    }
    arena.note(chat::Rule::tool_left_out, value.slice());
    return std::nullopt;
}

} // namespace

Tools read_tools(Value &value, const Path &path, chat::Arena &arena) {
    Tools tools;
    if (value.is_null())
        return tools;
    if (!value.is_array())
        chat::wrong_type(path, "an array", value.type());
    value.items([&](size_t i, Value item) {
        Path at = path[i];
        chat::Raw name;
        if (auto tool = read_tool(item, at, tools, name, arena))
            tools.tools.push_back(*tool);
        else if (!name.empty())
            tools.left_out.push_back(name);
    });
    return tools;
}

ToolChoice read_tool_choice(Value &value, const Path &path) {
    using chat::ToolMode;
    if (value.is_null())
        return {};
    if (!value.is_object())
        chat::wrong_type(path, "an object", value.type());
    Field type, name;
    ToolChoice choice;
    value.members([&](std::string_view key, Value member) {
        if (key == "type")
            type = chat::read_field(member);
        else if (key == "name")
            name = chat::read_field(member);
        else if (key == "disable_parallel_tool_use" && member.type() == Type::boolean)
            choice.parallel = !member.boolean();
    });
    chat::Raw kind = chat::required_string(type, path["type"]);
    if (kind == "none") {
        choice.tools.mode = ToolMode::none;
    } else if (kind == "any") {
        choice.tools.mode = ToolMode::required;
    } else if (kind == "tool") {
        choice.tools.mode = ToolMode::named;
        const Path name_path = path["name"];
        choice.tools.names.push_back({chat::required_string(name, name_path), {}, name_path.str()});
    } else if (kind != "auto") {
        chat::invalid(path["type"], "unknown tool choice " + chat::quoted(kind));
    }
    return choice;
}

void apply_tool_choice(const ToolChoice &choice, const Tools &tools, chat::Conversation &conversation) {
    conversation.parallel_tools = choice.parallel;
    if (choice.tools.mode == chat::ToolMode::named) {
        const chat::Raw name = choice.tools.names.front().name;
        const bool left_out =
            std::find(tools.left_out.begin(), tools.left_out.end(), name) != tools.left_out.end();
        if (left_out) { // the search still has to know; nothing else can be done about it
            if (!tools.web_search)
                conversation.arena.note(chat::Rule::tool_choice_ignored, conversation.tool_choice_at);
            conversation.tool_mode = tools.web_search ? chat::ToolMode::named : chat::ToolMode::automatic;
            conversation.tool_name = tools.web_search ? name : chat::Raw();
            return;
        }
    }
    chat::apply_tool_choice(choice.tools, conversation);
}

} // namespace kiro::anthropic
