#include "core/openai_responses/items.h"

#include <algorithm>

#include "core/chat/arguments.h"
#include "core/chat/content.h"
#include "core/chat/image.h"
#include "core/chat/scalars.h"
#include "core/json/writer.h"

namespace kiro::openai_responses {

using chat::Field;
using chat::Path;
using chat::Raw;
using json::Type;
using json::Value;

namespace {

// The members of all kinds of items; which of them count is known with the type.
struct Item {
    Raw at; // where it stands in the body
    Field type, role, id, call_id, name, name_space, status;
    Field arguments, input; // of calls
    Field action;           // what a built-in tool was told, whatever its name
    Field encrypted;
    chat::Content content, summary;
    Field output;               // of a result: a string or something else
    chat::Content output_parts; // if it is a list of parts
    Field output_image;         // if it is a screenshot
    Tools tools;
};

struct Key {
    std::string_view key;
    Field Item::*field;
};

constexpr Key keys[] = {
    {"type", &Item::type},     {"role", &Item::role},
    {"id", &Item::id},         {"call_id", &Item::call_id},
    {"name", &Item::name},     {"namespace", &Item::name_space},
    {"status", &Item::status}, {"arguments", &Item::arguments},
    {"input", &Item::input},   {"encrypted_content", &Item::encrypted},
    {"action", &Item::action}, {"operation", &Item::action},
};

// Parts are told from a built-in tool's own records by their type.
bool is_part(const chat::Part &part) {
    constexpr std::string_view types[] = {"input_text", "input_image", "input_file", "output_text",
                                          "text",       "image_url",   "image",      "refusal"};
    return part.type.type == Type::string &&
           std::find(std::begin(types), std::end(types), part.type.raw) != std::end(types);
}

void read_output(Value &value, Item &item) {
    item.output = {};
    item.output_parts = {};
    item.output_image = {};
    if (value.is_null())
        return;
    item.output.type = value.type();
    if (value.is_string()) {
        item.output.raw = value.string();
        return;
    }
    item.output.raw = value.slice();
    const json::Document again(item.output.raw);
    if (item.output.type == Type::array) {
        chat::Arena unasked; // whether these are parts is not known yet
        item.output_parts = chat::read_content(again.root(), unasked);
    } else if (item.output.type == Type::object) {
        again.root().members([&](std::string_view key, Value member) {
            if (key == "image_url")
                item.output_image = chat::read_field(member);
        });
    }
}

Item read_item(Value &value, const Path &path, chat::Arena &arena) {
    Item item;
    item.at = value.slice();
    value.members([&](std::string_view key, Value member) {
        for (const auto &known : keys) {
            if (known.key == key) {
                item.*known.field = chat::read_field(member);
                return;
            }
        }
        if (key == "content")
            item.content = chat::read_content(member, arena);
        else if (key == "summary")
            item.summary = chat::read_content(member, arena);
        else if (key == "output")
            read_output(member, item);
        else if (key == "tools") {
            item.tools = {};
            if (member.is_array())
                read_tools(member, path["tools"], arena, item.tools);
        } else {
            chat::note_unused_member(key, member, arena);
        }
    });
    return item;
}

enum class Kind {
    message,
    call,     // function_call
    freeform, // custom_tool_call
    built_in, // a call of a tool that the client knows without a schema
    result,
    reasoning,
    reference,
    more_tools,
    skipped, // has nothing that this model could use
};

struct TypeRow {
    std::string_view type;
    Kind kind;
    std::string_view tool = {}; // of a built-in call
};

constexpr TypeRow types[] = {
    {"message", Kind::message},
    {"function_call", Kind::call},
    {"function_call_output", Kind::result},
    {"custom_tool_call", Kind::freeform},
    {"custom_tool_call_output", Kind::result},
    {"reasoning", Kind::reasoning},
    {"item_reference", Kind::reference},
    {"additional_tools", Kind::more_tools},
    {"local_shell_call", Kind::built_in, "local_shell"},
    {"local_shell_call_output", Kind::result},
    {"shell_call", Kind::built_in, "shell"},
    {"shell_call_output", Kind::result},
    {"apply_patch_call", Kind::built_in, "apply_patch"},
    {"apply_patch_call_output", Kind::result},
    {"computer_call", Kind::built_in, "computer"},
    {"computer_call_output", Kind::result},
    {"tool_search_call", Kind::skipped},
    {"tool_search_output", Kind::skipped},
    {"tool_search_call_output", Kind::skipped},
    {"web_search_call", Kind::skipped}, // the answer behind it tells what was found
    {"file_search_call", Kind::skipped},
    {"code_interpreter_call", Kind::skipped},
    {"image_generation_call", Kind::skipped},
    {"mcp_list_tools", Kind::skipped},
    {"mcp_call", Kind::skipped},
    {"mcp_approval_request", Kind::skipped},
    {"mcp_approval_response", Kind::skipped},
    {"compaction", Kind::skipped},
    {"compaction_trigger", Kind::skipped},
    {"compaction_summary", Kind::skipped},
    {"context_compaction", Kind::skipped},
    {"ghost_snapshot", Kind::skipped},
    {"configuration_update", Kind::skipped},
    {"program", Kind::skipped},
    {"program_output", Kind::skipped},
};

// The easy form of a message has no type; a reference may have none.
const TypeRow &row_of(const Item &item, const Path &path) {
    constexpr TypeRow message = types[0], reference = {"item_reference", Kind::reference};
    static_assert(message.kind == Kind::message);
    Path type_path = path["type"];
    if (!item.type.present()) {
        if (!item.role.present() && !item.content.present() && item.id.present()) {
            static constexpr TypeRow row = reference;
            return row;
        }
        return types[0];
    }
    Raw type = chat::required_string(item.type, type_path);
    for (const auto &row : types) {
        if (json::equals(type, row.type))
            return row;
    }
    chat::invalid(type_path, "unknown item type " + chat::quoted(type), chat::Rule::known_content_type);
}

struct RoleRow {
    std::string_view word;
    chat::Role role;
};

constexpr RoleRow roles[] = {
    {"user", chat::Role::user},
    {"assistant", chat::Role::assistant},
    {"system", chat::Role::system},
    {"developer", chat::Role::system},
};

chat::Role role_of(const Field &field, const Path &path) {
    Raw word = chat::required_string(field, path);
    for (const auto &row : roles) {
        if (json::equals(word, row.word))
            return row.role;
    }
    chat::invalid(path,
                  "unknown role " + chat::quoted(word) + "; expected user, assistant, system or developer",
                  chat::Rule::known_role);
}

[[noreturn]] void unknown_reference(Raw id) {
    throw chat::Invalid{KIRO_FAIL_ITEM_NOT_FOUND, "input",
                        "Item with id " + chat::quoted(id) +
                            " not found. Nothing is stored here: send the item itself (store: false).",
                        chat::Rule::stored_state};
}

class Reader {
public:
    Reader(chat::Arena &a, Input &o) : arena(a), out(o) {}

    void add(Item &item, const Path &path) {
        const TypeRow &row = row_of(item, path);
        const size_t before = out.messages.size();
        switch (row.kind) {
        case Kind::message:
            add_message(item, path);
            break;
        case Kind::call:
        case Kind::freeform:
            add_call(item, path, row.kind == Kind::freeform);
            break;
        case Kind::built_in:
            add_built_in(item, path, row.tool);
            break;
        case Kind::result:
            add_result(item, path);
            break;
        case Kind::reasoning:
            add_reasoning(item);
            break;
        case Kind::reference:
            refer(item, path);
            break;
        case Kind::more_tools:
            add_tools(item);
            break;
        case Kind::skipped:
            arena.note(chat::Rule::server_item_left_out, item.type.raw);
            break;
        }
        if (out.messages.size() > before)
            out.messages.back().at = item.at;
    }

private:
    chat::Arena &arena;
    Input &out;

    void add_message(const Item &item, const Path &path) {
        chat::Message message{role_of(item.role, path["role"]), {}};
        if (!item.content.present())
            chat::missing(path["content"]);
        chat::add_content(item.content, message.role, path["content"], arena, message.blocks);
        out.messages.push_back(std::move(message));
    }

    void add_block(chat::Role role, chat::Block block) {
        out.messages.push_back({role, {}});
        out.messages.back().blocks.push_back(std::move(block));
    }

    void add_call(const Item &item, const Path &path, bool freeform) {
        Path name_path = path["name"];
        Raw name = chat::required_string(item.name, name_path);
        if (name.empty())
            chat::invalid(name_path, "must not be empty");
        chat::ToolCall call;
        call.id = chat::required_string(item.call_id, path["call_id"]);
        call.name = qualified_name(chat::optional_string(item.name_space, path["namespace"]), name, arena);
        if (freeform)
            call.input = chat::input_of_text(chat::optional_string(item.input, path["input"]), arena);
        else
            call.input = chat::input_of_arguments(item.arguments, path["arguments"], arena);
        add_block(chat::Role::assistant, call);
    }

    // A few of these have no call_id.
    Raw call_id_of(const Item &item, const Path &path) {
        if (item.call_id.present())
            return chat::required_string(item.call_id, path["call_id"]);
        if (item.id.present())
            return chat::required_string(item.id, path["id"]);
        chat::missing(path["call_id"]);
    }

    void add_built_in(const Item &item, const Path &path, Raw tool) {
        chat::ToolCall call{call_id_of(item, path), tool, "{}"};
        if (item.action.type == Type::object)
            call.input = item.action.raw;
        add_block(chat::Role::assistant, call);
    }

    void add_result(const Item &item, const Path &path) {
        chat::ToolResult result;
        result.id = call_id_of(item, path);
        result.failed = item.status.type == Type::string && item.status.raw == "failed";
        Path output = path["output"];
        if (!item.output.present())
            chat::missing(output);
        if (item.output.type == Type::string) {
            if (!item.output.raw.empty())
                result.texts.push_back(item.output.raw);
        } else if (item.output_image.present()) {
            Path url = output["image_url"];
            result.images.push_back(
                chat::image_from_url(chat::required_string(item.output_image, url), url, arena));
        } else if (is_list_of_parts(item.output_parts)) {
            chat::add_result_content(item.output_parts, output, arena, result);
        } else { // a built-in tool's record
            std::string record;
            json::append_minified(record, item.output.raw);
            result.texts.push_back(arena.keep(json::escaped(record)));
            arena.note(chat::Rule::block_as_text, item.type.raw);
        }
        add_block(chat::Role::user, std::move(result));
    }

    static bool is_list_of_parts(const chat::Content &content) {
        return content.present() &&
               (content.parts.empty() || std::any_of(content.parts.begin(), content.parts.end(), is_part));
    }

    void add_reasoning(const Item &item) {
        chat::Reasoning reasoning;
        reasoning.text = joined(item.summary);
        if (reasoning.text.empty())
            reasoning.text = joined(item.content);
        if (item.encrypted.type == Type::string)
            reasoning.seal = item.encrypted.raw;
        if (!reasoning.text.empty() || !reasoning.seal.empty())
            add_block(chat::Role::assistant, reasoning);
    }

    // Whatever others put there, it is no error.
    Raw joined(const chat::Content &content) {
        std::vector<Raw> texts;
        if (content.text.type == Type::string)
            texts.push_back(content.text.raw);
        for (const chat::Part &part : content.parts) {
            if (part.text.type == Type::string && !part.text.raw.empty())
                texts.push_back(part.text.raw);
        }
        if (texts.size() < 2)
            return texts.empty() ? Raw() : texts.front();
        std::string text;
        for (Raw piece : texts) {
            text += text.empty() ? "" : "\\n\\n";
            text += piece;
        }
        return arena.keep(std::move(text));
    }

    // Nothing is stored. Reasoning is no loss, anything else would be lost without a word.
    void refer(const Item &item, const Path &path) {
        Raw id = chat::required_string(item.id, path["id"]);
        if (!id.starts_with("rs_"))
            unknown_reference(id);
        arena.note(chat::Rule::server_item_left_out, item.id.raw);
    }

    void add_tools(Item &item) {
        auto &tools = out.added.tools;
        tools.insert(tools.end(), item.tools.tools.begin(), item.tools.tools.end());
        if (item.tools.web_search) {
            out.added.web_search = true;
            out.added.web_search_at = item.tools.web_search_at;
        }
    }
};

} // namespace

void read_input(Value value, const Path &path, chat::Arena &arena, Input &input) {
    input = {};
    if (value.is_string()) {
        chat::Message message{chat::Role::user, {}};
        if (Raw text = value.string(); !text.empty())
            message.blocks.emplace_back(chat::Text{text});
        input.messages.push_back(std::move(message));
        return;
    }
    if (!value.is_array())
        chat::wrong_type(path, "a string or an array of items", value.type());
    Reader reader(arena, input);
    value.items([&](size_t i, Value element) {
        Path at = path[i];
        if (!element.is_object())
            chat::wrong_type(at, "an object", element.type());
        Item item = read_item(element, at, arena);
        reader.add(item, at);
    });
    if (input.messages.empty())
        chat::invalid(path, "must have at least one message");
}

} // namespace kiro::openai_responses
