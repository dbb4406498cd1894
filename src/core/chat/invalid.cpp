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

void invalid(const Path &path, std::string_view what, kiro_failure_kind kind) {
    Invalid error{kind, path.str(), {}};
    error.message = error.param;
    if (!error.message.empty())
        error.message += ": ";
    error.message += what;
    throw error;
}

void unsupported(const Path &path, std::string_view what) {
    invalid(path, what, KIRO_FAIL_UNSUPPORTED);
}

void missing(const Path &path) {
    invalid(path, "this field is required");
}

void wrong_type(const Path &path, std::string_view expected, json::Type actual) {
    std::string what = "expected ";
    what += expected;
    what += ", got ";
    what += json::type_name(actual);
    invalid(path, what);
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
