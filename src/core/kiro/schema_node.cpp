#include "core/kiro/schema_node.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/json/cursor.h"
#include "core/kiro/schema_value.h"

namespace kiro::kiro {

using json::Cursor;

namespace {

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

constexpr std::string_view known_types[] = {"string", "number", "integer", "boolean", "object", "array"};

template <size_t N> bool one_of(const std::string_view (&words)[N], std::string_view word) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

} // namespace

bool Names::add(Raw name) {
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

void Node::take(Raw keyword, std::string_view value, bool binding) {
    if (keyword == "type") {
        take_types(value);
    } else if (keyword == "description") {
        if (is_string(value))
            describe(contents(value));
    } else if (keyword == "properties") {
        take_properties(value);
    } else if (keyword == "required") {
        if (is_list(value) && binding)
            take_required(value);
    } else if (keyword == "items") {
        if (is_object(value))
            items = value;
        else
            take_tuple(value);
    } else if (keyword == "prefixItems") {
        take_tuple(value);
    } else if (keyword == "enum") {
        if (is_list(value))
            values = value;
    } else if (keyword == "default") {
        usual = value;
    } else if (keyword == "anyOf" || keyword == "oneOf") {
        if (is_list(value))
            unions.push_back(value);
    } else if (keyword == "nullable") {
        nullable |= value == "true";
    } else if (keyword == "additionalProperties" || keyword == "unevaluatedProperties") {
        take_others(value);
    } else if (one_of(told, keyword) && tell(keyword, value)) {
        changed(chat::Rule::schema_keyword_told, value);
    } else if (keyword != "$defs" && keyword != "definitions") { // which references take in
        changed(chat::Rule::schema_keyword_removed, value);
    }
}

void Node::take_types(std::string_view value) {
    std::vector<std::string_view> found;
    auto take_one = [&](std::string_view type) {
        if (!is_string(type))
            return;
        std::string_view word = contents(type);
        if (word == "null")
            nullable = true;
        else if (one_of(known_types, word) && std::find(found.begin(), found.end(), word) == found.end())
            found.push_back(word);
    };
    if (is_list(value))
        Cursor(value).items([&](Cursor &item) { take_one(item.value()); });
    else
        take_one(value);
    if (!found.empty())
        types = std::move(found);
}

void Node::take_properties(std::string_view value) {
    if (!is_object(value))
        return;
    has_properties = true;
    Cursor(value).members([&](Raw name, Cursor &cursor) {
        std::string_view schema = cursor.value();
        if (is_object(schema) || schema == "true")
            add({name, schema});
        else
            changed(chat::Rule::schema_keyword_removed, schema);
    });
}

void Node::take_required(std::string_view list) {
    Cursor(list).items([&](Cursor &item) {
        std::string_view value = item.value();
        if (is_string(value) && required_names.add(contents(value)))
            required.push_back(contents(value));
    });
}

void Node::take_tuple(std::string_view list) {
    if (is_list(list))
        Cursor(list).items([&](Cursor &item) { tuple.push_back(item.value()); });
}

void Node::take_others(std::string_view value) {
    bool is_told = false;
    if (value == "false") {
        note("no other properties", "");
        is_told = true;
    } else if (is_object(value) && without_space(value) != "{}") {
        is_told = tell("other properties", value);
    }
    changed(is_told ? chat::Rule::schema_keyword_told : chat::Rule::schema_keyword_removed, value);
}

void Node::note(std::string_view label, std::string_view text) {
    if (!notes.empty())
        notes += "; ";
    notes += label;
    notes += text;
}

bool Node::tell(std::string_view keyword, std::string_view value) {
    if (value == "false" || value == "null" || value == "9007199254740991" || value == "-9007199254740991" ||
        value.size() > max_value)
        return false;
    note(std::string(keyword) + ": ", as_text(value));
    return true;
}

void Node::add(const Property &property) {
    if (property_names.add(property.name))
        properties.push_back(property);
}

void Node::describe(Raw text) {
    if (json::is_blank(text) || description == text)
        return;
    if (!description.empty())
        description += ' ';
    description += text;
}

} // namespace kiro::kiro
