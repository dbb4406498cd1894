/*
 * What a client asks for, in no dialect. Raw strings are JSON-escaped slices of the client's body or of the
 * arena; they are valid as long as both.
 */
#pragma once

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

struct ToolCall {
    Raw id;
    Raw name;
    std::string_view input; // a JSON object
};

struct ToolResult {
    Raw id;                 // of the call it answers
    std::vector<Raw> texts; // may be empty
    std::vector<Image> images;
    bool failed = false;
};

using Block = std::variant<Text, Image, ToolCall, ToolResult>;

// ToolCall only in assistant messages; Image and ToolResult only in user messages; system has texts only.
enum class Role { system, user, assistant };

struct Message {
    Role role;
    std::vector<Block> blocks; // may be empty
};

struct Tool {
    Raw name;
    Raw description;         // may be empty
    std::string_view schema; // a JSON object; empty: takes no arguments
    bool freeform = false;   // takes one text instead of an object
};

enum class ToolMode { automatic, none, required, named };

struct Conversation {
    Raw model; // empty: the client names none
    std::vector<Raw> system;
    std::vector<Message> messages; // not empty
    std::vector<Tool> tools;
    ToolMode tool_mode = ToolMode::automatic;
    Raw tool_name; // for ToolMode::named
    bool parallel_tools = true;
    Raw session; // what the client groups requests by, may be empty

    bool stream = false;
    bool include_usage = false;    // a stream ends with usage
    bool legacy_functions = false; // tools came as OpenAI's `functions`
    bool reasoning = true;         // the client wants to see reasoning

    Arena arena;
};

} // namespace kiro::chat
