// The events around an answer: metadata, the context's percentage, credits. Numbers of any size and sign.
#include "fuzz/event_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace test;
    Choices choices({reinterpret_cast<const char *>(data), size});
    const unsigned mode = choices.byte();
    EventRun run(event_context(choices));
    while (!choices.empty()) {
        static constexpr std::string_view kTypes[] = {"metadataEvent", "contextUsageEvent", "meteringEvent",
                                                      "assistantResponseEvent"};
        const std::string_view type = choices.pick(kTypes);
        if ((mode & 1) == 0) {
            run.frame(type, choices.line());
        } else if (type == "metadataEvent" && !choices.one_in(4)) {
            run.frame(type, R"({"stopReason":")" + random_text(choices, 3, true).raw + R"(","tokenUsage":)" +
                                odd_object(choices, {"uncachedInputTokens", "outputTokens",
                                                     "cacheReadInputTokens", "cacheWriteInputTokens",
                                                     "contextUsagePercentage", "totalTokens"}) +
                                "}");
        } else {
            run.frame(type, odd_object(choices, {"contextUsagePercentage", "usage", "unit", "stopReason",
                                                 "tokenUsage", "content"}));
        }
    }
    const bool fine = run.reader.failure() == nullptr;
    run.finish();
    must(fine == (run.reader.failure() == nullptr));
    run.reader.stop();
    return 0;
}
