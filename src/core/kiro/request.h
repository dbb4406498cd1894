// GenerateAssistantResponse: the neutral conversation as Kiro JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/chat/conversation.h"
#include "core/kiro/lost_calls.h"
#include "core/kiro/model_choice.h"
#include "core/kiro/turns.h"
#include "kiro/request.h"

namespace kiro::kiro {

struct ToolSpec {
    Raw name;                // upstream's
    Raw description;         // not blank
    std::string_view schema; // cleaned
};

// A conversation that the upstream accepts, ready to be written. Holds views into the Conversation's body and
// arena.
struct Request {
    std::string model; // JSON-escaped
    ModelFacts facts;
    std::vector<Raw> system;
    Turns turns;              // the last one is the current message
    std::vector<Raw> notice;  // behind the text of the last turn; leaves first if the request is too large
    LostCalls lost;           // what the notice tells of
    std::vector<Raw> closing; // behind the notice
    std::vector<ToolSpec> tools;
    std::vector<chat::ToolAlias> aliases;
    std::string conversation_id; // UUID
    std::string continuation_id; // UUID
    std::string fields;          // additionalModelRequestFields, a JSON object; empty: none
    std::string seal_key;        // what the answer's reasoning is sealed with
    bool tagged = false;         // the model is asked to think in tags
    bool repaired = false;       // it asks once more for an answer in the right form
    uint64_t input_tokens = 0;   // estimate
    size_t bytes = 0;            // about what write() needs
};

// Whom a request goes to, and how.
struct Target {
    const ModelChoice &model;
    std::string_view account; // what reasoning is bound to, may be empty
    std::string_view session; // names the conversation; empty: its beginning does
    kiro_thinking thinking = KIRO_THINKING_AUTO;
};

Request prepare(chat::Conversation &conversation, const Target &target);

// Tells the model in the last turn that calls were lost: see kiro_request_notice().
void add_notice(std::string_view names, chat::Arena &arena, Request &request);

// Replaces out. profile_arn may be empty. Throws chat::Invalid if the upstream could not take the size.
void write(const Request &request, kiro_wire wire, std::string_view profile_arn, std::string &out);

} // namespace kiro::kiro
