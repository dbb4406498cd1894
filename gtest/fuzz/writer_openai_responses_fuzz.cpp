#include "fuzz/writer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    test::fuzz_writer(KIRO_API_OPENAI_RESPONSES, data, size);
    return 0;
}
