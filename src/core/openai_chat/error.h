// OpenAI's error envelope; Responses uses the same.
#pragma once

#include "kiro/kiro.h"

#include <span>
#include <string_view>

namespace kiro::openai_chat {

int error_status(kiro_failure_kind kind) noexcept;

// {"error":{...}}. prompt: the member of the request that has the conversation. Returns the length, 0 if it
// does not fit.
std::size_t error_body(const kiro_failure &failure, std::string_view explanation, std::span<char> out,
                       std::string_view prompt = "messages") noexcept;

} // namespace kiro::openai_chat
