#include "core/kiro/schema.h"

#include <algorithm>
#include <deque>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/json/cursor.h"
#include "core/json/writer.h"
#include "core/kiro/schema_node.h"
#include "core/kiro/schema_references.h"
#include "core/kiro/schema_value.h"

namespace kiro::kiro {

using chat::Rule;
using json::Cursor;

namespace {

// A schema that refers to itself has no end; one that nests or multiplies beyond this is not looked into.
constexpr size_t max_level = 16;
constexpr size_t max_nodes = 4000;
constexpr size_t max_growth = 16;        // times its size, and
constexpr size_t min_growth = 256 << 10; // bytes at least

class Cleaner {
public:
    Cleaner(std::string_view r, std::string &o, size_t &n, chat::Arena *a)
        : root(r), references(r), out(o), nodes_left(n), arena(a) {}

    void clean() {
        Node node(arena, root);
        gather(root, node, true);
        flatten_unions(node);
        if (node.types.size() != 1 || node.types.front() != "object" || node.nullable)
            node.changed(Rule::schema_made_object, root);
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
    chat::Arena *arena;             // may be null
    size_t nodes = 0, bytes = 0;    // looked at
    std::vector<const char *> open; // the targets of $refs that are being written
    std::deque<std::string> made;   // schemas that stand nowhere in root

    bool exhausted() const {
        return nodes_left == 0 || nodes > max_nodes || bytes > min_growth + max_growth * root.size();
    }

    // binding: every instance must match this schema, not only one of its siblings.
    void gather(std::string_view schema, Node &node, bool binding) {
        if (!is_object(schema))
            return;
        if (exhausted()) {
            node.changed(Rule::schema_cut, schema);
            return;
        }
        nodes++;
        nodes_left--;
        bytes += schema.size();
        Cursor(schema).members([&](Raw key, Cursor &cursor) { keyword(key, cursor.value(), node, binding); });
    }

    void keyword(Raw key, std::string_view value, Node &node, bool binding) {
        if (key == "allOf") {
            node.changed(Rule::schema_all_of_merged, value);
            if (is_list(value))
                Cursor(value).items([&](Cursor &item) { gather(item.value(), node, binding); });
        } else if (key == "$ref" || key == "$dynamicRef") {
            if (is_string(value))
                follow(contents(value), node, binding);
        } else if (key == "const") {
            node.values = made.emplace_back("[" + std::string(value) + "]");
            node.changed(Rule::schema_value_told, value);
        } else {
            node.take(key, value, binding);
        }
    }

    // The schema that a reference means, in place of the reference. One that contains itself ends there.
    void follow(Raw reference, Node &node, bool binding) {
        std::string_view target = references.resolve(reference);
        if (!is_object(target)) {
            node.note("see ", reference);
            node.changed(Rule::schema_recursion_cut, reference);
            return;
        }
        bool inside =
            target.data() == root.data() || std::find(open.begin(), open.end(), target.data()) != open.end();
        if (inside || open.size() >= max_level) {
            Raw name = reference.substr(std::min(reference.size(), reference.rfind('/') + 1));
            node.note("same form as ", name == "#" ? Raw("the whole") : name);
            node.take_types(member_of(target, "type"));
            node.changed(Rule::schema_recursion_cut, reference);
            return;
        }
        node.changed(Rule::schema_reference_inlined, reference);
        open.push_back(target.data()); // stays until the node that refers to it is written
        gather(target, node, binding);
    }

    // At the root unions are refused: one object takes what any of them takes.
    void flatten_unions(Node &node) {
        for (size_t i = 0; i < node.unions.size() && !exhausted(); i++) { // grows by inner ones
            std::string groups;
            size_t count = 0;
            node.changed(Rule::schema_union_flattened, node.unions[i]);
            Cursor(node.unions[i]).items([&](Cursor &item) {
                size_t before = open.size();
                Node inner(arena);
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
            if (is_object(value) && arena != nullptr)
                arena->note(Rule::schema_cut, value);
            out += "{}";
            return;
        }
        size_t before = open.size();
        Node node(arena, value);
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
                if (any.empty() || !kept.empty())
                    node.changed(Rule::schema_union_folded, list);
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
        std::unordered_set<std::string> known;
        for (std::string_view variant : variants) {
            std::string text = cleaned(variant, level + 1);
            if (known.insert(text).second)
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
            node.take_types(made.emplace_back(type));
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
                node.changed(Rule::schema_value_told, node.values);
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
            node.changed(Rule::schema_value_told, node.tuple.front());
            node.items = made.emplace_back("{\"anyOf\":" + list + "}");
        }
        if (!node.usual.empty() && !is_plain_value(node.usual)) {
            node.changed(Rule::schema_value_told, node.usual);
            node.tell("default", std::exchange(node.usual, {}));
        }
        if (node.usual == "null") {
            node.changed(Rule::schema_keyword_removed, node.usual);
            node.usual = {};
        }
        if (node.types.size() > 1) {
            std::string text;
            for (std::string_view type : node.types) {
                text += text.empty() ? "" : " or ";
                text += type;
            }
            node.note("", text);
            node.changed(Rule::schema_type_told, node.at);
        }
        if (node.nullable) {
            node.note("may be null", "");
            node.changed(Rule::schema_null_told, node.at);
        }
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

void append_schema(std::string &out, std::string_view schema, size_t &nodes, chat::Arena *arena) {
    if (schema.empty())
        out += R"({"type":"object","properties":{}})";
    else
        Cleaner(schema, out, nodes, arena).clean();
}

} // namespace kiro::kiro
