// The answer's object and the items of its output as JSON.
#pragma once

#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "core/chat/search.h"
#include "kiro/kiro.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace kiro::openai_responses {

enum class ItemKind : std::uint8_t { none, reasoning, message, call };

// "msg_<id of the answer>_<index>": the same in every event, each once.
std::string item_id(std::string_view prefix, std::string_view reply, std::uint64_t index);

void append_message(std::string &out, std::string_view id, std::string_view text, bool complete);

// seal: encrypted_content, may be empty.
void append_reasoning(std::string &out, std::string_view id, std::string_view text, std::string_view seal);

// A function_call, or a custom_tool_call of a freeform tool. input is what there is of it.
void append_call(std::string &out, std::string_view id, const chat::CallStart &call, std::string_view status,
                 std::string_view input);

// begun: the search is still to be made.
void append_search(std::string &out, std::string_view id, const chat::Search &search, bool begun);

// "fc" or "ctc".
std::string_view call_prefix(bool freeform) noexcept;

struct Status {
    std::string_view word;
    std::string_view reason = {}; // of incomplete_details

    bool complete() const noexcept { return reason.empty(); }
};

inline constexpr Status kInProgress{"in_progress"};
inline constexpr Status kFailed{"failed"};

Status status_of(chat::Stop stop) noexcept;

// What is not the same in all of an answer's objects.
struct Ending {
    Status status;
    const chat::Usage *usage = nullptr;
    const kiro_failure *failure = nullptr;
    std::int64_t time = 0; // Unix seconds, of a completed answer
};

// The answer's object, of which every lifecycle event has a whole one.
class Envelope {
public:
    Envelope(const chat::ReplyHead &head, const chat::ReplyContext &context);

    // items: the elements of output.
    void append(std::string &out, const Ending &ending, std::string_view items) const;

    std::string_view reply_id() const noexcept { return id_; }

private:
    std::string id_;
    std::string head_; // up to the status
    std::string tail_; // what the request and the model are, up to output
};

} // namespace kiro::openai_responses
