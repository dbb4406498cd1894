#include "core/json/validate.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <cstring>
#include <simdjson.h>
#include <stdexcept>

#include "core/json/plain.h"
#include "core/json/raw.h"
#include "core/json/space.h"

namespace kiro::json {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

class Validator {
public:
    Validator(std::string_view text, size_t most, Index *i)
        : begin(text.data()), p(begin), end(begin + text.size()), limit(most), index(i) {}

    Validation run() {
        document();
        return result;
    }

private:
    const char *begin;
    const char *p;
    const char *end;
    size_t limit;
    Index *index; // may be null
    Validation result;
    size_t depth = 0;
    std::bitset<deepest> in_object;        // of the open containers
    std::array<uint32_t, deepest> entries; // theirs in the index

    bool fail(const char *reason) {
        result.reason = reason;
        result.offset = static_cast<size_t>(p - begin);
        return false;
    }

    void skip_space() {
        while (p != end && is_space(*p))
            p++;
    }

    bool open(bool object) {
        if (depth == limit)
            return fail("nested too deeply");
        if (index != nullptr) {
            entries[depth] = static_cast<uint32_t>(index->size());
            note(p, p);
            index->push_back(0);
        }
        in_object[depth++] = object;
        p++;
        return true;
    }

    void close() {
        depth--;
        p++;
        if (index != nullptr) {
            (*index)[entries[depth] + 1] = static_cast<uint32_t>(p - begin);
            (*index)[entries[depth] + 2] = static_cast<uint32_t>(index->size());
        }
    }

    void note(const char *first, const char *behind) {
        index->push_back(static_cast<uint32_t>(first - begin));
        index->push_back(static_cast<uint32_t>(behind - begin));
    }

    void document() {
        if (!value())
            return;
        // after a complete value
        for (;;) {
            skip_space();
            if (depth == 0) {
                if (p != end)
                    fail("data after the JSON value");
                return;
            }
            if (p == end) {
                fail("unexpected end");
                return;
            }
            bool object = in_object[depth - 1];
            if (*p == (object ? '}' : ']')) {
                close();
                continue;
            }
            if (*p != ',') {
                fail(object ? "expected ',' or '}'" : "expected ',' or ']'");
                return;
            }
            p++;
            if (object && !key())
                return;
            if (!value())
                return;
        }
    }

    // A whole scalar or empty container; on opening a container goes on to its first scalar.
    bool value() {
        for (;;) {
            skip_space();
            if (p == end)
                return fail("unexpected end");
            switch (*p) {
            case '{':
                if (!open(true))
                    return false;
                skip_space();
                if (p != end && *p == '}') {
                    close();
                    return true;
                }
                if (!key())
                    return false;
                continue;
            case '[':
                if (!open(false))
                    return false;
                skip_space();
                if (p != end && *p == ']') {
                    close();
                    return true;
                }
                continue;
            default:
                return scalar();
            }
        }
    }

    bool scalar() {
        const char *first = p;
        bool good = *p == '"'   ? string()
                    : *p == 't' ? literal("true")
                    : *p == 'f' ? literal("false")
                    : *p == 'n' ? literal("null")
                                : number();
        if (good && index != nullptr)
            note(first, p);
        return good;
    }

    bool key() {
        skip_space();
        if (p == end)
            return fail("unexpected end");
        if (*p != '"')
            return fail("expected a string as key");
        if (!scalar())
            return false;
        skip_space();
        if (p == end)
            return fail("unexpected end");
        if (*p != ':')
            return fail("expected ':'");
        p++;
        return true;
    }

    bool literal(std::string_view word) {
        size_t left = static_cast<size_t>(end - p);
        if (std::string_view(p, left < word.size() ? left : word.size()) != word)
            return fail(left < word.size() && word.starts_with(std::string_view(p, left))
                            ? "unexpected end"
                            : "unknown literal");
        p += word.size();
        return true;
    }

    bool digits() {
        if (p == end)
            return fail("unexpected end");
        if (!is_digit(*p))
            return fail("malformed number");
        while (p != end && is_digit(*p))
            p++;
        return true;
    }

    bool number() {
        if (*p != '-' && !is_digit(*p))
            return fail("unexpected character");
        if (*p == '-')
            p++;
        if (p != end && *p == '0') {
            p++;
            if (p != end && is_digit(*p))
                return fail("number with a leading zero");
        } else if (!digits()) {
            return false;
        }
        if (p != end && *p == '.') {
            p++;
            if (!digits())
                return false;
        }
        if (p != end && (*p == 'e' || *p == 'E')) {
            p++;
            if (p != end && (*p == '+' || *p == '-'))
                p++;
            if (!digits())
                return false;
        }
        return true;
    }

    bool string() {
        p++;
        for (;;) {
            p = skip_text(p, end);
            if (p == end)
                return fail("unterminated string");
            if (*p == '"') {
                p++;
                return true;
            }
            if (*p != '\\')
                return fail("control character in a string");
            if (!escape())
                return false;
        }
    }

    bool escape() {
        if (end - p < 2) {
            p = end;
            return fail("unterminated string");
        }
        if (p[1] != 'u') {
            if (!is_escape_letter(p[1]))
                return fail("unknown escape");
            p += 2;
            return true;
        }
        uint32_t unit = end - p >= 6 ? hex4(p + 2) : 0x10000;
        if (unit > 0xFFFF)
            return fail("malformed \\u escape");
        p += 6;
        if (is_high_surrogate(unit) && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
            is_low_surrogate(hex4(p + 2))) {
            p += 6;
        } else if (is_high_surrogate(unit) || is_low_surrogate(unit)) {
            result.lone_surrogates = true;
        }
        return true;
    }
};

size_t first_invalid_utf8(std::string_view text) {
    size_t i = 0;
    while (i < text.size()) {
        size_t n = utf8_sequence(text.substr(i));
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

} // namespace

size_t nesting(std::string_view json) {
    const char *p = json.data(), *end = p + json.size();
    size_t depth = 0, most = 0;
    for (; p != end; p++) {
        if (*p == '{' || *p == '[') {
            most = std::max(most, ++depth);
        } else if (*p == '}' || *p == ']') {
            depth--;
        } else if (*p == '"') {
            p = skip_text(p + 1, end);
            while (p != end && *p != '"')
                p = skip_text(*p == '\\' && end - p > 1 ? p + 2 : p + 1, end);
            if (p == end)
                break;
        }
    }
    return most;
}

Validation validate(std::string_view text, size_t depth, Index *index) {
    if (index != nullptr) {
        if (text.size() >= size_t{1} << 31)
            throw std::length_error("JSON of 2 GB");
        index->clear();
    }
    if (!simdjson::validate_utf8(text.data(), text.size())) {
        Validation result;
        result.reason = "invalid UTF-8";
        result.offset = first_invalid_utf8(text);
        return result;
    }
    return Validator(text, std::min(depth, deepest), index).run();
}

void replace_lone_surrogates(char *text, size_t length) {
    // Outside strings a valid text has no backslash.
    char *p = text;
    char *end = text + length;
    while (p != end) {
        p = static_cast<char *>(std::memchr(p, '\\', static_cast<size_t>(end - p)));
        if (p == nullptr)
            return;
        if (p[1] != 'u') {
            p += 2;
            continue;
        }
        uint32_t unit = hex4(p + 2);
        if (is_high_surrogate(unit) && end - p >= 12 && p[6] == '\\' && p[7] == 'u' &&
            is_low_surrogate(hex4(p + 8))) {
            p += 12;
            continue;
        }
        if (is_high_surrogate(unit) || is_low_surrogate(unit))
            std::memcpy(p, "\\ufffd", 6);
        p += 6;
    }
}

} // namespace kiro::json
