#include "core/chat/ending.h"

#include "core/chat/content.h"
#include "core/chat/scalars.h"

namespace kiro::chat {

using json::Type;
using json::Value;

namespace {

constexpr size_t max_stop_bytes = 64 * 1024; // of all together: each costs memory while the answer lasts

struct Schema {
    Field name, schema;

    bool read(std::string_view key, Value &value) {
        if (key == "name")
            name = read_field(value);
        else if (key == "schema")
            schema = read_field(value);
        else
            return false;
        return true;
    }
};

} // namespace

std::vector<Raw> read_stop_texts(Value &value, const Path &path) {
    std::vector<Raw> texts;
    if (value.is_null())
        return texts;
    if (!value.is_array())
        wrong_type(path, "an array of strings", value.type());
    size_t bytes = 0;
    value.items([&](size_t i, Value item) {
        if (!item.is_string())
            wrong_type(path[i], "a string", item.type());
        Raw text = item.string();
        bytes += text.size();
        if (!text.empty())
            texts.push_back(text);
    });
    if (bytes > max_stop_bytes)
        invalid(path, "the texts together are longer than 64 KiB");
    return texts;
}

std::vector<Raw> read_stop_text_or_texts(Value &value, const Path &path) {
    if (!value.is_string() && !value.is_array() && !value.is_null())
        wrong_type(path, "a string or an array of strings", value.type());
    if (!value.is_string())
        return read_stop_texts(value, path);
    Raw text = value.string();
    if (text.size() > max_stop_bytes)
        invalid(path, "the text is longer than 64 KiB");
    return text.empty() ? std::vector<Raw>() : std::vector<Raw>{text};
}

uint64_t read_token_limit(Value &value, const Path &path) {
    check_scalar({"", ScalarKind::integer, 1, 1e9}, value, path);
    return value.is_null() ? 0 : static_cast<uint64_t>(value.number());
}

OutputFormat read_output_format(Value &value, const Path &path) {
    OutputFormat out;
    if (value.is_null())
        return out;
    if (!value.is_object())
        wrong_type(path, "an object", value.type());
    Field type;
    Schema flat, nested;
    Type nested_shape = Type::null;
    value.members([&](std::string_view key, Value member) {
        if (key == "type") {
            type = read_field(member);
        } else if (key == "json_schema") {
            nested_shape = member.type();
            if (member.is_object())
                member.members([&](std::string_view inner, Value part) { nested.read(inner, part); });
        } else {
            flat.read(key, member);
        }
    });
    const Path type_path = path["type"];
    const Raw kind = required_string(type, type_path);
    if (json::equals(kind, "text"))
        return out;
    out.at = value.slice();
    if (json::equals(kind, "json_object")) {
        out.kind = OutputKind::json_object;
        return out;
    }
    if (!json::equals(kind, "json_schema"))
        invalid(type_path, "unknown format " + quoted(kind) + "; expected text, json_object or json_schema");

    const Path nested_path = path["json_schema"];
    if (nested_shape != Type::null && nested_shape != Type::object)
        wrong_type(nested_path, "an object", nested_shape);
    const bool own = nested_shape == Type::object;
    const Path &at = own ? nested_path : path;
    const Schema &schema = own ? nested : flat;
    out.kind = OutputKind::json_schema;
    out.name = optional_string(schema.name, at["name"]);
    if (schema.schema.present()) {
        if (schema.schema.type != Type::object)
            wrong_type(at["schema"], "an object", schema.schema.type);
        out.schema = schema.schema.raw;
    }
    return out;
}

} // namespace kiro::chat
