/*
 * Any answer of the upstream through all dialects, judged by the strict readers and by another way to cut it.
 * First byte: even, then a frame a line, its type and its payload as it stands; odd, then decisions of the
 * generator, which knows what clients must see. Checksums are made here, as no fuzzer finds them.
 */
#include "support/fuzz_must.h"
#include "support/line_frames.h"
#include "support/reply_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char *>(data), size);
    if (input.empty()) {
        return 0;
    }
    test::or_abort([&] {
        if (*data & 1) {
            test::judge_random(input.substr(1));
            return;
        }
        test::Choices choices(input.substr(1));
        const std::size_t asked = choices.below(std::size(test::kAskings));
        const test::Delivery delivery = test::random_delivery(choices);
        test::judge(test::line_frames(choices), delivery, asked);
    });
    return 0;
}
