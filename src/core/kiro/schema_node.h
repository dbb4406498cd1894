// What one schema says, gathered from itself and from the schemas that it takes in.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/chat/arena.h"
#include "core/json/raw.h"

namespace kiro::kiro {

using json::Raw;

// What is told about a schema in its description.
constexpr size_t max_value = 300; // of one keyword

// Tells names that were seen before. Usually they are few.
class Names {
public:
    // False: it is known.
    bool add(Raw name);

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
    explicit Node(chat::Arena *a, std::string_view schema = {}) : arena(a), at(schema) {}

    chat::Arena *arena;                  // is told what is changed; may be null
    std::string_view at;                 // the schema itself
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

    // A keyword that leads to no other schema of the same node. binding: every instance must match it.
    void take(Raw keyword, std::string_view value, bool binding);
    void take_types(std::string_view value);

    // Part of the description.
    void note(std::string_view label, std::string_view text);
    bool tell(std::string_view keyword, std::string_view value); // false: it says too little or too much

    void add(const Property &property);

    void changed(chat::Rule rule, std::string_view place) const {
        if (arena != nullptr)
            arena->note(rule, place);
    }

private:
    void take_properties(std::string_view value);
    void take_required(std::string_view list);
    void take_tuple(std::string_view list);
    void take_others(std::string_view value);
    void describe(Raw text);
};

} // namespace kiro::kiro
