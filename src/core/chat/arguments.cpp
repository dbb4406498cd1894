#include "core/chat/arguments.h"

#include "core/json/cursor.h"
#include "core/json/validate.h"

namespace kiro::chat {

std::string_view input_of_arguments(const Field &arguments, const Path &path, Arena &arena) {
    if (!arguments.present())
        return "{}";
    if (arguments.type == json::Type::object)
        return arguments.raw;
    Raw raw = required_string(arguments, path);
    if (json::is_blank(raw))
        return "{}";
    std::string text = json::unescaped(raw);
    auto verdict = json::validate(text, json::deepest);
    if (!verdict) {
        arena.note(Rule::arguments_wrapped, raw);
        return arena.keep("{\"arguments\":\"" + std::string(raw) + "\"}");
    }
    if (verdict.lone_surrogates) {
        arena.note(Rule::surrogate_replaced, raw);
        json::replace_lone_surrogates(text.data(), text.size());
    }
    json::Cursor cursor(text);
    if (cursor.is_null())
        return "{}";
    const bool object = cursor.is_object();
    if (!object)
        arena.note(Rule::arguments_wrapped, raw);
    const std::string value(cursor.value()); // without the space around it
    return arena.keep(object ? value : "{\"value\":" + value + "}");
}

std::string_view input_of_text(Raw text, Arena &arena) {
    arena.note(Rule::freeform_wrapped, text);
    return arena.keep("{\"input\":\"" + std::string(text) + "\"}");
}

} // namespace kiro::chat
