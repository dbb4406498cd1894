/*
 * What a client asks for, in no dialect. Raw strings are JSON-escaped slices of the client's body or of the
 * arena; they are valid as long as both.
 */
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "core/chat/arena.h"
#include "core/json/raw.h"

namespace kiro::chat {

using json::Raw;

struct Text {
    Raw text; // not empty
};

enum class ImageFormat { png, jpeg, gif, webp };

struct Image {
    ImageFormat format;
    std::string_view base64;
};

// A PDF.
struct Document {
    Raw title; // may be empty
    std::string_view base64;
    std::string_view path; // where it stands in the request
};

// What the assistant thought before, as the client sends it back.
struct Reasoning {
    Raw text; // may be empty
    Raw seal; // signature, data or encrypted_content; may be empty, foreign or altered
};

struct ToolCall {
    Raw id;
    Raw name;
    std::string_view input; // a JSON object
};

struct ToolResult {
    Raw id;                 // of the call it answers
    std::vector<Raw> texts; // may be empty
    std::vector<Image> images;
    std::vector<Document> documents;
    bool failed = false;
};

using Block = std::variant<Text, Image, Document, Reasoning, ToolCall, ToolResult>;

// ToolCall and Reasoning only in assistant messages; Image, Document and ToolResult only in user messages;
// system has texts only.
enum class Role { system, user, assistant };

struct Message {
    Role role;
    std::vector<Block> blocks; // may be empty
    Raw at = {};               // where it stands in the body
};

struct Tool {
    Raw name;                // unique in the request; of a namespaced tool "namespace__name"
    Raw local_name;          // without the namespace, if there is one
    Raw name_space;          // may be empty
    Raw description;         // may be empty
    std::string_view schema; // a JSON object; empty: takes no arguments
    bool freeform = false;   // takes one text instead of an object
};

// Where it stands in the body.
inline Raw place_of(const Tool &tool) {
    return tool.name_space.empty() ? tool.name : tool.local_name;
}

enum class ToolMode { automatic, none, required, named };

enum class ThinkingMode { unasked, off, adaptive, between_tools, budget };

struct Thinking {
    ThinkingMode mode = ThinkingMode::unasked;
    uint32_t budget = 0;  // tokens, not 0 for ThinkingMode::budget
    Raw effort;           // the client's word, may be empty or unknown; also without a wish to think
    bool omitted = false; // the text is not wanted, only what replays it
    Raw at = {};          // where it stands in the body
};

enum class OutputKind { text, json_object, json_schema };

struct OutputFormat {
    OutputKind kind = OutputKind::text;
    Raw name;                // may be empty
    std::string_view schema; // a JSON object, for json_schema
    Raw at = {};             // where it stands in the body
};

// What the service's own search may bring. A domain stands for its subdomains too.
struct SearchOffer {
    std::vector<Raw> allowed; // empty: all
    std::vector<Raw> blocked;
    Raw at = {}; // where it stands in the body
};

struct Conversation {
    Raw model; // empty: the client names none
    std::vector<Raw> system;
    std::vector<Message> messages; // not empty
    std::vector<Tool> tools;
    ToolMode tool_mode = ToolMode::automatic;
    Raw tool_name;                  // for ToolMode::named
    Raw tool_choice_at;             // where these two stand in the body
    std::vector<Raw> allowed_tools; // empty: all
    bool parallel_tools = true;
    bool web_search = false; // the client offers the service's own search, which is not among tools
    SearchOffer search;      // for web_search
    Raw session;             // what the client groups requests by, may be empty

    bool stream = false;
    bool include_usage = false;    // a stream ends with usage
    bool legacy_functions = false; // tools came as OpenAI's `functions`
    bool functions_only = false;   // OpenAI Chat: calls of freeform tools too are functions'
    bool reasoning = true;         // the client wants to see reasoning
    Thinking thinking;
    OutputFormat output;
    std::vector<Raw> stop;   // not empty texts; where the answer ends
    uint64_t max_tokens = 0; // of the answer, 0: no limit
    std::string_view echo;   // what the dialect repeats of the request in its answer

    Arena arena;
};

} // namespace kiro::chat
