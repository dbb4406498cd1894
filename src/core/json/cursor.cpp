#include "core/json/cursor.h"

#include "core/json/plain.h"

namespace kiro::json {

void Cursor::skip_space() {
    while (p != end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
}

bool Cursor::enter(char c) {
    if (p == end || *p != c)
        return false;
    p++;
    skip_space();
    return true;
}

void Cursor::skip_string() {
    p = skip_text(p + 1, end);
    while (p != end && *p != '"')
        p = skip_text(*p == '\\' && end - p > 1 ? p + 2 : p + 1, end);
    if (p != end)
        p++;
}

Raw Cursor::string() {
    if (!is_string())
        return {};
    const char *start = p + 1;
    skip_string();
    const char *stop = p[-1] == '"' && p > start ? p - 1 : p;
    skip_space();
    return Raw(start, static_cast<size_t>(stop - start));
}

std::string_view Cursor::value() {
    const char *start = p;
    size_t depth = 0;
    while (p != end) {
        char c = *p;
        if (c == '"') {
            skip_string();
        } else if (c == '{' || c == '[') {
            depth++;
            p++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                break;
            depth--;
            p++;
        } else if (depth == 0) {
            // a scalar; at least one byte, so that a walk over anything ends
            do
                p++;
            while (p != end && std::string_view(",}]: \n\r\t\"").find(*p) == std::string_view::npos);
        } else {
            p++;
            continue;
        }
        if (depth == 0)
            break;
    }
    std::string_view slice(start, static_cast<size_t>(p - start));
    skip_space();
    return slice;
}

} // namespace kiro::json
