// What a failure is called inside a response. The HTTP errors are OpenAI's common ones.
#pragma once

#include "kiro/kiro.h"

#include <string_view>

namespace kiro::openai_responses {

// `code` of response.error: clients decide by it whether they try again.
std::string_view error_code(kiro_failure_kind kind) noexcept;

} // namespace kiro::openai_responses
