#include "core/kiro/leaked.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/kiro/names.h"
#include "core/stages/leaked_calls.h"

namespace kiro::kiro {

namespace {

// Without its opening bracket, which may be escaped. Few texts have any of them.
bool may_have_one(Raw text) {
    constexpr std::array<std::string_view, 3> marks{"Called ", "function_calls", "tool_call"};
    for (std::string_view mark : marks) {
        if (text.find(mark) != Raw::npos)
            return true;
    }
    return false;
}

std::string without_calls(Raw text, const chat::CallableTools &tools) {
    std::string kept;
    const auto keep = [&kept](const chat::Event &event) {
        if (const auto *said = std::get_if<chat::TextDelta>(&event))
            kept += said->text;
    };
    stages::LeakedCalls stage(tools, {});
    stage.take(chat::TextDelta{text}, keep);
    stage.finish(keep);
    return kept;
}

// By all names that they will be given. What their parameters are does not matter to calls that leave.
chat::CallableTools callable_tools(chat::Conversation &conversation) {
    ToolNames names(conversation.arena);
    std::vector<chat::Tool> tools(conversation.tools.begin(), conversation.tools.end());
    for (chat::Tool &tool : tools) {
        if (!names.knows(tool.name))
            names.alias_of(tool);
        tool.schema = {};
    }
    return {tools, names.aliases(), {}};
}

} // namespace

void strip_leaked_calls(chat::Conversation &conversation) {
    if (conversation.tools.empty())
        return;
    std::optional<chat::CallableTools> tools;
    for (chat::Message &message : conversation.messages) {
        if (message.role != chat::Role::assistant)
            continue;
        for (chat::Block &block : message.blocks) {
            auto *text = std::get_if<chat::Text>(&block);
            if (text == nullptr || !may_have_one(text->text))
                continue;
            if (!tools)
                tools = callable_tools(conversation);
            std::string kept = without_calls(text->text, *tools);
            if (kept.size() != text->text.size()) {
                conversation.arena.note(chat::Rule::leaked_call_removed, text->text);
                text->text = conversation.arena.keep(std::move(kept));
            }
        }
    }
}

} // namespace kiro::kiro
