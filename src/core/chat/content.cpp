#include "core/chat/content.h"

#include "core/chat/image.h"
#include "core/chat/scalars.h"
#include "core/chat/search.h"
#include "core/json/cursor.h"
#include "core/json/writer.h"

namespace kiro::chat {

using json::Type;
using json::Value;

Field read_field(Value value) {
    if (value.is_null())
        return {};
    if (value.is_string())
        return {Type::string, value.string()};
    return {value.type(), value.slice()};
}

Raw optional_string(const Field &field, const Path &path) {
    if (!field.present())
        return {};
    if (field.type != Type::string)
        wrong_type(path, "a string", field.type);
    return field.raw;
}

Raw required_string(const Field &field, const Path &path) {
    if (!field.present())
        missing(path);
    return optional_string(field, path);
}

namespace {

// Content inside content: a tool result's document's blocks. What is nested deeper means nothing.
constexpr int max_nesting = 4;

struct PartKey {
    std::string_view key;
    Field Part::*field;
};

constexpr PartKey part_keys[] = {
    {"type", &Part::type},
    {"text", &Part::text},
    {"id", &Part::id},
    {"name", &Part::name},
    {"input", &Part::input},
    {"tool_use_id", &Part::tool_use_id},
    {"is_error", &Part::is_error},
    {"tool_name", &Part::tool_name},
    {"refusal", &Part::refusal},
    {"title", &Part::title},
    {"url", &Part::url},
    {"file_data", &Part::file_data},
    {"filename", &Part::file_name},
    {"file_id", &Part::file_id},
    {"encrypted_content", &Part::carried},
    {"thinking", &Part::thinking},
    {"signature", &Part::signature},
    {"data", &Part::data},
};

constexpr PartKey file_keys[] = {
    {"file_data", &Part::file_data},
    {"filename", &Part::file_name},
    {"file_id", &Part::file_id},
};

constexpr PartKey source_keys[] = {
    {"type", &Part::source_type},
    {"media_type", &Part::source_media_type},
    {"data", &Part::source_data},
    {"url", &Part::source_url},
};

template <size_t N> bool read_key(const PartKey (&keys)[N], std::string_view key, Value &value, Part &part) {
    for (const auto &known : keys) {
        if (known.key == key) {
            part.*known.field = read_field(value);
            return true;
        }
    }
    return false;
}

Content read_nested(Value &value, int level, Arena &arena);

void read_source(Value &value, Part &part, int level, Arena &arena) {
    if (!value.is_object()) {
        if (value.is_string()) // a search result's source is its address
            part.source_url = read_field(value);
        return;
    }
    value.members([&](std::string_view key, Value member) {
        if (!read_key(source_keys, key, member, part) && key == "content")
            part.content = read_nested(member, level, arena);
    });
}

void read_image_url(Value &value, Part &part) {
    if (!value.is_object()) {
        part.image_url = read_field(value);
        return;
    }
    part.image_url = {};
    value.members([&](std::string_view key, Value member) {
        if (key == "url")
            part.image_url = read_field(member);
    });
}

void read_file(Value &value, Part &part) {
    part.in_file = true;
    value.members([&](std::string_view key, Value member) { read_key(file_keys, key, member, part); });
}

Part read_part(Value &value, int level, Arena &arena) {
    Part part;
    part.shape = value.type();
    if (part.shape == Type::string) // a bare string among parts
        part.text = read_field(value);
    if (part.shape != Type::object)
        return part;
    value.members([&](std::string_view key, Value member) {
        if (read_key(part_keys, key, member, part))
            return;
        if (key == "content")
            part.content = read_nested(member, level, arena);
        else if (key == "source")
            read_source(member, part, level, arena);
        else if (key == "image_url")
            read_image_url(member, part);
        else if (key == "file" && member.is_object())
            read_file(member, part);
        else
            note_unused_member(key, member, arena);
    });
    return part;
}

Content read_nested(Value &value, int level, Arena &arena) {
    Content content;
    if (!value.is_array()) {
        content.text = read_field(value);
        return content;
    }
    content.text.type = Type::array;
    if (level == max_nesting) {
        note_unused(Rule::block_left_out, value, arena);
        return content;
    }
    value.items([&](size_t, Value item) { content.parts.push_back(read_part(item, level + 1, arena)); });
    return content;
}

enum class Meaning {
    text,
    refusal,
    image,
    image_url,
    document,
    search_result,
    tool_use,
    tool_result,
    tool_reference,
    server_call,
    thinking,
    redacted_thinking,
    rendered, // a server tool's traffic: its texts
    skipped,  // has nothing for the model
    audio,
    file,
};

struct PartType {
    std::string_view name;
    Meaning meaning;
};

constexpr PartType part_types[] = {
    {"text", Meaning::text},
    {"image_url", Meaning::image_url},
    {"image", Meaning::image},
    {"tool_use", Meaning::tool_use},
    {"tool_result", Meaning::tool_result},
    {"thinking", Meaning::thinking},
    {"redacted_thinking", Meaning::redacted_thinking},
    {"input_text", Meaning::text},
    {"output_text", Meaning::text},
    {"input_image", Meaning::image_url},
    {"refusal", Meaning::refusal},
    {"document", Meaning::document},
    {"search_result", Meaning::search_result},
    {"tool_reference", Meaning::tool_reference},
    {"reasoning", Meaning::skipped},
    {"server_tool_use", Meaning::server_call},
    {"mcp_tool_use", Meaning::skipped},
    {"web_search_tool_result", Meaning::rendered},
    {"web_fetch_tool_result", Meaning::rendered},
    {"code_execution_tool_result", Meaning::rendered},
    {"bash_code_execution_tool_result", Meaning::rendered},
    {"text_editor_code_execution_tool_result", Meaning::rendered},
    {"tool_search_tool_result", Meaning::rendered},
    {"mcp_tool_result", Meaning::rendered},
    {"advisor_tool_result", Meaning::rendered},
    {"compaction", Meaning::rendered},
    {"mcp_tool_listing", Meaning::skipped},
    {"container_upload", Meaning::skipped},
    {"fallback", Meaning::skipped},
    {"tool_addition", Meaning::skipped},
    {"tool_removal", Meaning::skipped},
    {"input_audio", Meaning::audio},
    {"audio", Meaning::audio},
    {"video_url", Meaning::audio},
    {"input_video", Meaning::audio},
    {"file", Meaning::file},
    {"input_file", Meaning::file},
};

Meaning meaning_of(const Part &part, const Path &path) {
    if (part.shape == Type::string)
        return Meaning::text;
    if (part.shape != Type::object)
        wrong_type(path, "an object", part.shape);
    Raw type = required_string(part.type, path["type"]);
    std::string plain;
    std::string_view name = type;
    if (json::has_escapes(type)) {
        plain = json::unescaped(type);
        name = plain;
    }
    for (const auto &known : part_types) {
        if (known.name == name)
            return known.meaning;
    }
    invalid(path["type"], "unknown content type " + quoted(type), Rule::known_content_type);
}

Image image_of(const Part &part, const Path &path, Arena &arena) {
    Path source = path["source"];
    Raw type = required_string(part.source_type, source["type"]);
    if (json::equals(type, "base64")) {
        return image_from_base64(optional_string(part.source_media_type, source["media_type"]),
                                 required_string(part.source_data, source["data"]), source["data"], arena);
    }
    if (json::equals(type, "url")) {
        Path url = source["url"];
        return image_from_url(required_string(part.source_url, url), url, arena);
    }
    unsupported(source["type"], "image source " + quoted(type) + " is not supported; use base64",
                Rule::image_source);
}

// Appends text to a list; texts without anything in them are left out.
void add_text(Raw text, std::vector<Raw> &texts) {
    if (!text.empty())
        texts.push_back(text);
}

// Whatever can be read in history that only a server could have written; never an error.
void render(const Content &content, Arena &arena, std::vector<Raw> &texts) {
    if (content.text.type == Type::string)
        add_text(content.text.raw, texts);
    for (const Part &part : content.parts) {
        if (part.text.type == Type::string) {
            add_text(part.text.raw, texts);
        } else if (part.title.type == Type::string && part.url.type == Type::string) {
            std::string line(part.title.raw);
            line += " (";
            line += part.url.raw;
            line += ")";
            if (Raw snippet = carried_text(part.carried.raw); !snippet.empty()) {
                line += "\\n";
                line += snippet;
            }
            texts.push_back(arena.keep(std::move(line)));
        }
        render(part.content, arena, texts);
    }
}

// What the search before a web_search_tool_result looked for; of other calls the result tells enough.
void add_server_call(const Part &part, Arena &arena, std::vector<Raw> &texts) {
    if (part.input.type != Type::object || part.name.type != Type::string || part.name.raw != "web_search")
        return;
    json::Cursor(part.input.raw).members([&](Raw key, json::Cursor &value) {
        if (key == "query" && value.is_string())
            texts.push_back(arena.keep("Web search for \\\"" + std::string(value.string()) + "\\\"."));
        else
            value.value();
    });
}

void add_headed(Raw title, std::vector<Raw> pieces, Arena &arena, std::vector<Raw> &texts) {
    if (title.empty()) {
        texts.insert(texts.end(), pieces.begin(), pieces.end());
        return;
    }
    std::string text(title);
    for (Raw piece : pieces) {
        text += "\\n";
        text += piece;
    }
    texts.push_back(arena.keep(std::move(text)));
}

// A sink for the parts that may stand anywhere: message, system prompt, tool result.
struct Gathered {
    std::vector<Raw> &texts;
    std::vector<Image> *images; // nullptr: not allowed here
    std::vector<Document> *documents;
};

void add_document(const Part &part, const Path &path, Arena &arena, Gathered &out);
void add_file(const Part &part, const Path &path, Arena &arena, Gathered &out);

// False: the part is none of the common ones.
bool add_common(const Part &part, Meaning meaning, const Path &path, Arena &arena, Gathered &out) {
    switch (meaning) {
    case Meaning::text:
        add_text(part.shape == Type::string ? part.text.raw : required_string(part.text, path["text"]),
                 out.texts);
        return true;
    case Meaning::refusal:
        add_text(optional_string(part.refusal, path["refusal"]), out.texts);
        return true;
    case Meaning::image:
        if (out.images == nullptr)
            invalid(path["type"], "images are not allowed in this message", Rule::block_place);
        out.images->push_back(image_of(part, path, arena));
        return true;
    case Meaning::image_url: {
        if (out.images == nullptr)
            invalid(path["type"], "images are not allowed in this message", Rule::block_place);
        Path url = path["image_url"];
        if (part.image_url.type == Type::null)
            missing(url);
        out.images->push_back(image_from_url(required_string(part.image_url, url), url, arena));
        return true;
    }
    case Meaning::document:
        add_document(part, path, arena, out);
        return true;
    case Meaning::search_result: {
        std::vector<Raw> pieces;
        add_text(part.source_url.type == Type::string ? part.source_url.raw : Raw(), pieces);
        render(part.content, arena, pieces);
        add_headed(optional_string(part.title, path["title"]), std::move(pieces), arena, out.texts);
        arena.note(Rule::block_as_text, part.type.raw);
        return true;
    }
    case Meaning::tool_reference: {
        std::string text = "The tool ";
        text += required_string(part.tool_name, path["tool_name"]);
        text += " is now available.";
        out.texts.push_back(arena.keep(std::move(text)));
        arena.note(Rule::block_as_text, part.type.raw);
        return true;
    }
    case Meaning::rendered:
    case Meaning::server_call: {
        const size_t before = out.texts.size();
        if (meaning == Meaning::rendered)
            render(part.content, arena, out.texts);
        else
            add_server_call(part, arena, out.texts);
        arena.note(out.texts.size() > before ? Rule::block_as_text : Rule::block_left_out, part.type.raw);
        return true;
    }
    case Meaning::thinking:          // only an assistant's counts
    case Meaning::redacted_thinking: // so does this
    case Meaning::skipped:
        arena.note(Rule::block_left_out, part.type.raw);
        return true;
    case Meaning::audio:
        unsupported(path["type"], "audio and video are not supported");
    case Meaning::file:
        add_file(part, path, arena, out);
        return true;
    case Meaning::tool_use:
    case Meaning::tool_result:
        return false;
    }
    return false;
}

void add_pdf(Raw title, Raw media_type, Raw data, const Path &path, Arena &arena, Gathered &out) {
    if (out.documents == nullptr)
        invalid(path, "documents are not allowed in this message", Rule::block_place);
    if (!media_type.empty() && !json::equals(media_type, "application/pdf"))
        unsupported(path, "documents of type " + quoted(media_type) + " are not supported; send their text",
                    Rule::document_data);
    std::string_view base64 = clean_base64(data, path, arena, Rule::document_data);
    if (!base64.starts_with("JVBERi"))
        unsupported(path, "this is no PDF; send the document's text", Rule::document_data);
    if (base64.size() / 4 * 3 > max_attachment)
        invalid(path, "the document is larger than 10 MB", Rule::document_data);
    out.documents->push_back({title, base64, arena.keep(path.str())});
}

// A data: URL, or base64 alone.
void add_file(const Part &part, const Path &above, Arena &arena, Gathered &out) {
    Path inner = above["file"];
    const Path &path = part.in_file ? inner : above;
    if (!part.file_data.present())
        unsupported(above["type"], "files are not stored here; send a PDF as file_data, or the text",
                    Rule::stored_state);
    Path at = path["file_data"];
    Raw data = required_string(part.file_data, at), media_type;
    if (data.starts_with("data:")) {
        size_t comma = data.find(',');
        if (comma == Raw::npos || !data.substr(0, comma).ends_with(";base64"))
            invalid(at, "the data: URL is not base64", Rule::document_data);
        media_type = data.substr(5, data.find(';') - 5);
        if (media_type.find('\\') != Raw::npos) // application\/pdf
            media_type = arena.keep(json::unescaped(media_type));
        data.remove_prefix(comma + 1);
    }
    add_pdf(optional_string(part.file_name, path["filename"]), media_type, data, at, arena, out);
}

void add_document(const Part &part, const Path &path, Arena &arena, Gathered &out) {
    Path source = path["source"];
    Raw type = required_string(part.source_type, source["type"]);
    Raw title = optional_string(part.title, path["title"]);
    if (json::equals(type, "text")) {
        add_headed(title, {required_string(part.source_data, source["data"])}, arena, out.texts);
        arena.note(Rule::block_as_text, part.type.raw);
        return;
    }
    if (json::equals(type, "base64")) {
        Raw media_type = optional_string(part.source_media_type, source["media_type"]);
        add_pdf(title, media_type, required_string(part.source_data, source["data"]), source["data"], arena,
                out);
        return;
    }
    if (!json::equals(type, "content"))
        unsupported(source["type"], "remote documents are not fetched; send a PDF as base64, or the text",
                    Rule::document_data);
    std::vector<Raw> pieces;
    Gathered inner{pieces, out.images, out.documents};
    Path content = source["content"];
    if (part.content.text.type == Type::string)
        add_text(part.content.text.raw, pieces);
    for (size_t i = 0; i < part.content.parts.size(); i++) {
        Path at = content[i];
        const Part &item = part.content.parts[i];
        if (!add_common(item, meaning_of(item, at), at, arena, inner))
            invalid(at["type"], "tool blocks are not allowed in a document", Rule::block_place);
    }
    add_headed(title, std::move(pieces), arena, out.texts);
    arena.note(Rule::block_as_text, part.type.raw);
}

// What was not sealed by us or is not whole goes no further, but is no mistake of the client.
Reasoning reasoning_of(const Part &part, Meaning meaning, const Path &path) {
    if (meaning == Meaning::redacted_thinking)
        return {{}, optional_string(part.data, path["data"])};
    return {optional_string(part.thinking, path["thinking"]),
            optional_string(part.signature, path["signature"])};
}

ToolCall call_of(const Part &part, const Path &path) {
    ToolCall call{required_string(part.id, path["id"]), required_string(part.name, path["name"]), "{}"};
    if (call.name.empty())
        invalid(path["name"], "must not be empty");
    if (part.input.present()) {
        if (part.input.type != Type::object)
            wrong_type(path["input"], "an object", part.input.type);
        call.input = part.input.raw;
    }
    return call;
}

void check_shape(const Content &content, const Path &path) {
    Type type = content.text.type;
    if (type != Type::string && type != Type::array && type != Type::null)
        wrong_type(path, "a string or an array of content parts", type);
}

} // namespace

Content read_content(Value value, Arena &arena) {
    return read_nested(value, 0, arena);
}

void add_result_content(const Content &content, const Path &path, Arena &arena, ToolResult &result) {
    check_shape(content, path);
    if (content.text.type == Type::string)
        add_text(content.text.raw, result.texts);
    Gathered out{result.texts, &result.images, &result.documents};
    for (size_t i = 0; i < content.parts.size(); i++) {
        Path at = path[i];
        const Part &part = content.parts[i];
        if (!add_common(part, meaning_of(part, at), at, arena, out))
            invalid(at["type"], "tool blocks are not allowed in a tool result", Rule::block_place);
    }
}

void add_texts(const Content &content, const Path &path, Arena &arena, std::vector<Raw> &texts) {
    check_shape(content, path);
    if (content.text.type == Type::string)
        add_text(content.text.raw, texts);
    Gathered out{texts, nullptr, nullptr};
    for (size_t i = 0; i < content.parts.size(); i++) {
        Path at = path[i];
        const Part &part = content.parts[i];
        if (!add_common(part, meaning_of(part, at), at, arena, out))
            invalid(at["type"], "tool blocks are not allowed in system text", Rule::block_place);
    }
}

void add_content(const Content &content, Role role, const Path &path, Arena &arena,
                 std::vector<Block> &blocks) {
    check_shape(content, path);
    if (content.text.type == Type::string && !content.text.raw.empty())
        blocks.emplace_back(Text{content.text.raw});
    std::vector<Raw> texts;
    std::vector<Image> images;
    std::vector<Document> documents;
    Gathered out{texts, role == Role::user ? &images : nullptr, role == Role::user ? &documents : nullptr};
    for (size_t i = 0; i < content.parts.size(); i++) {
        Path at = path[i];
        const Part &part = content.parts[i];
        Meaning meaning = meaning_of(part, at);
        if (role == Role::assistant &&
            (meaning == Meaning::thinking || meaning == Meaning::redacted_thinking)) {
            blocks.emplace_back(reasoning_of(part, meaning, at));
        } else if (add_common(part, meaning, at, arena, out)) {
            for (Raw text : texts)
                blocks.emplace_back(Text{text});
            for (const Image &image : images)
                blocks.emplace_back(image);
            for (const Document &document : documents)
                blocks.emplace_back(document);
            texts.clear();
            images.clear();
            documents.clear();
        } else if (meaning == Meaning::tool_use) {
            if (role != Role::assistant)
                invalid(at["type"], "tool_use is allowed in assistant messages only", Rule::block_place);
            blocks.emplace_back(call_of(part, at));
        } else {
            if (role != Role::user)
                invalid(at["type"], "tool_result is allowed in user messages only", Rule::block_place);
            ToolResult result;
            result.id = required_string(part.tool_use_id, at["tool_use_id"]);
            result.failed = part.is_error.type == Type::boolean && part.is_error.raw == "true";
            add_result_content(part.content, at["content"], arena, result);
            blocks.emplace_back(std::move(result));
        }
    }
}

} // namespace kiro::chat
