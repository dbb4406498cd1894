// Any text in any pieces: they do not matter, what is no call comes out as it went in, and calls have
// objects.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/chat/reply_context.h"
#include "core/json/character.h"
#include "core/json/validate.h"
#include "core/json/writer.h"
#include "core/stages/leaked_calls.h"

namespace {

using namespace kiro;

void need(bool condition) {
    if (!condition)
        std::abort();
}

struct Result {
    std::string text, calls;
    std::size_t rescued = 0;

    bool operator==(const Result &) const = default;
};

Result run(std::string_view raw, unsigned piece) {
    static const std::vector<chat::Tool> tools{
        {"f", "", "", "",
         R"({"type":"object","properties":{"n":{"type":"integer"},"p":{"type":["object"]}}})"},
        {"patch", "", "", "", "", true}};
    static const std::vector<chat::ToolAlias> aliases{{"patch", "patch", "", true}};
    static const chat::CallableTools callable(tools, aliases, {});
    stages::LeakedCalls stage(callable, "0123456789");
    Result result;
    const auto sink = [&](const chat::Event &event) {
        if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
            result.text += text->text;
            return;
        }
        const auto &call = std::get<chat::FinishedCall>(event);
        need(call.input.starts_with('{') && json::validate(call.input) &&
             json::unescaped(call.arguments) == call.input);
        result.calls.append(call.id).append(call.name).append(call.input).append(call.text);
    };
    while (!raw.empty()) {
        std::size_t size = 0;
        for (unsigned n = 0; n < piece && size < raw.size(); n++)
            size += json::first_character(raw.substr(size)).raw;
        const std::string copy(raw.substr(0, size)); // so that a view kept too long is noticed
        stage.take(chat::TextDelta{copy}, sink);
        raw.remove_prefix(size);
    }
    stage.finish(sink);
    result.rescued = stage.rescued();
    return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string raw = json::escaped({reinterpret_cast<const char *>(data), size});
    const Result whole = run(raw, UINT32_MAX);
    for (const unsigned piece : {1U, 2U, 13U})
        need(run(raw, piece) == whole);
    need(static_cast<bool>(json::validate('"' + whole.text + '"')));
    need(whole.rescued > 0 ? whole.text.size() < raw.size() : whole.text == raw);
    return 0;
}
