/*
 * Message content: a string, null, or a list of parts. Clients mix the dialects' part shapes (Anthropic
 * blocks arrive on the OpenAI endpoint), so one reader knows them all.
 *
 * Reading is two steps, as keys come in any order: a Part collects what it finds while the body is walked;
 * its meaning is taken when its type is known.
 */
#pragma once

#include <string_view>
#include <vector>

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"
#include "core/json/reader.h"

namespace kiro::chat {

// One scalar or raw value as the client wrote it; null and absent are the same.
struct Field {
    json::Type type = json::Type::null;
    std::string_view raw; // of a string its contents, else the whole value

    bool present() const { return type != json::Type::null; }
};

Field read_field(json::Value value);

// The contents of a string; throws if it is another type. Absent: empty, or thrown by required_string().
Raw optional_string(const Field &field, const Path &path);
Raw required_string(const Field &field, const Path &path);

struct Part;

struct Content {
    Field text;              // if it is a string; its type also tells a wrong type
    std::vector<Part> parts; // if it is a list

    bool present() const { return text.present(); }
};

struct Part {
    json::Type shape = json::Type::object;
    Field type, text, refusal, id, name, input, tool_use_id, tool_name, is_error, title, url;
    Field carried;                   // encrypted_content: of a search result
    Field thinking, signature, data; // reasoning
    Field image_url;                 // image_url: "..." or {"url": "..."}
    Field source_type;               // source: {...}
    Field source_media_type, source_data, source_url;
    Field file_data, file_name, file_id; // file: {...}, or in the part itself
    bool in_file = false;
    Content content; // content: of this part or of its source
};

// What has no effect is noted.
Content read_content(json::Value value, Arena &arena);

// Appends the meaning of content, which stands at path, to blocks. An absent one means no blocks.
void add_content(const Content &content, Role role, const Path &path, Arena &arena,
                 std::vector<Block> &blocks);

// The texts and images of a tool's result.
void add_result_content(const Content &content, const Path &path, Arena &arena, ToolResult &result);

// Texts only, for system prompts.
void add_texts(const Content &content, const Path &path, Arena &arena, std::vector<Raw> &texts);

} // namespace kiro::chat
