#include "core/kiro/argument_text.h"

#include "core/json/character.h"
#include "core/json/raw.h"
#include "core/json/space.h"
#include "core/json/writer.h"

#include <optional>

namespace kiro::kiro {
namespace {

constexpr std::string_view kReplacement = "\\\\ufffd"; // an escape within a string's contents
constexpr unsigned kLetters = 5;                       // uXXXX

std::optional<std::uint32_t> hex_digit(char c) noexcept {
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
        return static_cast<std::uint32_t>(c - '0');
    }
    if (lower >= 'a' && lower <= 'f') {
        return static_cast<std::uint32_t>(lower - 'a' + 10);
    }
    return std::nullopt;
}

} // namespace

std::string_view ArgumentText::take(std::string_view fragment) {
    const std::string_view text = joiner_.join(fragment, json::has_escapes(fragment));
    out_.clear();
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] != '\\') {
            step(text[at], false, text.substr(at, 1));
            ++at;
            continue;
        }
        const json::Character character = json::first_character(text.substr(at));
        const bool control = character.size == 1 && static_cast<unsigned char>(character.utf8[0]) < 0x20;
        step(character.ascii(), control, text.substr(at, character.raw));
        at += character.raw;
    }
    return out_;
}

std::string_view ArgumentText::finish(bool whole) {
    const bool empty = part_ == Part::before;
    part_ = Part::before;
    escape_.clear();
    half_.clear();
    joiner_ = {};
    return !whole ? std::string_view() : empty ? "{}" : "}";
}

// c: the character, 0 if it is not ASCII.
void ArgumentText::step(char c, bool control, std::string_view raw) {
    switch (part_) {
    case Part::before:
        if (json::is_space(c)) {
            return;
        }
        part_ = c == '{' ? Part::structure : Part::hopeless;
        if (part_ == Part::hopeless) {
            return;
        }
        depth_ = 1;
        break;
    case Part::structure:
        if (c == '"') {
            part_ = Part::string;
        } else if (c == '{' || c == '[') {
            ++depth_;
        } else if ((c == '}' || c == ']') && --depth_ == 0) {
            part_ = Part::closed;
            return;
        }
        break;
    case Part::string:
        step_string(c, control, raw);
        return;
    case Part::closed:
    case Part::hopeless:
        return;
    }
    out_.append(raw);
}

void ArgumentText::step_string(char c, bool control, std::string_view raw) {
    if (!escape_.empty()) {
        step_escape(c, raw);
        return;
    }
    if (c == '\\') {
        escape_.assign(raw);
        letters_ = 0;
        unit_ = 0;
        return;
    }
    drop_half();
    if (control) {
        std::string escaped;
        json::append_escaped(escaped, {&c, 1});
        json::append_escaped(out_, escaped);
        return;
    }
    if (c == '"') {
        part_ = Part::structure;
    }
    out_.append(raw);
}

void ArgumentText::step_escape(char c, std::string_view raw) {
    escape_.append(raw);
    ++letters_;
    if (letters_ == 1) {
        if (c != 'u') {
            end_escape();
        }
        return;
    }
    const std::optional<std::uint32_t> digit = hex_digit(c);
    unit_ = unit_ * 16 + digit.value_or(0);
    if (!digit || letters_ == kLetters) {
        end_escape();
    }
}

// The escape is whole, or none that JSON knows.
void ArgumentText::end_escape() {
    if (letters_ == kLetters && json::is_high_surrogate(unit_)) {
        drop_half();
        half_.swap(escape_);
    } else if (letters_ == kLetters && json::is_low_surrogate(unit_)) {
        out_.append(half_.empty() ? kReplacement : half_);
        out_.append(half_.empty() ? std::string_view() : escape_);
        half_.clear();
    } else {
        drop_half();
        out_.append(escape_);
    }
    escape_.clear();
}

void ArgumentText::drop_half() {
    if (!half_.empty()) {
        out_.append(kReplacement);
        half_.clear();
    }
}

} // namespace kiro::kiro
