#include "core/kiro/volatile.h"

#include <algorithm>
#include <string>

namespace kiro::kiro {

namespace {

struct Line {
    std::string_view begin, end;
};

// Claude Code's
constexpr Line volatile_lines[] = {
    {"x-anthropic-billing-header:", ""},
    {"<total_tokens>", "</total_tokens>"},
};

bool is_volatile(Raw line) {
    return std::any_of(std::begin(volatile_lines), std::end(volatile_lines), [line](const Line &known) {
        return line.starts_with(known.begin) && line.ends_with(known.end);
    });
}

bool may_have(Raw text) {
    return std::any_of(std::begin(volatile_lines), std::end(volatile_lines),
                       [text](const Line &known) { return text.find(known.begin) != Raw::npos; });
}

// Where the line ends, before its line end.
size_t line_length(Raw text) {
    size_t i = 0;
    while (i < text.size() && text.substr(i, 2) != "\\n")
        i += text[i] == '\\' ? 2 : 1;
    return std::min(i, text.size());
}

std::string stripped(Raw text) {
    std::string out;
    bool any = false;
    for (;;) {
        size_t n = line_length(text);
        if (!is_volatile(text.substr(0, n))) {
            out += any ? "\\n" : "";
            out += text.substr(0, n);
            any = true;
        }
        if (n == text.size())
            return out;
        text.remove_prefix(n + 2);
    }
}

} // namespace

void strip_volatile_lines(std::vector<Raw> &texts, chat::Arena &arena) {
    for (Raw &text : texts) {
        if (!may_have(text))
            continue;
        std::string kept = stripped(text);
        if (kept.size() < text.size())
            arena.note(chat::Rule::volatile_line_removed, text);
        text = arena.keep(std::move(kept));
    }
    std::erase_if(texts, json::is_blank);
}

} // namespace kiro::kiro
