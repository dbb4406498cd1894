#include "kiro/usage_limits.h"

#include <cstring>
#include <new>

#include "core/kiro/usage_limits.h"

namespace {

namespace impl = kiro::kiro;

std::string_view view_of(kiro_str text) {
    return text.len == 0 ? std::string_view() : std::string_view(text.data, text.len);
}

size_t copy_out(std::string_view text, char *buf, size_t cap) {
    if (!text.empty() && text.size() <= cap)
        std::memcpy(buf, text.data(), text.size());
    return text.size();
}

// Runs body, which returns a length or a status; what it throws becomes error and failure.
template <class Result, class Body> Result guarded(kiro_failure *f, Result error, Body &&body) noexcept {
    try {
        return body();
    } catch (const std::bad_alloc &) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "out of memory");
    } catch (...) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "the limits of the account could not be processed");
    }
    return error;
}

} // namespace

extern "C" {

size_t kiro_usage_request(const kiro_usage_query *query, char *buf, size_t cap, kiro_failure *f) {
    return guarded(f, size_t{0}, [&] {
        const auto request = impl::usage_request(*query, f);
        return request ? copy_out(request->view(), buf, cap) : size_t{0};
    });
}

kiro_status kiro_usage_parse(int status, kiro_str error_type, kiro_str body, kiro_usage_limits *limits,
                             kiro_failure *f) {
    return guarded(f, KIRO_ERROR,
                   [&] { return impl::read_usage(status, view_of(error_type), view_of(body), *limits, f); });
}

int64_t kiro_usage_resets_at(const kiro_usage_limits *limits, int64_t now) {
    return impl::usage_resets_at(*limits, now);
}

size_t kiro_usage_answer(const kiro_usage_view *view, char *buf, size_t cap, kiro_failure *f) {
    return guarded(f, size_t{0}, [&] { return copy_out(impl::usage_answer(*view), buf, cap); });
}

} // extern "C"
