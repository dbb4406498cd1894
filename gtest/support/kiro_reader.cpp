#include "support/kiro_reader.h"

#include <stdexcept>
#include <string>

#include "core/json/cursor.h"
#include "core/kiro/seal.h"

namespace kiro::test {

namespace {

using json::Cursor;
using json::Raw;

[[noreturn]] void unknown(Raw key) {
    throw std::runtime_error("unknown member " + std::string(key));
}

chat::ImageFormat format_of(Raw name) {
    if (name == "png")
        return chat::ImageFormat::png;
    if (name == "jpeg")
        return chat::ImageFormat::jpeg;
    if (name == "gif")
        return chat::ImageFormat::gif;
    if (name == "webp")
        return chat::ImageFormat::webp;
    unknown(name);
}

struct Attachment {
    Raw format, name, bytes;
};

Attachment attachment(Cursor &cursor) {
    Attachment out;
    cursor.members([&](Raw key, Cursor &value) {
        if (key == "format")
            out.format = value.string();
        else if (key == "name")
            out.name = value.string();
        else if (key == "source")
            value.members([&](Raw, Cursor &bytes) { out.bytes = bytes.string(); });
        else
            unknown(key);
    });
    return out;
}

class Reader {
public:
    Reader(chat::Conversation &c, std::string_view k) : conversation(c), key_of_seals(k) {}

    void body(std::string_view text) {
        Cursor(text).members([&](Raw key, Cursor &value) {
            if (key == "conversationState")
                state(value);
            else
                value.value();
        });
    }

private:
    chat::Conversation &conversation;
    std::string_view key_of_seals;

    void state(Cursor &cursor) {
        cursor.members([&](Raw key, Cursor &value) {
            if (key == "history")
                value.items([&](Cursor &item) { message(item); });
            else if (key == "currentMessage")
                message(value);
            else
                value.value();
        });
    }

    void message(Cursor &cursor) {
        cursor.members([&](Raw key, Cursor &value) {
            if (key == "userInputMessage")
                user(value);
            else if (key == "assistantResponseMessage")
                assistant(value);
            else
                unknown(key);
        });
    }

    static void add_text(chat::Message &message, Raw text) {
        if (!text.empty())
            message.blocks.push_back(chat::Text{text});
    }

    void user(Cursor &cursor) {
        chat::Message message{chat::Role::user, {}};
        cursor.members([&](Raw key, Cursor &value) {
            if (key == "content")
                add_text(message, value.string());
            else if (key == "modelId")
                conversation.model = value.string();
            else if (key == "images")
                value.items([&](Cursor &item) {
                    Attachment image = attachment(item);
                    message.blocks.push_back(chat::Image{format_of(image.format), image.bytes});
                });
            else if (key == "documents")
                value.items([&](Cursor &item) {
                    Attachment document = attachment(item);
                    message.blocks.push_back(chat::Document{document.name, document.bytes, "document"});
                });
            else if (key == "userInputMessageContext")
                context(message, value);
            else if (key == "origin")
                value.value();
            else
                unknown(key);
        });
        conversation.messages.push_back(std::move(message));
    }

    void context(chat::Message &message, Cursor &cursor) {
        cursor.members([&](Raw key, Cursor &value) {
            if (key == "toolResults")
                value.items([&](Cursor &item) { message.blocks.push_back(result(item)); });
            else if (key == "tools")
                value.items([&](Cursor &item) {
                    item.members([&](Raw, Cursor &specification) { tool(specification); });
                });
            else
                unknown(key);
        });
    }

    static chat::ToolResult result(Cursor &cursor) {
        chat::ToolResult out;
        cursor.members([&](Raw key, Cursor &value) {
            if (key == "toolUseId")
                out.id = value.string();
            else if (key == "status")
                out.failed = value.string() == "error";
            else if (key == "content")
                value.items([&](Cursor &item) {
                    item.members([&](Raw, Cursor &text) { out.texts.push_back(text.string()); });
                });
            else
                unknown(key);
        });
        return out;
    }

    void tool(Cursor &cursor) {
        chat::Tool out{};
        cursor.members([&](Raw key, Cursor &value) {
            if (key == "name")
                out.name = value.string();
            else if (key == "description")
                out.description = value.string();
            else if (key == "inputSchema")
                value.members([&](Raw, Cursor &schema) { out.schema = schema.value(); });
            else
                unknown(key);
        });
        conversation.tools.push_back(out);
    }

    void assistant(Cursor &cursor) {
        chat::Message message{chat::Role::assistant, {}};
        cursor.members([&](Raw key, Cursor &value) {
            if (key == "content")
                add_text(message, value.string());
            else if (key == "reasoningContent")
                message.blocks.push_back(reasoning(value));
            else if (key == "toolUses")
                value.items([&](Cursor &item) { message.blocks.push_back(call(item)); });
            else
                unknown(key);
        });
        conversation.messages.push_back(std::move(message));
    }

    static chat::ToolCall call(Cursor &cursor) {
        chat::ToolCall out{};
        cursor.members([&](Raw key, Cursor &value) {
            if (key == "toolUseId")
                out.id = value.string();
            else if (key == "name")
                out.name = value.string();
            else if (key == "input")
                out.input = value.value();
            else
                unknown(key);
        });
        return out;
    }

    chat::Reasoning reasoning(Cursor &cursor) {
        Raw text, signature;
        bool redacted = false;
        cursor.members([&](Raw key, Cursor &value) {
            redacted = key == "redactedContent";
            if (redacted)
                signature = value.string();
            else
                value.members(
                    [&](Raw part, Cursor &inner) { (part == "text" ? text : signature) = inner.string(); });
        });
        kiro::SealedText sealed;
        sealed.add(text);
        const auto kind = redacted ? kiro::SealKind::redacted : kiro::SealKind::text;
        return {text, conversation.arena.keep(kiro::seal(kind, key_of_seals, sealed, signature))};
    }
};

} // namespace

chat::Conversation read_kiro_body(std::string_view body, std::string_view key) {
    chat::Conversation conversation;
    Reader(conversation, key).body(body);
    return conversation;
}

} // namespace kiro::test
