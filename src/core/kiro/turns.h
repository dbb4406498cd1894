/*
 * The upstream's idea of a conversation: strictly alternating turns that begin and end with the user, every
 * tool call answered in the next turn, legal names and ids. These are the steps that get a client's
 * conversation there; kiro/request.cpp has their order.
 */
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/chat/conversation.h"
#include "core/kiro/names.h"

namespace kiro::kiro {

struct Call {
    Raw client_id;
    Raw client_name;
    std::string_view input;
    Raw id;   // upstream's
    Raw name; // upstream's
};

struct Result {
    Raw client_id;
    std::vector<Raw> texts; // joined by line ends
    std::vector<chat::Image> images;
    std::vector<chat::Document> documents;
    bool failed = false;
    Raw id; // upstream's
};

// Reasoning that the upstream takes back: it gave this signature for this text to the same account and model.
struct Thought {
    Raw text;
    Raw signature;
    bool redacted = false; // signature is the whole reasoning, and opaque
};

struct Turn {
    bool user;
    std::vector<Raw> texts; // joined by blank lines
    std::vector<chat::Image> images;
    std::vector<chat::Document> documents;
    std::vector<Call> calls;                // assistant
    std::vector<Result> results;            // user
    std::vector<chat::Reasoning> reasoning; // assistant: as the client sends it
    std::optional<Thought> thought;         // what of it goes up
    Raw at = {};                            // where its first message stands in the body
};

using Turns = std::vector<Turn>;

// Stands for a turn that says nothing. The upstream refuses blank text, and words would be imitated or
// answered by the model.
constexpr Raw silent_turn = ".";

// Moves the texts of leading system messages behind the system prompt. Returns how many messages that took.
size_t split_system(chat::Conversation &conversation, std::vector<Raw> &system);

// The messages from first on, neighbours of one side merged; system messages count as the user's. Blank texts
// and turns of the assistant without anything are dropped.
Turns merge_turns(chat::Conversation &conversation, size_t first);

// A user turn in front and at the end, where there is none.
void frame_with_user(Turns &turns, chat::Arena &arena);

// Gives every call an id and the results their order; calls without result get one, results without call
// become text.
void pair_results(Turns &turns, chat::Arena &arena);

// The upstream drops images inside results: moves them to the turn, with a line that tells which is which.
void hoist_images(Turns &turns, chat::Arena &arena);

// Documents inside results move to the turn.
void hoist_documents(Turns &turns, chat::Arena &arena);

// Says in the text what the upstream would not tell the model, and nothing is ever blank.
void fill_results(Turns &turns, chat::Arena &arena);

// False: there was none.
bool drop_reasoning(Turns &turns);

// A user turn without text and results is refused. The system text stands in the first turn, closing words
// in the last.
void fill_blank_turns(Turns &turns, bool has_system, bool has_closing, chat::Arena &arena);

} // namespace kiro::kiro
