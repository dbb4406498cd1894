// Secrets in any form, spread over any messages: none is left, the stream stays one. First byte: odd, the
// bytes are masked as they are.
#include "support/capture_property.h"
#include "support/fuzz_must.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char *>(data), size);
    if (size != 0 && (data[0] & 1) != 0) {
        kiro::capture::SecretList secrets;
        for (const std::string_view secret : test::capture_secrets) {
            secrets.add(secret);
        }
        const kiro::capture::Needles needles(secrets);
        std::string text(bytes);
        kiro::capture::mask(text, needles);
        test::must(text.size() == size);
        for (const std::string_view secret : test::capture_secrets) {
            test::must(text.find(secret) == text.npos);
        }
        return 0;
    }
    test::Choices choices(bytes.substr(size == 0 ? 0 : 1));
    const std::string wrong = test::judge_masked(test::spread_secrets(choices));
    if (!wrong.empty()) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
    }
    test::must(wrong.empty());
    return 0;
}
