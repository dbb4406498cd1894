#include "core/json/writer.h"

#include <charconv>
#include <cmath>
#include <simdjson.h>

namespace kiro::json {

namespace {

constexpr char hex_digits[] = "0123456789abcdef";

void append_control(std::string &out, unsigned char c) {
    switch (c) {
    case '\b':
        out += "\\b";
        return;
    case '\f':
        out += "\\f";
        return;
    case '\n':
        out += "\\n";
        return;
    case '\r':
        out += "\\r";
        return;
    case '\t':
        out += "\\t";
        return;
    default: {
        char escape[] = {'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]};
        out.append(escape, sizeof(escape));
    }
    }
}

bool needs_escape(unsigned char c) {
    return c < 0x20 || c == '"' || c == '\\';
}

void append_valid(std::string &out, std::string_view utf8) {
    size_t start = 0;
    for (size_t i = 0; i < utf8.size(); i++) {
        auto c = static_cast<unsigned char>(utf8[i]);
        if (!needs_escape(c))
            continue;
        out.append(utf8, start, i - start);
        start = i + 1;
        if (c < 0x20) {
            append_control(out, c);
        } else {
            out.push_back('\\');
            out.push_back(static_cast<char>(c));
        }
    }
    out.append(utf8, start, utf8.size() - start);
}

} // namespace

void append_escaped(std::string &out, std::string_view utf8) {
    if (simdjson::validate_utf8(utf8.data(), utf8.size())) {
        append_valid(out, utf8);
        return;
    }
    while (!utf8.empty()) {
        size_t n = utf8_sequence(utf8);
        if (n == 0) {
            out += "\xEF\xBF\xBD";
            n = 1;
        } else {
            append_valid(out, utf8.substr(0, n));
        }
        utf8.remove_prefix(n);
    }
}

void append_string(std::string &out, std::string_view utf8) {
    out.push_back('"');
    append_escaped(out, utf8);
    out.push_back('"');
}

void append_raw_string(std::string &out, Raw raw) {
    out.push_back('"');
    out.append(raw);
    out.push_back('"');
}

std::string escaped(std::string_view utf8) {
    std::string out;
    out.reserve(utf8.size() + 2);
    append_escaped(out, utf8);
    return out;
}

void append_minified(std::string &out, std::string_view json) {
    const size_t before = out.size();
    out.resize(before + json.size());
    size_t size = 0;
    if (simdjson::minify(json.data(), json.size(), out.data() + before, size) != simdjson::SUCCESS)
        size = 0;
    out.resize(before + size);
}

void append_int(std::string &out, int64_t value) {
    char buf[24];
    auto end = std::to_chars(buf, buf + sizeof(buf), value).ptr;
    out.append(buf, end);
}

void append_uint(std::string &out, uint64_t value) {
    char buf[24];
    auto end = std::to_chars(buf, buf + sizeof(buf), value).ptr;
    out.append(buf, end);
}

void append_double(std::string &out, double value) {
    if (!std::isfinite(value)) {
        out += "null";
        return;
    }
    char buf[32];
    auto end = std::to_chars(buf, buf + sizeof(buf), value).ptr;
    out.append(buf, end);
}

} // namespace kiro::json
