#include "core/kiro/schema_value.h"

#include "core/json/cursor.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

namespace kiro::kiro {

using json::Cursor;

namespace {

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

} // namespace

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

std::string_view member_of(std::string_view object, std::string_view key) {
    std::string_view found;
    Cursor(object).members([&](Raw name, Cursor &value) {
        std::string_view slice = value.value();
        if (name == key || (json::has_escapes(name) && json::equals(name, key)))
            found = slice;
    });
    return found;
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

std::string as_text(std::string_view value) {
    std::string text;
    if (is_string(value))
        return std::string(contents(value));
    json::append_escaped(text, without_space(value));
    return text;
}

} // namespace kiro::kiro
