// Anthropic's error envelope, also the data of the `error` event.
#pragma once

#include "kiro/kiro.h"

#include <span>
#include <string_view>

namespace kiro::anthropic {

int error_status(kiro_failure_kind kind) noexcept;

// {"type":"error",...}. Returns the length, 0 if it does not fit.
std::size_t error_body(const kiro_failure &failure, std::string_view explanation, std::string_view request_id,
                       std::span<char> out) noexcept;

} // namespace kiro::anthropic
