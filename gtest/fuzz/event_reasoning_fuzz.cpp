// Reasoning events: text as text events, signatures whole and each once.
#include "fuzz/event_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace test;
    Choices choices({reinterpret_cast<const char *>(data), size});
    if ((choices.byte() & 3) != 3) {
        fuzz_events(data, size, "reasoningContentEvent", {"text", "signature", "redactedContent", "x"});
        return 0;
    }
    kiro::chat::ReplyContext context = event_context(choices);
    context.seal_key = {};
    EventRun run(context);
    std::u16string sent;
    std::string signatures, opaque;
    while (!choices.empty()) {
        switch (choices.below(8)) {
        case 0:
            run.frame("reasoningContentEvent", R"({"signature":"QU\/="})");
            signatures += R"(QU\/=)";
            break;
        case 1:
            run.frame("reasoningContentEvent", R"({"redactedContent":"UmVk"})");
            opaque += "UmVk";
            break;
        case 2:
            run.frame("reasoningContentEvent", R"({"signature":"T3A=","text":"..."})");
            opaque += "T3A=";
            break;
        case 3:
            run.frame("assistantResponseEvent", R"({"content":"x"})");
            break;
        default: {
            const Text text = random_text(choices, 6, true);
            run.frame("reasoningContentEvent", R"({"text":")" + text.raw + "\"}");
            sent += text.units;
        }
        }
    }
    run.finish();
    must(run.reader.failure() == nullptr && run.reasoning == utf8_of(sent));
    must(run.signatures == signatures && run.opaque == opaque);
    return 0;
}
