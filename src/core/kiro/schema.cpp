#include "core/kiro/schema.h"

#include <unordered_set>
#include <vector>

#include "core/json/cursor.h"
#include "core/json/writer.h"

namespace kiro::kiro {

using json::Cursor;
using json::Raw;

namespace {

// How a keyword's value is copied; what is not in the table is dropped.
enum class Copy {
    type,     // a string or a list of strings
    text,     // a string
    verbatim, // anything but null
    constant, // const, as an enum of one
    names,    // a list with something in it
    schema,   // a schema
    list,     // a list of schemas
    map,      // names to schemas
};

struct Keyword {
    std::string_view name;
    Copy copy;
};

constexpr Keyword keywords[] = {
    {"type", Copy::type},        {"description", Copy::text}, {"properties", Copy::map},
    {"items", Copy::schema},     {"enum", Copy::verbatim},    {"required", Copy::names},
    {"default", Copy::verbatim}, {"anyOf", Copy::list},       {"oneOf", Copy::list},
    {"allOf", Copy::list},       {"const", Copy::constant},   {"$ref", Copy::text},
    {"$defs", Copy::map},        {"definitions", Copy::map},
};

const Keyword *find_keyword(Raw name) {
    for (const auto &known : keywords) {
        if (known.name == name)
            return &known;
    }
    return nullptr;
}

void append_key(std::string &out, Raw key) {
    if (out.back() != '{')
        out += ',';
    json::append_raw_string(out, key);
    out += ':';
}

void copy_schema(std::string &out, Cursor &in);

void copy_list(std::string &out, Cursor &in) {
    out += '[';
    in.items([&](Cursor &item) {
        if (out.back() != '[')
            out += ',';
        copy_schema(out, item);
    });
    out += ']';
}

void copy_map(std::string &out, Cursor &in) {
    out += '{';
    in.members([&](Raw name, Cursor &value) {
        if (value.is_null()) {
            value.value();
            return;
        }
        append_key(out, name);
        copy_schema(out, value);
    });
    out += '}';
}

bool has_items(std::string_view list) {
    bool any = false;
    Cursor(list).items([&](Cursor &item) {
        item.value();
        any = true;
    });
    return any;
}

// Copies one keyword; a value of the wrong shape is dropped.
void copy_keyword(std::string &out, const Keyword &keyword, Cursor &in) {
    bool taken = false;
    switch (keyword.copy) {
    case Copy::type:
        taken = in.is_string() || in.is_array();
        break;
    case Copy::text:
        taken = in.is_string();
        break;
    case Copy::verbatim:
    case Copy::constant:
        taken = !in.is_null();
        break;
    case Copy::schema:
        taken = in.is_object() || in.is_array();
        break;
    case Copy::names:
    case Copy::list:
        taken = in.is_array();
        break;
    case Copy::map:
        taken = in.is_object();
        break;
    }
    if (!taken) {
        in.value();
        return;
    }
    switch (keyword.copy) {
    case Copy::type:
    case Copy::text:
    case Copy::verbatim:
        append_key(out, keyword.name);
        out += in.value();
        break;
    case Copy::constant:
        append_key(out, "enum");
        out += '[';
        out += in.value();
        out += ']';
        break;
    case Copy::names: {
        std::string_view list = in.value();
        if (has_items(list)) {
            append_key(out, keyword.name);
            out += list;
        }
        break;
    }
    case Copy::schema:
        append_key(out, keyword.name);
        if (in.is_array())
            copy_list(out, in);
        else
            copy_schema(out, in);
        break;
    case Copy::list:
        append_key(out, keyword.name);
        copy_list(out, in);
        break;
    case Copy::map:
        append_key(out, keyword.name);
        copy_map(out, in);
        break;
    }
}

// true and false are schemas too: anything, and nothing, which cannot be said here.
void copy_schema(std::string &out, Cursor &in) {
    if (!in.is_object()) {
        in.value();
        out += "{}";
        return;
    }
    out += '{';
    in.members([&](Raw name, Cursor &value) {
        if (const Keyword *keyword = find_keyword(name))
            copy_keyword(out, *keyword, value);
        else
            value.value();
    });
    out += '}';
}

// The value of a member, empty if there is none.
std::string_view member_of(std::string_view object, std::string_view key) {
    std::string_view found;
    Cursor(object).members([&](Raw name, Cursor &value) {
        std::string_view slice = value.value();
        if (name == key)
            found = slice;
    });
    return found;
}

// "#/$defs/Name" within root
std::string_view resolve(std::string_view root, std::string_view reference) {
    for (std::string_view place : {"$defs", "definitions"}) {
        std::string prefix = "\"#/" + std::string(place) + "/";
        if (reference.starts_with(prefix) && reference.ends_with('"')) {
            std::string_view name = reference.substr(prefix.size());
            return member_of(member_of(root, place), name.substr(0, name.size() - 1));
        }
    }
    return {};
}

// The root's object schema, put together from its own members, its $ref and its unions.
class Root {
public:
    explicit Root(std::string_view schema) : root(schema) { take(schema, true, 0); }

    void write(std::string &out) const {
        out += R"({"type":"object")";
        if (!description.empty()) {
            append_key(out, "description");
            out += description;
        }
        append_key(out, "properties");
        out += '{';
        for (const auto &[name, schema] : properties) {
            append_key(out, name);
            Cursor cursor(schema);
            copy_schema(out, cursor);
        }
        out += '}';
        if (!required.empty()) {
            append_key(out, "required");
            out += '[';
            for (Raw name : required) {
                if (out.back() != '[')
                    out += ',';
                json::append_raw_string(out, name);
            }
            out += ']';
        }
        bool referenced = root.find("\"$ref\"") != std::string_view::npos;
        for (std::string_view place : {"$defs", "definitions"}) {
            std::string_view definitions = referenced ? member_of(root, place) : std::string_view();
            if (definitions.starts_with('{')) {
                append_key(out, place);
                Cursor cursor(definitions);
                copy_map(out, cursor);
            }
        }
        out += '}';
    }

private:
    struct Property {
        Raw name;
        std::string_view schema;
    };

    std::string_view root;
    std::string_view description; // with its quotes
    std::vector<Property> properties;
    std::vector<Raw> required;
    std::unordered_set<std::string_view> property_names, required_names;

    static constexpr int max_level = 8; // of unions inside each other
    int budget = 128;                   // schemas looked at; $refs can multiply

    // binding: every instance must match this schema, not only one of its siblings.
    void take(std::string_view schema, bool binding, int level) {
        if (!schema.starts_with('{') || level > max_level || budget-- <= 0)
            return;
        Cursor(schema).members([&](Raw key, Cursor &value) {
            if (key == "properties" && value.is_object()) {
                value.members([&](Raw name, Cursor &property) {
                    bool useful = !property.is_null();
                    std::string_view slice = property.value();
                    if (useful && property_names.insert(name).second)
                        properties.push_back({name, slice});
                });
            } else if (key == "required" && value.is_array() && binding) {
                value.items([&](Cursor &item) {
                    if (!item.is_string()) {
                        item.value();
                        return;
                    }
                    Raw name = item.string();
                    if (required_names.insert(name).second)
                        required.push_back(name);
                });
            } else if (key == "description" && value.is_string() && description.empty()) {
                description = value.value();
            } else if (key == "$ref" && value.is_string()) {
                take(resolve(root, value.value()), binding, level + 1);
            } else if ((key == "allOf" || key == "anyOf" || key == "oneOf") && value.is_array()) {
                bool all = binding && key == "allOf";
                value.items([&](Cursor &item) { take(item.value(), all, level + 1); });
            } else {
                value.value();
            }
        });
    }
};

} // namespace

void append_schema(std::string &out, std::string_view schema) {
    if (schema.empty())
        out += R"({"type":"object","properties":{}})";
    else
        Root(schema).write(out);
}

} // namespace kiro::kiro
