// Pages of profiles, the first byte choosing the status: what is listed is an ARN, and a description of it
// is short and holds no control character.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kiro/profiles.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    constexpr int statuses[] = {200, 200, 400, 403, 500};
    const int status = statuses[data[0] % 5];
    const kiro_str input{reinterpret_cast<const char *>(data + 1), size - 1};
    kiro_profiles *profiles = kiro_profiles_create();
    kiro_failure failure{};
    for (int host = 0; host < 2; host++) {
        kiro_status result = kiro_profiles_page(profiles, status, {nullptr, 0}, input, &failure);
        if (result == KIRO_AGAIN)
            result = kiro_profiles_page(profiles, status, {nullptr, 0}, input, &failure);
        if (result == KIRO_AGAIN || (result == KIRO_ERROR && failure.kind == KIRO_FAIL_INTERNAL) ||
            kiro_profiles_next(profiles).len != 0)
            std::abort();
    }
    for (size_t i = 0; i < kiro_profiles_count(profiles); i++) {
        kiro_str region{};
        if (kiro_arn_region(kiro_profiles_arn(profiles, i), &region) != KIRO_OK)
            std::abort();
        char text[256];
        const size_t n = kiro_profiles_describe(profiles, i, text, sizeof(text));
        for (size_t k = 0; k < n; k++) {
            if (static_cast<unsigned char>(text[k]) < 0x20)
                std::abort();
        }
    }
    kiro_profiles_free(profiles);
    return 0;
}
