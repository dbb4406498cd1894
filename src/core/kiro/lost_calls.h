// Tool calls that were begun and never became whole: what the model is told about them in its next turn.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kiro::kiro {

struct LostCalls {
    bool any = false;
    std::string names; // of tools, a comma between: [A-Za-z0-9_-], up to KIRO_LOST_CALLS bytes
};

// What cannot be the name of a tool, is there already or does not fit is left out.
void add_names(LostCalls &lost, std::span<const std::string_view> names);
void add_names(LostCalls &lost, std::string_view names); // joined

// For the model, as the contents of a JSON string. names as in LostCalls, or anything else.
std::string lost_calls_notice(std::string_view names);

} // namespace kiro::kiro
