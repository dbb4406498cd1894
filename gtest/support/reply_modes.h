// The dialects, streamed and collected.
#pragma once

#include "kiro/kiro.h"

#include "support/sse.h"

#include <string_view>

namespace test {

struct Mode {
    kiro_api api;
    bool stream;
    const char *name;
};

inline constexpr Mode kModes[] = {
    {KIRO_API_OPENAI_CHAT, true, "openai.stream"},
    {KIRO_API_OPENAI_CHAT, false, "openai.collected"},
    {KIRO_API_ANTHROPIC, true, "anthropic.stream"},
    {KIRO_API_ANTHROPIC, false, "anthropic.collected"},
    {KIRO_API_OPENAI_RESPONSES, true, "responses.stream"},
    {KIRO_API_OPENAI_RESPONSES, false, "responses.collected"},
};

inline Seen read(const Mode &mode, std::string_view output, bool include_usage = false,
                 bool streamed_calls = false) {
    if (mode.api == KIRO_API_ANTHROPIC) {
        return mode.stream ? read_anthropic_stream(output, streamed_calls) : read_anthropic_object(output);
    }
    if (mode.api == KIRO_API_OPENAI_RESPONSES) {
        return mode.stream ? read_responses_stream(output, streamed_calls) : read_responses_object(output);
    }
    return mode.stream ? read_openai_stream(output, include_usage, streamed_calls)
                       : read_openai_object(output);
}

} // namespace test
