#include "kiro/usage_limits.h"

#include <string_view>

#include "core/abi/guarded.h"
#include "core/kiro/usage_limits.h"

namespace {

namespace impl = kiro::kiro;
using kiro::abi::copy_out;
using kiro::abi::guarded;

std::string_view view_of(kiro_str text) {
    return text.len == 0 ? std::string_view() : std::string_view(text.data, text.len);
}

constexpr const char *unprocessed = "the limits of the account could not be processed";

} // namespace

extern "C" {

size_t kiro_usage_request(const kiro_usage_query *query, char *buf, size_t cap, kiro_failure *f) {
    return guarded(f, unprocessed, size_t{0}, [&] {
        const auto request = impl::usage_request(*query, f);
        return request ? copy_out(request->view(), buf, cap) : size_t{0};
    });
}

kiro_status kiro_usage_parse(int status, kiro_str error_type, kiro_str body, kiro_usage_limits *limits,
                             kiro_failure *f) {
    return guarded(f, unprocessed, KIRO_ERROR,
                   [&] { return impl::read_usage(status, view_of(error_type), view_of(body), *limits, f); });
}

int64_t kiro_usage_resets_at(const kiro_usage_limits *limits, int64_t now) {
    return impl::usage_resets_at(*limits, now);
}

size_t kiro_usage_answer(const kiro_usage_view *view, char *buf, size_t cap, kiro_failure *f) {
    return guarded(f, unprocessed, size_t{0}, [&] { return copy_out(impl::usage_answer(*view), buf, cap); });
}

} // extern "C"
