// What the functions of the C ABI do with what they return and with what is thrown.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>

#include "kiro/kiro.h"

namespace kiro::abi {

// The length that is needed; written only if cap is enough.
inline std::size_t copy_out(std::string_view text, char *buf, std::size_t cap) noexcept {
    if (!text.empty() && text.size() <= cap) {
        std::memcpy(buf, text.data(), text.size());
    }
    return text.size();
}

// Runs body, which returns a length or a status; what it throws becomes error and failure: no memory, or
// what otherwise says.
template <class Result, class Body>
Result guarded(kiro_failure *f, const char *otherwise, Result error, Body &&body) noexcept {
    try {
        return body();
    } catch (const std::bad_alloc &) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "out of memory");
    } catch (...) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "%s", otherwise);
    }
    return error;
}

} // namespace kiro::abi
