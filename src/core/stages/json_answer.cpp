#include "core/stages/json_answer.h"

#include <array>

#include "core/json/schema_check.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

namespace kiro::stages {

namespace {

using std::string_view;

constexpr string_view space = " \t\r\n";
constexpr string_view fence = "```";

string_view trimmed(string_view text) {
    const std::size_t first = text.find_first_not_of(space);
    if (first == string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

// What stands in the first code fence, or nothing.
string_view fenced(string_view text) {
    const std::size_t open = text.find(fence);
    if (open == string_view::npos)
        return {};
    const std::size_t line = text.find('\n', open);
    if (line == string_view::npos)
        return {};
    const std::size_t close = text.rfind(fence);
    return close > line ? trimmed(text.substr(line, close - line)) : string_view();
}

// From the first bracket to the last.
string_view bracketed(string_view text) {
    const std::size_t first = text.find_first_of("{[");
    const std::size_t last = text.find_last_of("}]");
    return first != string_view::npos && last != string_view::npos && last > first
               ? text.substr(first, last - first + 1)
               : string_view();
}

} // namespace

std::string JsonAnswer::mismatch(string_view value) const {
    if (kind_ == chat::OutputKind::json_object)
        return value.starts_with('{') ? std::string() : "it is JSON, but not an object";
    return schema_.empty() ? std::string() : json::schema_mismatch(schema_, value);
}

void JsonAnswer::take(const chat::Event &event, Sink out) {
    if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
        text_.append(text->text);
        return;
    }
    if (std::holds_alternative<chat::FinishedCall>(event)) {
        calls_ = true; // what is said beside a call is no answer yet
        out.text(text_);
        text_.clear();
    }
    out(event);
}

void JsonAnswer::finish(Sink out) {
    const std::string text = json::unescaped(text_);
    problem_ = calls_ ? "" : "it is not JSON";
    for (string_view candidate : std::array{trimmed(text), fenced(text), bracketed(text)}) {
        if (calls_ || candidate.empty() || !json::validate(candidate))
            continue;
        problem_ = mismatch(candidate);
        text_ = json::escaped(candidate);
        break;
    }
    out.text(text_);
    text_.clear();
}

} // namespace kiro::stages
