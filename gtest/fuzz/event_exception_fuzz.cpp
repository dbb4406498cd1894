// Exceptions and error frames: every one ends the answer with a failure that says nothing of the upstream.
#include "fuzz/event_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace test;
    static constexpr std::string_view kHeaders[] = {":exception-type", ":error-code", ":error-message",
                                                    ":event-type", ":content-type"};
    static constexpr std::string_view kNames[] = {"error",
                                                  "throttlingError",
                                                  "validationError",
                                                  "serviceUnavailableError",
                                                  "ThrottlingException",
                                                  "InternalServerException",
                                                  "ContentLengthExceededException",
                                                  "ModelStreamErrorException",
                                                  "a.b#ThrottlingException:http",
                                                  "secret"};
    Choices choices({reinterpret_cast<const char *>(data), size});
    const unsigned mode = choices.byte();
    EventRun run(event_context(choices));
    std::string headers = string_header(":message-type", mode & 2 ? "error" : "exception");
    for (unsigned n = choices.below(4); n > 0; --n) {
        const std::string_view name = choices.pick(kHeaders);
        headers += string_header(name, mode & 4 ? std::string(choices.line()).substr(0, 1000)
                                                : std::string(choices.pick(kNames)));
    }
    std::string payload;
    if (mode & 1) {
        payload = odd_object(choices, {"message", "Message", "reason", "__type", "retryAfterMilliseconds"});
    }
    while (!choices.empty()) {
        payload += static_cast<char>(choices.byte());
    }
    run.frame_of(headers, payload);
    must(run.reader.failure() != nullptr && run.text.empty());
    run.frame("assistantResponseEvent", R"({"content":"too late"})");
    must(run.text.empty());
    return 0;
}
