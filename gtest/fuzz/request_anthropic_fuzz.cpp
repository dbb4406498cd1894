#include "fuzz/request_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kiro::test::fuzz_request(KIRO_API_ANTHROPIC, data, size);
    return 0;
}
