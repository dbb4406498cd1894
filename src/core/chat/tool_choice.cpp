#include "core/chat/tool_choice.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace kiro::chat {

namespace {

// The tools by what a client may call them: by the whole name, or by their own name if the namespace does not
// contradict. Of several the first counts.
class ToolIndex {
public:
    explicit ToolIndex(const std::vector<Tool> &t) : tools(t) {
        for (size_t i = 0; i < tools.size(); i++) {
            const Tool &tool = tools[i];
            whole.emplace(json::unescaped(tool.name), i);
            if (!tool.name_space.empty()) {
                own.emplace(key(tool.local_name, {}), i);
                own.emplace(key(tool.local_name, tool.name_space), i);
            }
        }
    }

    Raw name_of(const ToolName &wanted) const {
        const size_t first = std::min(find(whole, json::unescaped(wanted.name)),
                                      find(own, key(wanted.name, wanted.name_space)));
        if (first < tools.size())
            return tools[first].name;
        throw Invalid{KIRO_FAIL_INVALID_REQUEST, wanted.path,
                      wanted.path + ": tool " + quoted(wanted.name) + " is not among the tools",
                      Rule::declared_tool};
    }

private:
    using Index = std::unordered_map<std::string, size_t>;

    static std::string key(Raw name, Raw name_space) {
        const std::string group = json::unescaped(name_space);
        return std::to_string(group.size()) + ' ' + group + json::unescaped(name);
    }

    size_t find(const Index &index, const std::string &name) const {
        const auto entry = index.find(name);
        return entry == index.end() ? tools.size() : entry->second;
    }

    const std::vector<Tool> &tools;
    Index whole, own;
};

struct ModeWord {
    std::string_view word;
    ToolMode mode;
};

constexpr ModeWord mode_words[] = {
    {"auto", ToolMode::automatic},
    {"none", ToolMode::none},
    {"required", ToolMode::required},
    {"any", ToolMode::required},
};

} // namespace

ToolMode tool_mode_of(Raw word, const Path &path) {
    for (const auto &known : mode_words) {
        if (json::equals(word, known.word))
            return known.mode;
    }
    invalid(path, "unknown tool choice " + quoted(word) + "; expected auto, none or required");
}

void apply_tool_choice(const ToolChoice &choice, Conversation &conversation) {
    conversation.tool_mode = choice.mode;
    if (choice.names.empty())
        return;
    const ToolIndex tools(conversation.tools);
    for (const ToolName &wanted : choice.names) {
        Raw name = tools.name_of(wanted);
        if (choice.mode == ToolMode::named)
            conversation.tool_name = name;
        else
            conversation.allowed_tools.push_back(name);
    }
}

} // namespace kiro::chat
