#include "kiro/profiles.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/kiro/profiles.h"

namespace {

namespace impl = kiro::kiro;

// As kiro-cli sends it.
constexpr std::string_view builder_id_profile =
    "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX";

kiro_str str_of(std::string_view text) {
    return {text.data(), text.size()};
}

std::string_view view_of(kiro_str text) {
    return text.len == 0 ? std::string_view() : std::string_view(text.data, text.len);
}

void out_of_memory(kiro_failure *f) {
    kiro_failure_set(f, KIRO_FAIL_INTERNAL, "out of memory");
}

} // namespace

struct kiro_profiles {
    impl::ProfileList value;
};

extern "C" {

size_t kiro_profiles_request(const kiro_profiles_query *query, char *buf, size_t cap, kiro_failure *f) {
    try {
        const auto request = impl::profiles_request(*query, f);
        if (!request)
            return 0;
        if (request->size() <= cap)
            std::memcpy(buf, request->view().data(), request->size());
        return request->size();
    } catch (...) {
        out_of_memory(f);
        return 0;
    }
}

kiro_profiles *kiro_profiles_create(void) {
    return new (std::nothrow) kiro_profiles;
}

void kiro_profiles_free(kiro_profiles *profiles) {
    delete profiles;
}

kiro_status kiro_profiles_page(kiro_profiles *profiles, int status, kiro_str error_type, kiro_str body,
                               kiro_failure *f) {
    try {
        return profiles->value.add_page(status, view_of(error_type), view_of(body), f);
    } catch (...) {
        out_of_memory(f);
        return KIRO_ERROR;
    }
}

kiro_str kiro_profiles_next(const kiro_profiles *profiles) {
    return str_of(profiles->value.next());
}

int kiro_profiles_builder_id(const kiro_profiles *profiles) {
    return profiles->value.builder_id();
}

size_t kiro_profiles_count(const kiro_profiles *profiles) {
    return profiles->value.profiles().size();
}

kiro_str kiro_profiles_arn(const kiro_profiles *profiles, size_t i) {
    return str_of(profiles->value.profiles()[i].arn);
}

size_t kiro_profiles_describe(const kiro_profiles *profiles, size_t i, char *buf, size_t cap) {
    try {
        const std::string text = impl::describe(profiles->value.profiles()[i]);
        const size_t n = std::min(text.size(), cap);
        std::memcpy(buf, text.data(), n);
        return n;
    } catch (...) {
        return 0;
    }
}

kiro_str kiro_builder_id_profile(void) {
    return str_of(builder_id_profile);
}

} // extern "C"
