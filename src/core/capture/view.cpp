#include "core/capture/view.h"

#include <map>
#include <utility>

namespace kiro::capture {
namespace {

int digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = static_cast<char>(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Four hex digits at i; -1: there are none.
int unit_at(std::string_view text, size_t i) {
    int value = 0;
    for (size_t k = 0; k < 4; ++k) {
        const int d = i + k < text.size() ? digit(text[i + k]) : -1;
        if (d < 0) {
            return -1;
        }
        value = value * 16 + d;
    }
    return value;
}

// Secrets are ASCII; what else there is only has to be something else.
char as_ascii(int unit) {
    return unit < 0x80 ? static_cast<char>(unit) : '\xff';
}

char control_of(char c) {
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    default:
        return c;
    }
}

// The escape that begins at i; returns the place behind it.
size_t read_escape(std::string_view source, size_t i, View &out) {
    if (i + 1 >= source.size()) {
        return source.size();
    }
    const int unit = source[i + 1] == 'u' ? unit_at(source, i + 2) : -1;
    if (unit < 0) {
        out.add(control_of(source[i + 1]), i, i + 2);
        return i + 2;
    }
    out.add(as_ascii(unit), i, i + 6);
    return i + 6;
}

struct Ending {
    size_t place; // of the closing quote, or of what no string has
    bool is_string;
};

// The bytes of a string whose opening quote is at i - 1. One that the end of the source cuts is one (and ends
// there).
Ending read_string(std::string_view source, size_t i, View &out) {
    for (; i < source.size(); ++i) {
        const auto c = static_cast<unsigned char>(source[i]);
        if (c == '"') {
            return {i, true};
        }
        if (c < 0x20) {
            return {i, false};
        }
        if (c != '\\') {
            out.add(source[i], i, i + 1);
            continue;
        }
        i = read_escape(source, i, out) - 1;
    }
    return {source.size(), true};
}

size_t skip_space(std::string_view source, size_t i) {
    while (i < source.size() &&
           (source[i] == ' ' || source[i] == '\n' || source[i] == '\r' || source[i] == '\t')) {
        ++i;
    }
    return i;
}

void append(View &to, const View &piece) {
    to.text += piece.text;
    to.from.insert(to.from.end(), piece.from.begin(), piece.from.end());
    to.to.insert(to.to.end(), piece.to.begin(), piece.to.end());
}

} // namespace

std::vector<View> json_strings(std::string_view source) {
    constexpr size_t longest_key = 64;
    std::map<std::string, size_t, std::less<>> places;
    std::vector<View> views(2); // keys, and strings without a key
    size_t member = 0;          // whose value comes; 0: it is none
    View piece;
    for (size_t i = 0; (i = source.find('"', i)) != source.npos;) {
        const bool is_value = member != 0;
        View &out = is_value ? views[member] : piece;
        const size_t before = is_value ? out.text.size() : 0;
        out.shrink(before);
        const Ending end = read_string(source, i + 1, out);
        member = 0;
        i = end.place + 1;
        if (!end.is_string) {
            out.shrink(before); // binary, or a lone quote: the escaped ones up to here begin no string either
            continue;
        }
        if (is_value) {
            continue;
        }
        const size_t colon = skip_space(source, i);
        const bool is_key = colon < source.size() && source[colon] == ':';
        append(views[is_key ? 0 : 1], piece);
        views[is_key ? 0 : 1].add('\n', i - 1, i - 1);
        if (!is_key || piece.text.size() > longest_key) {
            continue;
        }
        i = skip_space(source, colon + 1);
        if (i < source.size() && source[i] == '"') {
            const auto [place, fresh] = places.try_emplace(piece.text, views.size());
            member = place->second;
            if (fresh) {
                views.emplace_back();
            }
        }
    }
    return views;
}

View without_escapes(std::string_view source) {
    View view;
    if (source.find('\\') == source.npos) {
        return view;
    }
    view.reserve(source.size());
    for (size_t i = 0; i < source.size();) {
        const size_t begin = i;
        while (i < source.size() && source[i] == '\\') {
            ++i;
        }
        if (i == source.size()) {
            break;
        }
        const int unit = i > begin && source[i] == 'u' ? unit_at(source, i + 1) : -1;
        const size_t end = i + (unit < 0 ? 1 : 5);
        view.add(unit < 0 ? source[i] : as_ascii(unit), begin, end);
        i = end;
    }
    return view;
}

View percent_decoded(std::string_view source) {
    View view;
    bool any = false;
    if (source.find('%') == source.npos) {
        return view;
    }
    view.reserve(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
        const int high = source[i] == '%' && i + 2 < source.size() ? digit(source[i + 1]) : -1;
        const int low = high < 0 ? -1 : digit(source[i + 2]);
        if (low < 0) {
            view.add(source[i], i, i + 1);
            continue;
        }
        view.add(static_cast<char>(high * 16 + low), i, i + 3);
        i += 2;
        any = true;
    }
    return any ? view : View();
}

} // namespace kiro::capture
