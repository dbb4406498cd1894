#include "core/kiro/steer.h"

#include <algorithm>
#include <simdjson.h>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/json/writer.h"
#include "core/kiro/declare.h"

namespace kiro::kiro {

namespace {

using Aliases = std::unordered_set<std::string_view>;

constexpr Raw call_any = "Answer by calling at least one of the tools, not with text alone.";
constexpr Raw call_one_at_most = "Call at most one tool in this answer.";
constexpr Raw go_on =
    "Your last message is not finished. Write on from exactly where it ends, without repeating "
    "any of it and without a remark.";
constexpr Raw bare = " and nothing else: no words around it, no code fence.";

// The names of the tools that may be called, without escapes; empty: all may.
std::unordered_set<std::string> names_allowed(const chat::Conversation &conversation) {
    std::unordered_set<std::string> names;
    if (conversation.tool_mode == chat::ToolMode::named) {
        names.insert(json::unescaped(conversation.tool_name));
    } else {
        for (Raw name : conversation.allowed_tools)
            names.insert(json::unescaped(name));
    }
    return names;
}

Aliases aliases_of_history(const Request &request) {
    Aliases used;
    for (const Turn &turn : request.turns) {
        for (const Call &call : turn.calls)
            used.insert(call.name);
    }
    return used;
}

void restrict_tools(const Aliases &allowed, Request &request) {
    const Aliases used = aliases_of_history(request);
    std::vector<ToolSpec> kept;
    for (const ToolSpec &tool : request.tools) {
        if (allowed.count(tool.name) != 0)
            kept.push_back(tool);
        else if (used.count(tool.name) != 0)
            kept.push_back(stub_of(tool.name));
    }
    request.tools = std::move(kept);
}

// Returns whether the model may call a tool.
bool steer_tools(chat::Conversation &conversation, Request &request, ToolNames &names) {
    using chat::ToolMode;
    if (conversation.tool_mode == ToolMode::none)
        return false;
    chat::Arena &arena = conversation.arena;
    const auto wanted = names_allowed(conversation);
    Aliases allowed;
    for (const chat::Tool &tool : conversation.tools) {
        if (wanted.empty() || wanted.count(json::unescaped(tool.name)) != 0)
            allowed.insert(names.alias_of(tool.name));
        else
            arena.note(chat::Rule::tool_withheld, place_of(tool));
    }
    if (allowed.empty())
        return false;
    if (conversation.tool_mode == ToolMode::named || !conversation.allowed_tools.empty())
        restrict_tools(allowed, request);
    if (conversation.tool_mode == ToolMode::named) {
        arena.note(chat::Rule::tool_choice_told, conversation.tool_choice_at);
        request.closing.push_back(arena.keep("Answer by calling the tool \\\"" +
                                             std::string(*allowed.begin()) + "\\\", not with text alone."));
    } else if (conversation.tool_mode == ToolMode::required) {
        arena.note(chat::Rule::tool_choice_told, conversation.tool_choice_at);
        request.closing.push_back(call_any);
    }
    if (!conversation.parallel_tools) {
        arena.note(chat::Rule::parallel_calls_told);
        request.closing.push_back(call_one_at_most);
    }
    return true;
}

std::string minified(std::string_view text) {
    std::string out(text.size() + simdjson::SIMDJSON_PADDING, '\0');
    std::size_t size = 0;
    if (simdjson::minify(text.data(), text.size(), out.data(), size) != simdjson::SUCCESS)
        return std::string(text);
    out.resize(size);
    return out;
}

void steer_output(chat::Conversation &conversation, bool tools, Request &request) {
    if (conversation.output.kind == chat::OutputKind::text)
        return;
    const std::string_view schema = conversation.output.schema;
    conversation.arena.note(chat::Rule::output_format_told, conversation.output.at);
    std::string text = tools ? "Unless you call a tool, answer with one JSON " : "Answer with one JSON ";
    text += conversation.output.kind == chat::OutputKind::json_object ? "object" : "value";
    if (!schema.empty())
        text += " that matches the JSON Schema below";
    text += bare;
    if (!schema.empty()) {
        text += "\\n\\n";
        json::append_escaped(text, minified(schema));
    }
    request.closing.push_back(conversation.arena.keep(std::move(text)));
}

// The client begins the answer, and puts what comes behind that beginning.
bool has_beginning(const chat::Conversation &conversation, const Request &request) {
    const auto &messages = conversation.messages;
    if (messages.empty() || messages.back().role != chat::Role::assistant || request.turns.size() < 2)
        return false;
    const Turn &current = request.turns.back();
    const Turn &before = request.turns[request.turns.size() - 2];
    return current.texts.empty() && current.images.empty() && current.results.empty() &&
           !before.texts.empty() && before.calls.empty();
}

} // namespace

void steer(chat::Conversation &conversation, Request &request, ToolNames &names) {
    const bool tools = steer_tools(conversation, request, names);
    if (has_beginning(conversation, request)) {
        conversation.output = {}; // the beginning sets the form, and what comes is not whole
        conversation.arena.note(chat::Rule::answer_continued, conversation.messages.back().at);
        request.closing.push_back(go_on);
    }
    steer_output(conversation, tools, request);
}

bool ask_for_repair(chat::Conversation &conversation, std::string_view why, Request &request) {
    if (request.repaired || conversation.output.kind == chat::OutputKind::text)
        return false;
    request.repaired = true;
    conversation.arena.note(chat::Rule::repair_asked);
    std::string text = "Your answer to this was refused: ";
    json::append_escaped(text, why);
    text += ". Answer again in the form that is asked for above.";
    request.closing.push_back(conversation.arena.keep(std::move(text)));
    return true;
}

} // namespace kiro::kiro
