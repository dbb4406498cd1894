// A client's body of one dialect. What is accepted must be written as valid JSON on every wire, twice the
// same.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/json/validate.h"
#include "kiro/explain.h"
#include "kiro/reply.h"
#include "kiro/request.h"

namespace kiro::test {

inline void must(bool holds) {
    if (!holds)
        std::abort();
}

inline void must_be_printable(const char *text, size_t length, size_t room) {
    must(length <= room);
    for (size_t i = 0; i < length; i++)
        must(text[i] >= ' ' && text[i] <= '~');
}

inline void fuzz_request(kiro_api api, const uint8_t *data, size_t size) {
    kiro_request_options options{};
    options.api = api;
    options.default_model = {"auto", 4};
    // The last byte says whether the changes are listed: a brace is odd, white space behind it is not.
    const bool explain = size > 0 && (data[size - 1] & 1) != 0;
    options.explain = explain;

    kiro_request *request = kiro_request_create(size);
    if (request == nullptr)
        return;
    if (size > 0)
        std::memcpy(kiro_request_buffer(request), data, size);
    kiro_failure failure{};
    kiro_str body{};
    if (kiro_request_parse(request, &options, &failure) == KIRO_OK) {
        for (kiro_wire wire : {KIRO_WIRE_V3, KIRO_WIRE_V2, KIRO_WIRE_REST}) {
            if (kiro_request_write(request, wire, {"arn:x", 5}, &body, &failure) != KIRO_OK)
                continue;
            const std::string first(body.data, body.len);
            const auto verdict = json::validate(first);
            must(verdict && !verdict.lone_surrogates);
            must(kiro_request_write(request, wire, {"arn:x", 5}, &body, &failure) == KIRO_OK);
            must(first == std::string_view(body.data, body.len));
        }
        // Whatever the names are, with a notice it is no worse.
        const kiro_str names{reinterpret_cast<const char *>(data), size < 100 ? size : 100};
        if (kiro_request_notice(request, names) == KIRO_OK &&
            kiro_request_write(request, KIRO_WIRE_V3, {"arn:x", 5}, &body, &failure) == KIRO_OK) {
            const std::string told(body.data, body.len);
            must(static_cast<bool>(json::validate(told)));
        }
    }
    must(failure.kind != KIRO_FAIL_INTERNAL);
    if (explain) {
        char list[KIRO_EXPLAIN_MAX];
        for (size_t room : {sizeof(list), size % sizeof(list)}) {
            must_be_printable(list, kiro_request_changes(request, list, room), room);
            must_be_printable(list, kiro_request_explain(request, &failure, list, room), room);
        }
        const std::string refusal = R"({"reason":"REQUEST_BODY_INVALID"})";
        kiro_upstream_failure(400, {}, {}, {refusal.data(), refusal.size()}, &failure);
        must_be_printable(list, kiro_request_explain(request, &failure, list, sizeof(list)), sizeof(list));
    }
    kiro_request_free(request);
}

} // namespace kiro::test
