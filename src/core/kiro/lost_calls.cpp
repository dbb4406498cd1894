#include "core/kiro/lost_calls.h"

#include "kiro/reply.h"

#include <algorithm>
#include <vector>

namespace kiro::kiro {
namespace {

constexpr std::size_t kMaxName = 64; // of a tool

bool is_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= kMaxName && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    });
}

std::vector<std::string_view> split(std::string_view names) {
    std::vector<std::string_view> out;
    while (!names.empty()) {
        const std::size_t comma = std::min(names.find(','), names.size());
        out.push_back(names.substr(0, comma));
        names.remove_prefix(std::min(comma + 1, names.size()));
    }
    return out;
}

} // namespace

void add_names(LostCalls &lost, std::span<const std::string_view> names) {
    std::vector<std::string_view> known = split(lost.names);
    std::string joined = lost.names;
    for (const std::string_view name : names) {
        const std::size_t size = joined.size() + (joined.empty() ? 0 : 1) + name.size();
        if (!is_name(name) || size > KIRO_LOST_CALLS ||
            std::find(known.begin(), known.end(), name) != known.end()) {
            continue;
        }
        known.push_back(name);
        joined.append(joined.empty() ? "" : ",").append(name);
    }
    lost.names = std::move(joined);
}

void add_names(LostCalls &lost, std::string_view names) {
    add_names(lost, split(names));
}

std::string lost_calls_notice(std::string_view names) {
    LostCalls lost;
    add_names(lost, names);
    const std::vector<std::string_view> tools = split(lost.names);
    const bool many = tools.size() > 1;
    std::string text = "[Note of the API gateway: your previous answer was cut off before ";
    text += tools.empty() ? "a tool call" : many ? "the calls of the tools " : "the call of the tool ";
    for (const std::string_view tool : tools) {
        text += tool == tools.front() ? "\\\"" : ", \\\"";
        text += tool;
        text += "\\\"";
    }
    text +=
        many ? " were complete. These calls were not run and may be missing above. If they are still needed, "
               "make them again in smaller steps"
             : " was complete. This call was not run and may be missing above. If it is still needed, make "
               "it again in smaller steps";
    return text + ": several short calls instead of a long one.]";
}

} // namespace kiro::kiro
