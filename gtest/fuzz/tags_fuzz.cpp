/*
 * Tags of reasoning in any text and any pieces, against the rule read over the whole text at once. First
 * byte: whether reasoning is shown, and where something else comes between.
 */
#include "core/json/character.h"
#include "core/json/writer.h"
#include "core/stages/tags.h"

#include "support/fuzz_must.h"
#include "support/random_json.h"

#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace kiro;
using test::must;

struct Parts {
    std::string text, reasoning;

    bool operator==(const Parts &) const = default;
};

Parts parse(std::string_view raw, unsigned piece, bool shown) {
    stages::TagParser parser(shown);
    Parts parts;
    const auto sink = [&](const chat::Event &event) {
        if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
            must(!text->text.empty());
            parts.text += json::unescaped(text->text);
        } else if (const auto *reasoning = std::get_if<chat::ReasoningDelta>(&event)) {
            must(!reasoning->text.empty());
            parts.reasoning += json::unescaped(reasoning->text);
        }
    };
    while (!raw.empty()) {
        std::size_t size = 0;
        for (unsigned n = 0; n < piece && size < raw.size(); n++) {
            size += json::first_character(raw.substr(size)).raw;
        }
        const std::string copy(raw.substr(0, size)); // so that a view kept too long is noticed
        parser.take(chat::TextDelta{copy}, sink);
        raw.remove_prefix(size);
    }
    parser.finish(sink);
    return parts;
}

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Behind a closing tag: where the answer begins, or nothing if the tag does not count.
std::optional<std::size_t> behind(std::string_view text, std::size_t at, bool alone) {
    std::size_t line = at; // behind the last line end
    unsigned ends = 0;
    std::size_t i = at;
    std::size_t held = 0; // of the line, as it stands in JSON
    for (; i < text.size() && is_space(text[i]) && held < 256; i++) {
        held += text[i] == ' ' ? 1 : 2;
        if (text[i] == '\n') {
            line = i + 1;
            held = 0;
            if (++ends == 2) {
                return line;
            }
        }
    }
    if (i == text.size()) {
        return i;
    }
    return ends == 1 && alone ? std::optional(line) : std::nullopt;
}

// Is the line that begins here between code fences? lead: where the text begins.
bool in_code(std::string_view text, std::size_t lead, std::size_t at) {
    bool code = false;
    while (lead < at) {
        const std::string_view line = text.substr(lead, text.find('\n', lead) - lead);
        code ^= line.substr(std::min(line.find_first_not_of(' '), line.size())).starts_with("```");
        lead += line.size() + 1;
    }
    return code;
}

Parts reference(std::string_view text, bool shown) {
    Parts parts;
    std::size_t open = text.npos, inside = 0;
    std::string_view name;
    const std::size_t lead = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    for (std::size_t at = 0; at < text.size() && open == text.npos; at++) {
        if (text[at] != '<' || !(at == lead || (at > 0 && text[at - 1] == '\n'))) {
            continue;
        }
        if (in_code(text, lead, at)) {
            continue;
        }
        for (const std::string_view candidate : {"thinking", "think", "reasoning", "thought"}) {
            const std::string tag = "<" + std::string(candidate) + ">";
            if (text.substr(at).starts_with(tag)) {
                open = at;
                inside = at + tag.size();
                name = candidate;
            }
        }
    }
    if (open == text.npos) {
        parts.text = text;
        return parts;
    }
    parts.text = open == lead ? "" : std::string(text.substr(0, open));
    while (inside < text.size() && text[inside] == '\r') {
        inside++;
    }
    if (inside < text.size() && text[inside] == '\n') {
        inside++;
    }
    const std::string closing = "</" + std::string(name) + ">";
    std::size_t end = text.size(), answer = text.size();
    for (std::size_t at = inside; at < text.size(); at++) {
        if (!text.substr(at).starts_with(closing)) {
            continue;
        }
        const bool alone = at == inside || text[at - 1] == '\n';
        if (const auto begin = behind(text, at + closing.size(), alone)) {
            end = at;
            answer = *begin;
            break;
        }
    }
    parts.reasoning = text.substr(inside, end - inside);
    parts.text += text.substr(answer);
    if (shown && parts.text.empty() && !parts.reasoning.empty()) {
        parts.text = " ";
    }
    return parts;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    test::Choices choices({reinterpret_cast<const char *>(data) + 1, size - 1});
    std::string raw;
    if (data[0] & 2) {
        static constexpr std::string_view kWords[] = {
            "<thinking>",      "</thinking>", "<think>", "</think>",  "</thought>", R"(\n)",  R"(\n\n)",
            R"(\r\n)",         " ",           "a",       "<",         "</thin",     "\u65e5", R"(\u003c)",
            R"(\ud83d\ude42)", "think>",      R"(\t)",   "<thought>", "```",        "`"};
        while (!choices.empty()) {
            raw += choices.pick(kWords);
        }
    } else {
        raw = json::escaped({reinterpret_cast<const char *>(data) + 1, size - 1});
    }
    const bool shown = data[0] & 1;
    const Parts whole = parse(raw, UINT32_MAX, shown);
    for (const unsigned piece : {1U, 2U, 3U, 7U}) {
        must(parse(raw, piece, shown) == whole);
    }
    must(whole == reference(json::unescaped(raw), shown));
    return 0;
}
