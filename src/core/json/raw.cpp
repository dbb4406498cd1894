#include "core/json/raw.h"

#include "core/json/utf8.h"
#include <array>

namespace kiro::json {

namespace {

constexpr uint32_t bad_hex = 0xFFFFFFFF;
constexpr uint32_t replacement = 0xFFFD;

constexpr std::array<int8_t, 256> make_hex_table() {
    std::array<int8_t, 256> table{};
    for (auto &entry : table)
        entry = -1;
    for (int i = 0; i < 10; i++)
        table['0' + i] = static_cast<int8_t>(i);
    for (int i = 0; i < 6; i++) {
        table['a' + i] = static_cast<int8_t>(10 + i);
        table['A' + i] = static_cast<int8_t>(10 + i);
    }
    return table;
}

constexpr auto hex_table = make_hex_table();

// 0: not a one-letter escape
char simple_escape(char letter) {
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

} // namespace

uint32_t hex4(const char *p) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        auto digit = hex_table[static_cast<unsigned char>(p[i])];
        if (digit < 0)
            return bad_hex;
        value = value << 4 | static_cast<uint32_t>(digit);
    }
    return value;
}

void append_utf8(std::string &out, uint32_t cp) {
    char bytes[4];
    out.append(bytes, encode_utf8(cp, bytes));
}

size_t utf8_sequence(std::string_view text) {
    auto at = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned char lead = at(0);
    if (lead < 0x80)
        return 1;
    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at(i) & 0xC0) != 0x80)
            return 0;
    }
    bool overlong = (lead == 0xE0 && at(1) < 0xA0) || (lead == 0xF0 && at(1) < 0x90);
    bool surrogate = lead == 0xED && at(1) > 0x9F;
    bool beyond = lead == 0xF4 && at(1) > 0x8F;
    return overlong || surrogate || beyond ? 0 : length;
}

bool unescape(Raw raw, std::string &out) {
    const char *p = raw.data();
    const char *end = p + raw.size();
    while (p != end) {
        Raw rest(p, static_cast<size_t>(end - p));
        size_t run = rest.find('\\');
        if (run == Raw::npos) {
            out.append(rest);
            return true;
        }
        out.append(p, run);
        p += run;
        if (end - p < 2)
            return false;
        if (p[1] != 'u') {
            char c = simple_escape(p[1]);
            if (c == 0)
                return false;
            out.push_back(c);
            p += 2;
            continue;
        }
        if (end - p < 6)
            return false;
        uint32_t unit = hex4(p + 2);
        if (unit == bad_hex)
            return false;
        p += 6;
        if (is_high_surrogate(unit) && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
            uint32_t low = hex4(p + 2);
            if (is_low_surrogate(low)) {
                append_utf8(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
                p += 6;
                continue;
            }
        }
        append_utf8(out, unit >= 0xD800 && unit <= 0xDFFF ? replacement : unit);
    }
    return true;
}

std::string unescaped(Raw raw) {
    std::string out;
    out.reserve(raw.size());
    unescape(raw, out);
    return out;
}

bool equals(Raw raw, std::string_view utf8) {
    if (!has_escapes(raw))
        return raw == utf8;
    return unescaped(raw) == utf8;
}

namespace {

// The size of the character at the start of raw, which is not empty.
size_t character(Raw raw) {
    size_t n = raw[0] != '\\' ? utf8_sequence(raw) : raw.size() > 1 && raw[1] == 'u' ? 6 : 2;
    return n == 0 ? 1 : n < raw.size() ? n : raw.size();
}

} // namespace

size_t length(Raw raw) {
    size_t count = 0;
    for (; !raw.empty(); count++)
        raw.remove_prefix(character(raw));
    return count;
}

Raw prefix(Raw raw, size_t characters) {
    Raw rest = raw;
    bool high = false;
    while (!rest.empty() && (characters > 0 || high)) {
        size_t n = character(rest);
        high = n == 6 && is_high_surrogate(hex4(rest.data() + 2));
        rest.remove_prefix(n);
        characters -= characters > 0;
    }
    return raw.substr(0, raw.size() - rest.size());
}

bool is_blank(Raw raw) {
    size_t i = 0;
    while (i < raw.size()) {
        std::string_view rest = raw.substr(i);
        unsigned char c = static_cast<unsigned char>(rest[0]);
        if (c == ' ' || (c >= 0x09 && c <= 0x0D)) {
            i += 1;
        } else if (c == '\\' && rest.size() >= 2 &&
                   (rest[1] == 'n' || rest[1] == 'r' || rest[1] == 't' || rest[1] == 'f')) {
            i += 2;
        } else if (c == '\\' && rest.size() >= 6 && rest[1] == 'u') {
            uint32_t unit = hex4(rest.data() + 2);
            if (unit != ' ' && unit != 0xA0 && unit != 0xFEFF && !(unit >= 0x09 && unit <= 0x0D))
                return false;
            i += 6;
        } else if (rest.starts_with("\xC2\xA0")) {
            i += 2;
        } else if (rest.starts_with("\xEF\xBB\xBF")) {
            i += 3;
        } else {
            return false;
        }
    }
    return true;
}

} // namespace kiro::json
