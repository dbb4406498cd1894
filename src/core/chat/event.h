/*
 * What comes back, in no dialect. Strings are JSON-escaped slices, ready to stand between quotes, without
 * lone surrogates; they are valid until the next event is asked for.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

namespace kiro::chat {

struct TextDelta {
    std::string_view text; // not empty
};

struct ReasoningDelta {
    std::string_view text; // not empty
};

// Ends the reasoning before it; may come without any. Always whole.
struct ReasoningSignature {
    std::string_view signature;
};

// Reasoning that only the model can read.
struct OpaqueReasoning {
    std::string_view data;
};

// A call that is whole: its input is an object.
struct FinishedCall {
    std::string_view id;
    std::string_view name;            // as the client knows it
    std::string_view arguments;       // the input as the contents of a JSON string
    std::string_view input;           // the input as it is: a JSON object
    std::string_view name_space = {}; // of the tool, may be empty
    bool freeform = false;            // the tool takes a text
    std::string_view text = {};       // and this is it
};

// A call that is passed on while it comes: a start, inputs, an end. Nothing else comes in between; without an
// end the turn ended before.
struct CallStart {
    std::string_view id;
    std::string_view name;
    std::string_view name_space = {};
    bool freeform = false;
};

struct CallInput {
    std::string_view text; // a piece of the input as the contents of a JSON string, not empty
};

struct CallEnd {
    bool whole; // the pieces are one object
};

inline CallStart start_of(const FinishedCall &call) noexcept {
    return {call.id, call.name, call.name_space, call.freeform};
}

// What a client gets as the call's input.
inline std::string_view input_of(const FinishedCall &call) noexcept {
    return call.freeform ? call.text : call.arguments;
}

using Event = std::variant<TextDelta, ReasoningDelta, ReasoningSignature, OpaqueReasoning, FinishedCall,
                           CallStart, CallInput, CallEnd>;

// Why the turn ended.
enum class Stop : std::uint8_t {
    end_turn,
    tool_use,
    stop_sequence,
    max_tokens,
    context_window,
    refusal,
    pause
};

// The dialects have a table of words each, in the order of Stop.
inline constexpr std::size_t kStops = 7;

struct TurnEnd {
    Stop stop = Stop::end_turn;
    std::string_view stop_text = {}; // raw: what ended the answer, of stop_sequence
    std::string_view category = {};  // raw: what a refusal is about, as the upstream says it; may be empty
    std::int64_t time = 0;           // Unix seconds
};

// Where the numbers come from: the upstream's counts, its percentage of the window, or our own count.
enum class UsageSource : std::uint8_t { estimate, percent, upstream };

struct Usage {
    std::uint64_t input = 0; // the whole prompt, with what came from a cache
    std::uint64_t output = 0;
    std::uint64_t reasoning = 0; // of output
    std::uint64_t cache_read = 0;
    std::uint64_t cache_write = 0;
    UsageSource source = UsageSource::estimate; // of input
};

} // namespace kiro::chat
