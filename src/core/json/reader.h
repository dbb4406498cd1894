/*
 * Reading a client's body: over the index that validate() made of it, values handed out as raw slices.
 * Members are visited in the order they come and a visitor keeps what it needs; of duplicate keys the last
 * one wins. What a visitor leaves costs nothing.
 */

#pragma once

#include <charconv>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "core/json/raw.h"
#include "core/json/validate.h"

namespace kiro::json {

enum class Type { null, boolean, number, string, array, object };

const char *type_name(Type type); // "null", "a boolean", "an array"

// Lives as long as its Document.
class Value {
public:
    Value(const char *t, const Index &i, size_t p) : text(t), index(&i), place(p) {}

    Type type() const {
        switch (text[entry(0)]) {
        case '{':
            return Type::object;
        case '[':
            return Type::array;
        case '"':
            return Type::string;
        case 't':
        case 'f':
            return Type::boolean;
        case 'n':
            return Type::null;
        default:
            return Type::number;
        }
    }
    bool is_null() const { return type() == Type::null; }
    bool is_string() const { return type() == Type::string; }
    bool is_array() const { return type() == Type::array; }
    bool is_object() const { return type() == Type::object; }

    // The whole value as it stands in the body.
    std::string_view slice() const { return {text + entry(0), size_t{entry(1)} - entry(0)}; }

    // For strings: the contents, escaped.
    Raw string() const {
        need(Type::string);
        std::string_view token = slice();
        return token.substr(1, token.size() - 2);
    }

    bool boolean() const { return slice().starts_with('t'); }

    // For numbers; infinite if a double cannot hold it.
    double number() const {
        std::string_view token = slice();
        double d = 0;
        auto result = std::from_chars(token.data(), token.data() + token.size(), d);
        return result.ec == std::errc() ? d : std::numeric_limits<double>::infinity();
    }

    // For objects; visit(std::string_view key, Value). Keys come without escapes.
    template <class Visitor> void members(Visitor &&visit) const {
        need(Type::object);
        std::string scratch;
        for (size_t at = inside(); at != behind();) {
            const Value name(text, *index, at), member(text, *index, name.behind());
            visit(name.key(scratch), member);
            at = member.behind();
        }
    }

    // For arrays; visit(size_t index, Value).
    template <class Visitor> void items(Visitor &&visit) const {
        need(Type::array);
        size_t count = 0;
        for (size_t at = inside(); at != behind();) {
            const Value item(text, *index, at);
            visit(count++, item);
            at = item.behind();
        }
    }

private:
    const char *text;
    const Index *index;
    size_t place;

    uint32_t entry(size_t i) const { return (*index)[place + i]; }
    size_t inside() const { return place + 3; }
    size_t behind() const { return is_object() || is_array() ? entry(2) : place + 2; }

    void need(Type expected) const {
        if (type() != expected)
            throw std::logic_error("a value of another type");
    }

    std::string_view key(std::string &scratch) const {
        Raw raw = string();
        if (!has_escapes(raw))
            return raw;
        scratch.clear();
        unescape(raw, scratch);
        return scratch;
    }
};

// A valid text and its index.
class Document {
public:
    Document(const char *t, Index i) : text(t), entries(std::move(i)) {}
    explicit Document(std::string_view valid) : text(valid.data()) {
        if (!validate(valid, deepest, &entries))
            throw std::logic_error("not valid JSON");
    }
    Document(const Document &) = delete;
    Document &operator=(const Document &) = delete;

    Value root() const { return Value(text, entries, 0); }
    const Index &index() const { return entries; }

private:
    const char *text;
    Index entries;
};

} // namespace kiro::json
