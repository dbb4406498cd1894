#include "core/kiro/declare.h"

#include "core/kiro/schema.h"

namespace kiro::kiro {

namespace {

using chat::Rule;

// Longer ones move into the system text.
constexpr size_t max_description = 10000;

constexpr std::string_view freeform_schema =
    R"({"type":"object","properties":{"input":{"type":"string"}},"required":["input"]})";

constexpr std::string_view no_arguments = R"({"type":"object","properties":{}})";

// Schemas within schemas of all tools together. Those that are written out in full take more than 16 bytes
// each; the rest is for references, which can make megabytes of a few lines.
size_t nodes_of(const std::vector<chat::Tool> &tools) {
    size_t nodes = 50'000;
    for (const chat::Tool &tool : tools)
        nodes += tool.schema.size() / 16;
    return nodes;
}

std::string_view clean_schema(std::string_view schema, size_t &nodes, chat::Arena &arena) {
    if (schema.empty())
        return no_arguments;
    std::string out;
    append_schema(out, schema, nodes, &arena);
    return arena.keep(std::move(out));
}

// The descriptions of a few tools are whole manuals.
Raw short_description(const chat::Tool &tool, Raw alias, Request &request, chat::Arena &arena) {
    if (json::is_blank(tool.description)) {
        arena.note(Rule::tool_description_filled, place_of(tool));
        return arena.keep("Tool: " + std::string(tool.name));
    }
    if (tool.description.size() <= max_description || json::length(tool.description) <= max_description)
        return tool.description;
    arena.note(Rule::tool_description_moved, tool.description);
    std::string section = "## Tool: ";
    section += alias;
    section += "\\n\\n";
    section += tool.description;
    request.system.push_back(arena.keep(std::move(section)));
    return arena.keep("The full description is in the instructions under \\\"Tool: " + std::string(alias) +
                      "\\\".");
}

} // namespace

ToolSpec stub_of(Raw name) {
    return {name, "Was used earlier in this conversation. Not available now: do not call it.", no_arguments};
}

void declare_tools(const chat::Conversation &conversation, Request &request, ToolNames &names,
                   chat::Arena &arena) {
    if (conversation.tool_mode == chat::ToolMode::none) {
        if (!conversation.tools.empty())
            arena.note(Rule::tool_withheld, place_of(conversation.tools.front()), conversation.tools.size());
        return;
    }
    size_t nodes = nodes_of(conversation.tools);
    for (const auto &tool : conversation.tools) {
        if (names.knows(tool.name)) { // a second tool of that name is refused
            arena.note(Rule::tool_duplicate_removed, place_of(tool));
            continue;
        }
        Raw alias = names.alias_of(tool);
        if (!tool.name_space.empty() || !json::equals(tool.name, alias))
            arena.note(Rule::tool_renamed, place_of(tool));
        if (tool.freeform)
            arena.note(Rule::freeform_tool_wrapped, place_of(tool));
        request.tools.push_back({alias, short_description(tool, alias, request, arena),
                                 tool.freeform ? freeform_schema : clean_schema(tool.schema, nodes, arena)});
    }
}

// Calls told as text instead would be imitated.
void declare_used(Request &request, ToolNames &names, chat::Arena &arena) {
    for (Turn &turn : request.turns) {
        for (Call &call : turn.calls) {
            bool declared = names.knows(call.client_name);
            call.name = names.alias_of(call.client_name);
            if (declared)
                continue;
            request.tools.push_back(stub_of(call.name));
            arena.note(Rule::tool_stub_added, call.client_id);
            if (!json::equals(call.client_name, call.name))
                arena.note(Rule::tool_renamed, call.client_name);
        }
    }
}

} // namespace kiro::kiro
