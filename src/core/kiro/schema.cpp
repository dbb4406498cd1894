#include "core/kiro/schema.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/json/cursor.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

namespace kiro::kiro {

using json::Cursor;
using json::Raw;

namespace {

// A schema that refers to itself has no end; one that nests or multiplies beyond this is not looked into.
constexpr size_t max_level = 16;
constexpr size_t max_nodes = 4000;
constexpr size_t max_growth = 16;        // times its size, and
constexpr size_t min_growth = 256 << 10; // bytes at least

// What is told about a schema in its description.
constexpr size_t max_value = 300; // of one keyword

// Refused upstream, but worth telling the model. Other unknown keywords mean nothing to it.
constexpr std::string_view told[] = {
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "contains",
    "minContains",
    "maxContains",
    "not",
    "if",
    "then",
    "else",
    "contentEncoding",
    "contentMediaType",
    "examples",
    "deprecated",
};

constexpr std::string_view types[] = {"string", "number", "integer", "boolean", "object", "array"};

template <size_t N> bool one_of(const std::string_view (&words)[N], std::string_view word) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool is_string(std::string_view value) {
    return value.starts_with('"');
}
bool is_list(std::string_view value) {
    return value.starts_with('[');
}
bool is_object(std::string_view value) {
    return value.starts_with('{');
}

Raw contents(std::string_view string) {
    return string.substr(1, string.size() - 2);
}

void append_key(std::string &out, Raw key) {
    if (out.back() != '{')
        out += ',';
    json::append_raw_string(out, key);
    out += ':';
}

void append_item(std::string &out, std::string_view item) {
    if (out.back() != '[')
        out += ',';
    out += item;
}

// The value of a member, empty if there is none; of several the last.
std::string_view member_of(std::string_view object, std::string_view key) {
    std::string_view found;
    Cursor(object).members([&](Raw name, Cursor &value) {
        std::string_view slice = value.value();
        if (name == key || (json::has_escapes(name) && json::equals(name, key)))
            found = slice;
    });
    return found;
}

int hex_digit(char c) {
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

// One step of a JSON pointer in a URI fragment: %25, ~1 and ~0 undone.
std::string pointer_step(std::string_view step) {
    std::string out;
    for (size_t i = 0; i < step.size(); i++) {
        char c = step[i];
        if (c == '%' && i + 2 < step.size() && hex_digit(step[i + 1]) >= 0 && hex_digit(step[i + 2]) >= 0) {
            c = static_cast<char>(hex_digit(step[i + 1]) * 16 + hex_digit(step[i + 2]));
            i += 2;
        }
        if (c == '~' && i + 1 < step.size() && (step[i + 1] == '0' || step[i + 1] == '1'))
            c = step[++i] == '0' ? '~' : '/';
        out += c;
    }
    return out;
}

// Finds what references mean within root. Each object and list on the way is read once, however many
// references lead through it.
class References {
public:
    explicit References(std::string_view r) : root(r) {}

    // What "#/$defs/Name" means; empty: nothing.
    std::string_view resolve(Raw reference) {
        std::string pointer = json::unescaped(reference);
        if (!pointer.starts_with('#'))
            return {};
        std::string_view found = root, rest = std::string_view(pointer).substr(1);
        while (!rest.empty()) {
            if (rest[0] != '/')
                return {};
            rest.remove_prefix(1);
            const Steps &steps = steps_of(found);
            auto next = steps.find(pointer_step(rest.substr(0, rest.find('/'))));
            if (next == steps.end())
                return {};
            rest.remove_prefix(std::min(rest.size(), rest.find('/')));
            found = next->second;
        }
        return found;
    }

private:
    using Steps = std::unordered_map<std::string, std::string_view>;

    const Steps &steps_of(std::string_view value) {
        auto [entry, added] = known.try_emplace(value.data());
        Steps &steps = entry->second;
        if (added && is_object(value))
            Cursor(value).members(
                [&](Raw name, Cursor &member) { steps[json::unescaped(name)] = member.value(); });
        else if (added && is_list(value))
            Cursor(value).items([&](Cursor &item) {
                std::string index = std::to_string(steps.size());
                steps[std::move(index)] = item.value();
            });
        return steps;
    }

    std::string_view root;
    std::unordered_map<const char *, Steps> known;
};

// An integer that needs more than 32 bits stands somewhere in value.
bool has_big_integer(std::string_view value) {
    bool big = false;
    auto look = [&big](Cursor &inner) { big |= has_big_integer(inner.value()); };
    if (is_object(value)) {
        Cursor(value).members([&](Raw, Cursor &member) { look(member); });
    } else if (is_list(value)) {
        Cursor(value).items(look);
    } else if (!is_string(value) && value.find_first_of(".eE") == std::string_view::npos) {
        std::string_view digits = value.substr(value.starts_with('-'));
        constexpr std::string_view limit = "2147483647";
        big = !digits.empty() && digits[0] >= '0' && digits[0] <= '9' &&
              (digits.size() > limit.size() || (digits.size() == limit.size() && digits > limit));
    }
    return big;
}

bool is_plain_value(std::string_view value) {
    return json::nesting(value) <= 8 && !has_big_integer(value); // deeper ones break the limit of the body
}

std::string without_space(std::string_view json) {
    std::string out;
    bool in_string = false;
    for (size_t i = 0; i < json.size(); i++) {
        char c = json[i];
        if (in_string && c == '\\' && i + 1 < json.size()) {
            out += c;
            out += json[++i];
            continue;
        }
        if (c == '"')
            in_string = !in_string;
        if (in_string || (c != ' ' && c != '\n' && c != '\r' && c != '\t'))
            out += c;
    }
    return out;
}

// Some JSON as part of a JSON string.
std::string as_text(std::string_view value) {
    std::string text;
    if (is_string(value))
        return std::string(contents(value));
    json::append_escaped(text, without_space(value));
    return text;
}

// Tells names that were seen before. Usually they are few.
class Names {
public:
    // False: it is known.
    bool add(Raw name) {
        if (index.empty()) {
            if (std::find(list.begin(), list.end(), name) != list.end())
                return false;
            list.push_back(name);
            if (list.size() > few)
                index.insert(list.begin(), list.end());
            return true;
        }
        return index.insert(name).second;
    }

private:
    static constexpr size_t few = 32;

    std::vector<Raw> list;
    std::unordered_set<Raw> index; // once they are more
};

struct Property {
    Raw name;
    std::string_view schema;
};

// A schema with its $ref and allOf folded in.
struct Node {
    std::vector<std::string_view> types; // without "null"
    bool nullable = false;
    std::string description; // raw
    std::string notes;       // raw
    std::vector<Property> properties;
    std::vector<Raw> required;
    Names property_names, required_names;
    bool has_properties = false;
    std::string_view items;               // a schema
    std::vector<std::string_view> tuple;  // schemas
    std::string_view values;              // enum, a list; const is one of one
    std::string_view usual;               // default
    std::vector<std::string_view> unions; // lists of schemas

    void note(std::string_view label, std::string_view text) {
        if (!notes.empty())
            notes += "; ";
        notes += label;
        notes += text;
    }

    void tell(std::string_view keyword, std::string_view value) {
        if (value == "false" || value == "null" || value == "9007199254740991" ||
            value == "-9007199254740991" || value.size() > max_value)
            return;
        note(std::string(keyword) + ": ", as_text(value));
    }

    void add(const Property &property) {
        if (property_names.add(property.name))
            properties.push_back(property);
    }

    void require(Raw name) {
        if (required_names.add(name))
            required.push_back(name);
    }

    void describe(Raw text) {
        if (json::is_blank(text) || description == text)
            return;
        if (!description.empty())
            description += ' ';
        description += text;
    }
};

class Cleaner {
public:
    Cleaner(std::string_view r, std::string &o, size_t &n) : root(r), references(r), out(o), nodes_left(n) {}

    void clean() {
        Node node;
        gather(root, node, true);
        flatten_unions(node);
        node.types = {"object"};
        node.nullable = false;
        node.values = node.items = node.usual = {};
        node.tuple.clear();
        node.has_properties = true;
        write(node, 0);
    }

private:
    std::string_view root;
    References references;
    std::string &out;
    size_t &nodes_left;             // of all schemas
    size_t nodes = 0, bytes = 0;    // looked at
    std::vector<const char *> open; // the targets of $refs that are being written
    std::deque<std::string> made;   // schemas that stand nowhere in root

    bool exhausted() const {
        return nodes_left == 0 || nodes > max_nodes || bytes > min_growth + max_growth * root.size();
    }

    // binding: every instance must match this schema, not only one of its siblings.
    void gather(std::string_view schema, Node &node, bool binding) {
        if (!is_object(schema) || exhausted())
            return;
        nodes++;
        nodes_left--;
        bytes += schema.size();
        Cursor(schema).members([&](Raw key, Cursor &cursor) { keyword(key, cursor.value(), node, binding); });
    }

    void keyword(Raw key, std::string_view value, Node &node, bool binding) {
        if (key == "type") {
            take_types(value, node);
        } else if (key == "description") {
            if (is_string(value))
                node.describe(contents(value));
        } else if (key == "properties") {
            take_properties(value, node);
        } else if (key == "required") {
            if (is_list(value) && binding)
                take_required(value, node);
        } else if (key == "items") {
            take_items(value, node);
        } else if (key == "prefixItems") {
            take_tuple(value, node);
        } else if (key == "enum") {
            if (is_list(value))
                node.values = value;
        } else if (key == "const") {
            node.values = made.emplace_back("[" + std::string(value) + "]");
        } else if (key == "default") {
            node.usual = value;
        } else if (key == "allOf") {
            if (is_list(value))
                Cursor(value).items([&](Cursor &item) { gather(item.value(), node, binding); });
        } else if (key == "anyOf" || key == "oneOf") {
            if (is_list(value))
                node.unions.push_back(value);
        } else if (key == "$ref" || key == "$dynamicRef") {
            if (is_string(value))
                follow(contents(value), node, binding);
        } else if (key == "nullable") {
            node.nullable |= value == "true";
        } else if (key == "additionalProperties" || key == "unevaluatedProperties") {
            if (value == "false")
                node.note("no other properties", "");
            else if (is_object(value) && without_space(value) != "{}")
                node.tell("other properties", value);
        } else if (one_of(told, key)) {
            node.tell(key, value);
        }
    }

    static void take_types(std::string_view value, Node &node) {
        std::vector<std::string_view> found;
        auto take = [&](std::string_view type) {
            if (!is_string(type))
                return;
            std::string_view word = contents(type);
            if (word == "null")
                node.nullable = true;
            else if (one_of(types, word) && std::find(found.begin(), found.end(), word) == found.end())
                found.push_back(word);
        };
        if (is_list(value))
            Cursor(value).items([&](Cursor &item) { take(item.value()); });
        else
            take(value);
        if (!found.empty())
            node.types = std::move(found);
    }

    static void take_properties(std::string_view value, Node &node) {
        if (!is_object(value))
            return;
        node.has_properties = true;
        Cursor(value).members([&](Raw name, Cursor &cursor) {
            std::string_view schema = cursor.value();
            if (!is_object(schema) && schema != "true")
                return;
            node.add({name, schema});
        });
    }

    static void take_required(std::string_view list, Node &node) {
        Cursor(list).items([&](Cursor &item) {
            std::string_view value = item.value();
            if (is_string(value))
                node.require(contents(value));
        });
    }

    static void take_items(std::string_view value, Node &node) {
        if (is_list(value))
            take_tuple(value, node);
        else if (is_object(value))
            node.items = value;
    }

    static void take_tuple(std::string_view list, Node &node) {
        if (is_list(list))
            Cursor(list).items([&](Cursor &item) { node.tuple.push_back(item.value()); });
    }

    // The schema that a reference means, in place of the reference. One that contains itself ends there.
    void follow(Raw reference, Node &node, bool binding) {
        std::string_view target = references.resolve(reference);
        if (!is_object(target)) {
            node.note("see ", reference);
            return;
        }
        bool inside =
            target.data() == root.data() || std::find(open.begin(), open.end(), target.data()) != open.end();
        if (inside || open.size() >= max_level) {
            Raw name = reference.substr(std::min(reference.size(), reference.rfind('/') + 1));
            node.note("same form as ", name == "#" ? Raw("the whole") : name);
            take_types(member_of(target, "type"), node);
            return;
        }
        open.push_back(target.data()); // stays until the node that refers to it is written
        gather(target, node, binding);
    }

    // At the root unions are refused: one object takes what any of them takes.
    void flatten_unions(Node &node) {
        for (size_t i = 0; i < node.unions.size() && !exhausted(); i++) { // grows by inner ones
            std::string groups;
            size_t count = 0;
            Cursor(node.unions[i]).items([&](Cursor &item) {
                size_t before = open.size();
                Node inner;
                gather(item.value(), inner, true);
                open.resize(before);
                add_variant(inner, node);
                count += !inner.required.empty();
                for (size_t name = 0; name < inner.required.size(); name++) {
                    groups += name > 0 ? ", " : groups.empty() ? "" : " | ";
                    groups += inner.required[name];
                }
            });
            if (count > 1 && groups.size() <= max_value)
                node.note("required, one of: ", groups);
        }
        node.unions.clear();
    }

    static void add_variant(const Node &inner, Node &node) {
        for (const Property &property : inner.properties)
            node.add(property);
        if (node.description.empty())
            node.description = inner.description;
        node.unions.insert(node.unions.end(), inner.unions.begin(), inner.unions.end());
    }

    void schema(std::string_view value, size_t level) {
        if (!is_object(value) || level > max_level || exhausted()) {
            out += "{}";
            return;
        }
        size_t before = open.size();
        Node node;
        gather(value, node, true);
        fold_unions(node, level);
        write(node, level);
        open.resize(before);
    }

    std::string cleaned(std::string_view value, size_t level) {
        std::string text;
        std::swap(text, out);
        schema(value, level);
        std::swap(text, out);
        return text;
    }

    // Variants that say no more than "or null", a value or the same become part of the node; of the other
    // unions one stays, as anyOf.
    void fold_unions(Node &node, size_t level) {
        std::string_view kept;
        while (!node.unions.empty()) {
            std::vector<std::string_view> unions;
            std::swap(unions, node.unions);
            for (std::string_view list : unions) {
                std::string any = fold_union(list, node, level);
                if (any.empty())
                    continue;
                if (kept.empty())
                    kept = made.emplace_back(std::move(any));
                else
                    node.tell("and one of", any);
            }
        }
        if (!kept.empty())
            node.unions.push_back(kept);
    }

    // Returns what is left of a union, if anything.
    std::string fold_union(std::string_view list, Node &node, size_t level) {
        std::vector<std::string_view> variants;
        Cursor(list).items([&](Cursor &item) {
            std::string_view variant = item.value();
            if (is_null_schema(variant))
                node.nullable = true;
            else
                variants.push_back(variant);
        });
        if (variants.size() == 1) {
            gather(variants[0], node, true);
            return {};
        }
        std::vector<std::string> texts;
        for (std::string_view variant : variants) {
            std::string text = cleaned(variant, level + 1);
            if (std::find(texts.begin(), texts.end(), text) == texts.end())
                texts.push_back(std::move(text));
        }
        if (texts.empty() || fold_values(texts, node))
            return {};
        if (texts.size() == 1) {
            gather(made.emplace_back(std::move(texts[0])), node, true);
            return {};
        }
        std::string any = "[";
        for (const std::string &text : texts)
            append_item(any, text);
        any += ']';
        return any;
    }

    static bool is_null_schema(std::string_view variant) {
        return is_object(variant) &&
               (member_of(variant, "type") == "\"null\"" || member_of(variant, "const") == "null" ||
                without_space(member_of(variant, "enum")) == "[null]");
    }

    // Variants that are lists of values become one list.
    bool fold_values(const std::vector<std::string> &variants, Node &node) {
        if (variants.size() < 2 || !node.values.empty())
            return false;
        std::string values = "[", texts;
        std::string_view type;
        bool same_type = true, plain = true;
        for (const std::string &variant : variants) {
            std::string_view own, own_type, text;
            Cursor(variant).members([&](Raw key, Cursor &cursor) {
                std::string_view value = cursor.value();
                if (key == "enum")
                    own = value;
                else if (key == "type")
                    own_type = value;
                else if (key == "description")
                    text = value;
                else
                    plain = false;
            });
            if (own.empty() || !plain)
                return false;
            append_item(values, contents(own));
            same_type &= &variant == &variants.front() || own_type == type;
            type = own_type;
            if (!text.empty()) {
                texts += texts.empty() ? "" : "; ";
                texts += as_text(contents(own));
                texts += " = ";
                texts += contents(text);
            }
        }
        values += ']';
        node.values = made.emplace_back(std::move(values));
        if (same_type && !type.empty())
            take_types(made.emplace_back(type), node);
        if (!texts.empty())
            node.note("", texts);
        return true;
    }

    // Decides what is written as it is and what is only told.
    std::string settle(Node &node) {
        std::string values;
        if (!node.values.empty()) {
            values = "[";
            Cursor(node.values).items([&](Cursor &item) {
                std::string_view value = item.value();
                if (value == "null")
                    node.nullable = true;
                else
                    append_item(values, value);
            });
            values += ']';
            if (!is_plain_value(values)) {
                node.tell("one of", values);
                values.clear();
            } else if (values == "[]") {
                values.clear();
            }
        }
        if (!node.tuple.empty()) {
            std::string list = "[";
            for (std::string_view item : node.tuple)
                append_item(list, item);
            list += ']';
            node.tell("items in order", list);
            node.items = made.emplace_back("{\"anyOf\":" + list + "}");
        }
        if (!node.usual.empty() && !is_plain_value(node.usual))
            node.tell("default", std::exchange(node.usual, {}));
        if (node.usual == "null")
            node.usual = {};
        if (node.types.size() > 1) {
            std::string text;
            for (std::string_view type : node.types) {
                text += text.empty() ? "" : " or ";
                text += type;
            }
            node.note("", text);
        }
        if (node.nullable)
            node.note("may be null", "");
        return values;
    }

    void write(Node &node, size_t level) {
        std::string values = settle(node);
        out += '{';
        if (node.types.size() == 1) {
            append_key(out, "type");
            json::append_raw_string(out, node.types[0]);
        }
        if (!node.description.empty() || !node.notes.empty()) {
            append_key(out, "description");
            std::string text = std::move(node.description);
            if (!node.notes.empty())
                text += (text.empty() ? "(" : " (") + node.notes + ")";
            json::append_raw_string(out, text);
        }
        if (node.has_properties) {
            append_key(out, "properties");
            out += '{';
            for (const Property &property : node.properties) {
                append_key(out, property.name);
                schema(property.schema, level + 1);
            }
            out += '}';
        }
        if (!node.required.empty()) {
            append_key(out, "required");
            out += '[';
            for (Raw name : node.required) {
                append_item(out, "\"");
                out += name;
                out += '"';
            }
            out += ']';
        }
        if (!node.items.empty()) {
            append_key(out, "items");
            schema(node.items, level + 1);
        }
        if (!values.empty()) {
            append_key(out, "enum");
            out += values;
        }
        if (!node.usual.empty()) {
            append_key(out, "default");
            out += node.usual;
        }
        if (!node.unions.empty()) {
            append_key(out, "anyOf");
            out += node.unions[0];
        }
        out += '}';
    }
};

} // namespace

void append_schema(std::string &out, std::string_view schema) {
    size_t nodes = max_nodes + 1;
    append_schema(out, schema, nodes);
}

void append_schema(std::string &out, std::string_view schema, size_t &nodes) {
    if (schema.empty())
        out += R"({"type":"object","properties":{}})";
    else
        Cleaner(schema, out, nodes).clean();
}

} // namespace kiro::kiro
