#include "fuzz/writer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    test::fuzz_writer(KIRO_API_ANTHROPIC, data, size);
    return 0;
}
