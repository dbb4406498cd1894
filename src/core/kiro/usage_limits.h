// GetUsageLimits of the management host: the request, and what its answer tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/kiro/secret.h"
#include "kiro/usage_limits.h"

namespace kiro::kiro {

std::optional<Secret> usage_request(const kiro_usage_query &query, kiro_failure *f);

// As kiro_usage_parse(); throws std::bad_alloc.
kiro_status read_usage(int status, std::string_view error_type, std::string_view body,
                       kiro_usage_limits &limits, kiro_failure *f);

int64_t usage_resets_at(const kiro_usage_limits &limits, int64_t now);

std::string usage_answer(const kiro_usage_view &view);

} // namespace kiro::kiro
