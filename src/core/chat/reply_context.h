// What a reply needs to know of the request that it answers.
#pragma once

#include "kiro/request.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace kiro::chat {

// A tool name that had to be changed for the upstream. Both are JSON-escaped slices.
struct ToolAlias {
    std::string_view alias; // what the upstream was told
    std::string_view name;  // what the client calls it
};

struct ReplyContext {
    bool include_usage = false;         // OpenAI: stream_options.include_usage
    bool legacy_functions = false;      // OpenAI: the request used `functions`, not `tools`
    bool reasoning = true;              // the client wants to see reasoning
    std::uint64_t context_window = 0;   // tokens, 0: unknown
    std::uint64_t input_tokens = 0;     // estimate, 0: unknown
    std::span<const ToolAlias> aliases; // only names that differ
};

// What every piece of the answer repeats.
struct ReplyHead {
    std::string_view id;      // without the dialect's prefix
    std::string_view model;   // JSON-escaped slice
    std::int64_t created = 0; // Unix seconds
};

// Views live as long as the request. Defined by the request side of the core.
ReplyContext reply_context(const kiro_request &request) noexcept;

} // namespace kiro::chat
