#ifndef KIRO_CORE_KIRO_PROFILE_ARN_H
#define KIRO_CORE_KIRO_PROFILE_ARN_H

#include <optional>
#include <string_view>

namespace kiro::kiro {

// The region field of an ARN whose form is sane; nothing if it is not.
std::optional<std::string_view> arn_region(std::string_view arn);

// Fit for a host name: [a-z0-9-].
bool is_region(std::string_view text);

} // namespace kiro::kiro

#endif
