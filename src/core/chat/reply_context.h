// What a reply needs to know of the request that it answers.
#pragma once

#include "core/chat/callable.h"
#include "core/chat/conversation.h"
#include "kiro/request.h"

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

namespace kiro::chat {

// A tool that is not called by the client as it is by the upstream. All are JSON-escaped slices.
struct ToolAlias {
    std::string_view alias;      // what the upstream was told
    std::string_view name;       // what the client calls it
    std::string_view name_space; // Responses: of the tool, may be empty
    bool freeform = false;       // its input is the text in {"input": ...}
};

// Of the prompt. It may be counted while the reply is already there.
struct InputTokens {
    std::uint64_t estimate = 0;                          // 0: unknown
    const std::atomic<std::uint64_t> *counted = nullptr; // 0: not yet

    std::uint64_t newest() const noexcept {
        const std::uint64_t exact = counted != nullptr ? counted->load(std::memory_order_relaxed) : 0;
        return exact > 0 ? exact : estimate;
    }
};

struct ReplyContext {
    bool include_usage = false;       // OpenAI: stream_options.include_usage
    bool legacy_functions = false;    // OpenAI: the request used `functions`, not `tools`
    bool functions_only = false;      // OpenAI Chat: the client knows no calls of freeform tools
    bool reasoning = true;            // the client wants to see reasoning
    std::uint64_t context_window = 0; // tokens, 0: unknown
    InputTokens input_tokens;
    std::span<const ToolAlias> aliases;      // only tools that differ
    const CallableTools *callable = nullptr; // calls of these are rescued from the text; nullptr: of none
    std::span<const json::Raw> stop;         // ends the answer, not part of it
    std::uint64_t max_tokens = 0;            // ends the answer, 0: no limit
    OutputKind output = OutputKind::text;
    std::string_view output_schema; // of OutputKind::json_schema
    bool repairable = false;        // the request can be changed so that it asks for a better output
    bool tagged_reasoning = false;  // the model was asked to think in <thinking> tags
    std::string_view search_query;  // raw; not empty: the service is asked to search, no model is
    const SearchOffer *search = nullptr;
    std::string_view echo;     // of the request, as its dialect left it; empty: there is none
    std::string_view seal_key; // binds reasoning to account and model; empty: it is not sealed
};

// What every piece of the answer repeats.
struct ReplyHead {
    std::string_view id;      // without the dialect's prefix
    std::string_view model;   // JSON-escaped slice
    std::int64_t created = 0; // Unix seconds
    std::string_view request_id = {};
};

// Views live as long as the request. Defined by the request side of the core.
ReplyContext reply_context(const kiro_request &request) noexcept;

} // namespace kiro::chat
