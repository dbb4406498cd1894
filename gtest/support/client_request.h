// A kiro_request from create to write, as nginx uses it.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "kiro/request.h"

namespace kiro::test {

struct Freer {
    void operator()(kiro_request *r) const { kiro_request_free(r); }
};

class ClientRequest {
public:
    explicit ClientRequest(kiro_api api = KIRO_API_OPENAI_CHAT) { options.api = api; }

    kiro_request_options options{};
    kiro_failure failure{};
    std::unique_ptr<kiro_request, Freer> request;

    bool parse(std::string_view body) {
        request.reset(kiro_request_create(body.size()));
        std::memcpy(kiro_request_buffer(request.get()), body.data(), body.size());
        return kiro_request_parse(request.get(), &options, &failure) == KIRO_OK;
    }

    // Empty: failed.
    std::string write(kiro_wire wire = KIRO_WIRE_V3, std::string_view arn = {}) {
        kiro_str body{};
        if (kiro_request_write(request.get(), wire, {arn.data(), arn.size()}, &body, &failure) != KIRO_OK)
            return {};
        return std::string(body.data, body.len);
    }

    kiro_status change(kiro_change what, const char *why = "") {
        kiro_failure said{};
        kiro_failure_set(&said, KIRO_FAIL_UPSTREAM_PROTOCOL, "%s", why);
        said.change = what;
        return kiro_request_change(request.get(), &said);
    }

    kiro_request_info info() const {
        kiro_request_info out{};
        kiro_request_get_info(request.get(), &out);
        return out;
    }
};

inline std::string_view view(kiro_str s) {
    return {s.data, s.len};
}

} // namespace kiro::test
