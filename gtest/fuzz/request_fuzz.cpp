// The first byte chooses dialect and wire, the rest is a client's body. What is accepted must be written as
// valid JSON.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/json/validate.h"
#include "kiro/request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    kiro_request_options options{};
    options.api = static_cast<kiro_api>(data[0] % 3);
    auto wire = static_cast<kiro_wire>(data[0] / 3 % 3);
    options.default_model = {"auto", 4};

    kiro_request *request = kiro_request_create(size - 1);
    if (request == nullptr)
        return 0;
    std::memcpy(kiro_request_buffer(request), data + 1, size - 1);
    kiro_failure failure{};
    kiro_str body{};
    if (kiro_request_parse(request, &options, &failure) == KIRO_OK) {
        if (kiro_request_write(request, wire, {"arn:x", 5}, &body, &failure) == KIRO_OK) {
            auto verdict = kiro::json::validate({body.data, body.len});
            if (!verdict)
                std::abort();
            if (verdict.lone_surrogates)
                std::abort();
        }
    }
    if (failure.kind == KIRO_FAIL_INTERNAL)
        std::abort();
    kiro_request_free(request);
    return 0;
}
