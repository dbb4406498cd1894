#include "core/chat/invalid.h"

namespace kiro::chat {

std::string Path::str() const {
    if (parent == nullptr)
        return {};
    std::string out = parent->str();
    if (key == nullptr) {
        out += '[';
        out += std::to_string(index);
        out += ']';
        return out;
    }
    if (!out.empty())
        out += '.';
    out += key;
    return out;
}

namespace {

[[noreturn]] void refuse(const Path &path, std::string_view what, kiro_failure_kind kind, Rule rule) {
    Invalid error{kind, path.str(), {}, rule};
    error.message = error.param;
    if (!error.message.empty())
        error.message += ": ";
    error.message += what;
    throw error;
}

} // namespace

void invalid(const Path &path, std::string_view what, kiro_failure_kind kind) {
    refuse(path, what, kind, Rule::none);
}

void invalid(const Path &path, std::string_view what, Rule rule) {
    refuse(path, what, KIRO_FAIL_INVALID_REQUEST, rule);
}

void unsupported(const Path &path, std::string_view what, Rule rule) {
    refuse(path, what, KIRO_FAIL_UNSUPPORTED, rule);
}

void missing(const Path &path) {
    invalid(path, "this field is required", Rule::required_member);
}

void wrong_type(const Path &path, std::string_view expected, json::Type actual) {
    std::string what = "expected ";
    what += expected;
    what += ", got ";
    what += json::type_name(actual);
    invalid(path, what, Rule::member_type);
}

std::string quoted(json::Raw raw) {
    constexpr size_t shown = 60;
    std::string text = json::unescaped(raw.substr(0, 8 * shown));
    bool cut = text.size() > shown;
    if (cut) {
        size_t end = shown;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
            end--;
        text.resize(end);
    }
    for (char &c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            c = ' ';
    }
    return "\"" + text + (cut ? "...\"" : "\"");
}

} // namespace kiro::chat
