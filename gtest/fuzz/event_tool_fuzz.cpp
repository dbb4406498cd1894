// Tool events: a call comes out once, whole and with an object for its input, or not at all.
#include "fuzz/event_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace test;
    Choices choices({reinterpret_cast<const char *>(data), size});
    if ((choices.byte() & 3) != 3) {
        fuzz_events(data, size, "toolUseEvent", {"toolUseId", "name", "input", "stop", "input"});
        return 0;
    }
    // The rest is the input of one call, cut where the fuzzer says.
    EventRun run({});
    const std::string cuts{static_cast<char>(choices.byte()), static_cast<char>(choices.byte()),
                           static_cast<char>(choices.byte())};
    std::string input;
    while (!choices.empty()) {
        input += static_cast<char>(choices.byte());
    }
    if (kiro::json::validate('"' + input + '"').reason != nullptr && choices.empty()) {
        input = kiro::json::escaped(input); // not a string: then a string of it
    }
    std::string_view rest = input;
    for (const char cut : cuts) {
        std::size_t end = std::min<std::size_t>(static_cast<unsigned char>(cut), rest.size());
        // A frame is JSON: it ends neither in a character nor in an escape.
        while (end > 0 && !kiro::json::validate('"' + std::string(rest.substr(0, end)) + '"')) {
            --end;
        }
        run.frame("toolUseEvent",
                  R"({"toolUseId":"t","name":"n","input":")" + std::string(rest.substr(0, end)) + "\"}");
        rest.remove_prefix(end);
    }
    run.frame("toolUseEvent",
              R"({"toolUseId":"t","name":"n","input":")" + std::string(rest) + R"(","stop":true})");
    must(run.reader.failure() == nullptr && run.calls.size() <= 1);
    std::string whole;
    must(kiro::json::unescape(input, whole));
    must(run.calls.size() == 1 || run.reader.truncated());
    if (input.size() < 4096) { // what a call may hold here
        const std::size_t from = std::min(whole.find_first_not_of(" \n\r\t"), whole.size());
        const bool object = from == whole.size() || (whole[from] == '{' && kiro::json::validate(whole));
        must(!object || run.calls.size() == 1); // a good call is never lost
    }
    return 0;
}
