// Answers about limits, the first byte choosing the status: what is kept is terminated and in bounds, and
// what clients are told of it is JSON.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/json/validate.h"
#include "kiro/usage_limits.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    constexpr int statuses[] = {200, 200, 400, 403, 500};
    const int status = statuses[data[0] % 5];
    const kiro_str input{reinterpret_cast<const char *>(data + 1), size - 1};
    kiro_failure failure{};
    kiro_usage_limits limits;
    const kiro_status result = kiro_usage_parse(status, {nullptr, 0}, input, &limits, &failure);
    if ((result == KIRO_OK) != (status == 200 && failure.kind == KIRO_FAIL_NONE) ||
        (result == KIRO_ERROR && failure.kind == KIRO_FAIL_INTERNAL))
        std::abort();
    if (result != KIRO_OK)
        return 0;
    if (limits.nresources > KIRO_USAGE_RESOURCES || std::memchr(limits.subscription, 0, 64) == nullptr)
        std::abort();
    for (uint32_t i = 0; i < limits.nresources; i++) {
        const kiro_usage_resource &resource = limits.resources[i];
        if (resource.nbonuses > KIRO_USAGE_BONUSES || resource.type[0] == '\0' ||
            std::memchr(resource.type, 0, sizeof(resource.type)) == nullptr)
            std::abort();
    }
    const int64_t now = 1777000000000;
    const int64_t next = kiro_usage_resets_at(&limits, now);
    if (next != 0 && next <= now)
        std::abort();
    const kiro_usage_view view{{"main", 4}, &limits, now - 5000, now, 0};
    std::string out(kiro_usage_answer(&view, nullptr, 0, &failure), '\0');
    if (out.empty() || kiro_usage_answer(&view, out.data(), out.size(), &failure) != out.size() ||
        !kiro::json::validate(out))
        std::abort();
    return 0;
}
