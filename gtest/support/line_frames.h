// Frames as a fuzzer can change them: a line each, a byte for the type and the payload.
#pragma once

#include "support/choices.h"
#include "support/frames.h"

#include <string>
#include <string_view>

namespace test {

inline constexpr std::string_view kLineTypes[] = {
    "assistantResponseEvent", "reasoningContentEvent", "toolUseEvent",         "metadataEvent",
    "contextUsageEvent",      "meteringEvent",         "messageMetadataEvent", "codeEvent",
    "invalidStateEvent",      "initial-response"};
inline constexpr std::string_view kLineExceptions[] = {"throttlingError", "ContentLengthExceededException",
                                                       "validationError"};

// 'a' is the first type, behind the types come the exceptions, an error frame, and bytes that are no frame.
inline std::string line_frame(char kind, std::string_view payload) {
    std::size_t index = static_cast<unsigned char>(kind - 'a') % 16;
    if (index < std::size(kLineTypes)) {
        return event(kLineTypes[index], payload);
    }
    index -= std::size(kLineTypes);
    if (index < std::size(kLineExceptions)) {
        return exception(kLineExceptions[index], payload);
    }
    if (index == std::size(kLineExceptions)) {
        return raw_message(string_header(":message-type", "error") + string_header(":error-code", payload),
                           "");
    }
    return index == std::size(kLineExceptions) + 1 ? std::string(payload) : tail();
}

inline std::string line_frames(Choices &choices) {
    std::string bytes;
    while (!choices.empty()) {
        const char kind = static_cast<char>(choices.byte());
        bytes += line_frame(kind, choices.line());
    }
    return bytes;
}

// The kind of a frame for the other way; 0: it has none.
inline char line_kind(std::string_view event_type, std::string_view exception_type) {
    for (std::size_t i = 0; i < std::size(kLineTypes); ++i) {
        if (kLineTypes[i] == event_type) {
            return static_cast<char>('a' + i);
        }
    }
    for (std::size_t i = 0; i < std::size(kLineExceptions); ++i) {
        if (kLineExceptions[i] == exception_type) {
            return static_cast<char>('a' + std::size(kLineTypes) + i);
        }
    }
    return 0;
}

} // namespace test
