// Text events: what comes out is what went in, halves of characters joined over frames.
#include "fuzz/event_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace test;
    Choices choices({reinterpret_cast<const char *>(data), size});
    if ((choices.byte() & 3) != 3) {
        fuzz_events(data, size, "assistantResponseEvent", {"content", "modelId", "", "modelTag"});
        return 0;
    }
    EventRun run(event_context(choices));
    std::u16string sent;
    while (!choices.empty()) {
        const Text text = random_text(choices, 6, true);
        const bool code = choices.one_in(8);
        run.frame(code ? "codeEvent" : "assistantResponseEvent",
                  R"({"a":["]}"],"content":")" + text.raw + R"(","b":null})");
        sent += text.units;
        must(utf8_of(sent).starts_with(run.text));
    }
    run.finish();
    must(run.reader.failure() == nullptr && run.text == utf8_of(sent));
    return 0;
}
