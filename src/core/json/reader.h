/*
 * Reading a client's body: simdjson on demand over the buffer itself, values handed out as raw slices.
 *
 * On demand is forward-only, so members are visited in the order they come and a visitor keeps what it
 * needs; of duplicate keys the last one wins. The text must have passed validate(): on demand does not
 * check what it skips. Errors that are left then (out of memory) are thrown.
 */

#pragma once

#include <charconv>
#include <limits>
#include <simdjson.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "core/json/raw.h"

namespace kiro::json {

enum class Type { null, boolean, number, string, array, object };

const char *type_name(Type type); // "null", "a boolean", "an array"

namespace detail {

template <class T> T take(simdjson::simdjson_result<T> &&result) {
    T value;
    simdjson::error_code error = std::move(result).get(value);
    if (error == simdjson::MEMALLOC)
        throw std::bad_alloc();
    if (error)
        throw std::runtime_error(simdjson::error_message(error));
    return value;
}

inline std::string_view trimmed(std::string_view slice) {
    size_t last = slice.find_last_not_of(" \n\r\t");
    return slice.substr(0, last + 1);
}

} // namespace detail

// Must be used up before the visitor that got it returns.
class Value {
public:
    explicit Value(simdjson::ondemand::value v) : value(v), kind(type_of(v)) {}

    Type type() const { return kind; }
    bool is_null() const { return kind == Type::null; }
    bool is_string() const { return kind == Type::string; }
    bool is_array() const { return kind == Type::array; }
    bool is_object() const { return kind == Type::object; }

    // For strings: the contents, escaped.
    Raw string() {
        std::string_view token = detail::trimmed(value.raw_json_token());
        return token.substr(1, token.size() - 2);
    }

    bool boolean() { return value.raw_json_token().starts_with('t'); }

    // For numbers; infinite if a double cannot hold it.
    double number() {
        std::string_view token = value.raw_json_token();
        double d = 0;
        auto result = std::from_chars(token.data(), token.data() + token.size(), d);
        return result.ec == std::errc() ? d : std::numeric_limits<double>::infinity();
    }

    // The whole value as it stands in the body.
    std::string_view slice() {
        if (is_object())
            return detail::trimmed(detail::take(detail::take(value.get_object()).raw_json()));
        if (is_array())
            return detail::trimmed(detail::take(detail::take(value.get_array()).raw_json()));
        return detail::trimmed(value.raw_json_token());
    }

    // For objects; visit(std::string_view key, Value). Keys come without escapes.
    template <class Visitor> void members(Visitor &&visit) {
        simdjson::ondemand::object object = detail::take(value.get_object());
        std::string scratch;
        for (auto entry : object) {
            simdjson::ondemand::field field = detail::take(std::move(entry));
            std::string_view key = key_of(field, scratch);
            visit(key, Value(field.value()));
        }
    }

    // For arrays; visit(size_t index, Value).
    template <class Visitor> void items(Visitor &&visit) {
        simdjson::ondemand::array array = detail::take(value.get_array());
        size_t index = 0;
        for (auto entry : array)
            visit(index++, Value(detail::take(std::move(entry))));
    }

private:
    simdjson::ondemand::value value;
    Type kind;

    static Type type_of(simdjson::ondemand::value &v) {
        switch (v.raw_json_token().front()) {
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

    static std::string_view key_of(simdjson::ondemand::field &field, std::string &scratch) {
        const char *start = field.key().raw();
        const char *p = start;
        bool escapes = false;
        while (*p != '"') {
            if (*p == '\\') {
                escapes = true;
                p++;
            }
            p++;
        }
        Raw raw(start, static_cast<size_t>(p - start));
        if (!escapes)
            return raw;
        scratch.clear();
        unescape(raw, scratch);
        return scratch;
    }
};

// A validated object and the parser that walks it. buffer holds length bytes and SIMDJSON_PADDING more.
class Document {
public:
    Document(const char *buffer, size_t length) {
        document = detail::take(parser.iterate(
            simdjson::padded_string_view(buffer, length, length + simdjson::SIMDJSON_PADDING)));
    }
    Document(const Document &) = delete;
    Document &operator=(const Document &) = delete;

    // The top-level value, once; must not be a scalar.
    Value root() { return Value(detail::take(document.get_value())); }

private:
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document;
};

} // namespace kiro::json
