/*
 * Any text in any pieces through the stages of a reply: the pieces must not matter, stop texts must not come
 * out, and a limit must hold. First byte: which stages; up to the first line end: the stop text.
 */
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/character.h"
#include "core/json/schema_check.h"
#include "core/json/validate.h"
#include "core/json/writer.h"
#include "core/stages/stages.h"

namespace {

using namespace kiro;

void need(bool condition) {
    if (!condition)
        std::abort();
}

struct Answer {
    std::string text, reasoning, calls;
    std::size_t rescued = 0;
    std::optional<chat::Stop> stop;

    bool operator==(const Answer &) const = default;
};

Answer run(const chat::ReplyContext &context, std::string_view raw, unsigned piece) {
    stages::Stages stages(context, true, "answer");
    Answer answer;
    const auto sink = [&](const chat::Event &event) {
        if (const auto *text = std::get_if<chat::TextDelta>(&event))
            answer.text += text->text;
        else if (const auto *reasoning = std::get_if<chat::ReasoningDelta>(&event))
            answer.reasoning += reasoning->text;
        else if (const auto *call = std::get_if<chat::FinishedCall>(&event)) {
            need(call->name == "f" || call->name == "patch");
            need(call->input.starts_with('{') && json::validate(call->input));
            need(json::unescaped(call->arguments) == call->input);
            answer.calls.append(call->id).append(call->name).append(call->input).append(call->text);
        }
    };
    while (!raw.empty()) {
        std::size_t size = 0;
        for (unsigned n = 0; n < piece && size < raw.size(); n++)
            size += json::first_character(raw.substr(size)).raw;
        const std::string copy(raw.substr(0, size)); // so that a view kept too long is noticed
        stages.take(chat::TextDelta{copy}, sink);
        raw.remove_prefix(size);
    }
    stages.finish(sink);
    answer.stop = stages.stop();
    answer.rescued = stages.rescued();
    return answer;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char *>(data), size);
    if (input.empty())
        return 0;
    const auto options = static_cast<unsigned char>(input.front());
    input.remove_prefix(1);
    const std::size_t line = std::min(input.find('\n'), input.size());
    const std::string stop = json::escaped(input.substr(0, line));
    input.remove_prefix(std::min(line + 1, input.size()));
    const std::string raw = json::escaped(input);

    std::vector<json::Raw> stops;
    if (!stop.empty())
        stops.push_back(stop);
    chat::ReplyContext context;
    context.stop = stops;
    context.tagged_reasoning = (options & 1) != 0;
    context.reasoning = (options & 2) == 0;
    context.output = (options & 4) != 0 ? chat::OutputKind::json_object : chat::OutputKind::text;
    context.max_tokens = (options & 8) != 0 ? 1 + (options >> 4) : 0;

    static const std::vector<chat::Tool> tools{
        {"f", "", "", "", R"({"type":"object","properties":{"n":{"type":"integer"}}})"},
        {"patch", "", "", "", "", true}};
    static const std::vector<chat::ToolAlias> aliases{{"patch", "patch", "", true}};
    static const chat::CallableTools callable(tools, aliases, {});
    const bool rescue = (options & 16) != 0;
    if (rescue)
        context.callable = &callable;

    const Answer whole = run(context, raw, UINT32_MAX);
    for (const unsigned piece : {1U, 2U, 7U}) {
        const Answer cut = run(context, raw, piece);
        need(cut == whole);
    }
    need(rescue || (whole.rescued == 0 && whole.calls.empty()));
    need(json::validate('"' + whole.text + '"') && json::validate('"' + whole.reasoning + '"'));
    if (!stop.empty() && context.output == chat::OutputKind::text && !context.tagged_reasoning)
        need(json::unescaped(whole.text).find(json::unescaped(stop)) == std::string::npos);
    if (context.max_tokens > 0)
        need(json::unescaped(whole.text).size() + json::unescaped(whole.reasoning).size() <=
             context.max_tokens * 14);

    if (json::validate(input)) {
        json::schema_mismatch(input, R"({"a":[1,"b",null]})");
        json::schema_mismatch(R"({"type":"object","properties":{"a":{"$ref":"#"}}})", input);
        json::schema_mismatch(input, input);
    }
    return 0;
}
