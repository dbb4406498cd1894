// What the lists of the management host have in common: the request, refusals, values in a page.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json/reader.h"
#include "core/kiro/secret.h"
#include "kiro/credential.h"
#include "kiro/kiro.h"

namespace kiro::kiro {

struct ManagementCall {
    std::string_view operation; // "ListAvailableModels"
    kiro_login login;
    std::string_view token, host, prefix, user_agent;
    std::string_view body;
};

std::optional<Secret> management_request(const ManagementCall &call, kiro_failure *f);

// These return KIRO_ERROR.
kiro_status management_refused(int status, std::string_view type, std::string_view body, kiro_failure *f);
kiro_status management_unusable(kiro_failure *f, const char *what);

// False: not a page, f says why.
bool is_management_page(std::string_view body, kiro_failure *f);

// The text of a string without control characters; empty for anything else.
std::string text_of(json::Value value);

// Calls visit for each member of an object, and not at all for anything else.
template <class Visitor> void each_member(json::Value value, Visitor &&visit) {
    if (value.is_object())
        value.members(visit);
}

} // namespace kiro::kiro
