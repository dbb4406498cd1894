#include <cstring>
#include <new>
#include <utility>

#include <sys/file.h>
#include <unistd.h>

#include "core/kiro/credential.h"
#include "store/profile.h"
#include "store/source.h"
#include "store/state.h"
#include "store/write_back.h"

namespace {

template <class Read> kiro_credential *guarded(kiro_failure *f, Read read) {
    try {
        auto cred = read();
        return cred ? new kiro_credential{std::move(*cred)} : nullptr;
    } catch (const std::exception &error) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "%s", error.what());
        return nullptr;
    }
}

kiro_status failed(kiro_failure *f, const std::exception &error) {
    kiro_failure_set(f, KIRO_FAIL_INTERNAL, "%s", error.what());
    return dynamic_cast<const std::bad_alloc *>(&error) != nullptr ? KIRO_NOMEM : KIRO_ERROR;
}

std::string_view view_of(kiro_str text) {
    return text.len == 0 ? std::string_view() : std::string_view(text.data, text.len);
}

} // namespace

extern "C" {

kiro_source_kind kiro_store_detect(const kiro_source *source) {
    return kiro::store::detect(*source);
}

kiro_credential *kiro_store_read_source(const kiro_source *source, kiro_failure *f) {
    return guarded(f, [&] { return kiro::store::read_source(*source, f); });
}

kiro_status kiro_store_write_back(const kiro_source *source, const kiro_credential *used,
                                  const kiro_credential *fresh, kiro_credential **found, kiro_failure *f) {
    *found = nullptr;
    try {
        std::optional<kiro::kiro::Credential> other;
        const kiro_status status = kiro::store::write_back(*source, used->value, fresh->value, other, f);
        if (other) {
            *found = new kiro_credential{std::move(*other)};
        }
        return status;
    } catch (const std::exception &error) {
        return failed(f, error);
    }
}

kiro_status kiro_store_check_dir(const char *dir, int64_t owner, kiro_failure *f) {
    try {
        return kiro::store::check_dir(dir, owner, f);
    } catch (const std::exception &error) {
        return failed(f, error);
    }
}

kiro_status kiro_store_check_usable(const char *dir, kiro_failure *f) {
    try {
        return kiro::store::check_usable(dir, f) ? KIRO_OK : KIRO_ERROR;
    } catch (const std::exception &error) {
        return failed(f, error);
    }
}

kiro_credential *kiro_store_read_state(const char *dir, const char *account, kiro_failure *f) {
    return guarded(f, [&] { return kiro::store::read_state(dir, account, f); });
}

kiro_status kiro_store_write_state(const char *dir, const char *account, const kiro_credential *cred,
                                   kiro_failure *f) {
    try {
        return kiro::store::write_state(dir, account, cred->value, f) ? KIRO_OK : KIRO_ERROR;
    } catch (const std::exception &error) {
        return failed(f, error);
    }
}

kiro_status kiro_store_write_profile(const char *dir, const char *account, kiro_str fingerprint, kiro_str arn,
                                     kiro_failure *f) {
    try {
        return kiro::store::write_profile(dir, account, view_of(fingerprint), view_of(arn), f) ? KIRO_OK
                                                                                               : KIRO_ERROR;
    } catch (const std::exception &error) {
        return failed(f, error);
    }
}

kiro_status kiro_store_read_profile(const char *dir, const char *account, kiro_str fingerprint, char *arn,
                                    size_t cap, size_t *len, kiro_failure *f) {
    try {
        const auto found = kiro::store::read_profile(dir, account, view_of(fingerprint), f);
        if (!found) {
            return f->kind == KIRO_FAIL_NONE ? KIRO_AGAIN : KIRO_ERROR;
        }
        if (found->size() > cap) {
            kiro_failure_set(f, KIRO_FAIL_INTERNAL, "the profile ARN is too long");
            return KIRO_ERROR;
        }
        if (!found->empty()) {
            std::memcpy(arn, found->data(), found->size());
        }
        *len = found->size();
        return KIRO_OK;
    } catch (const std::exception &error) {
        return failed(f, error);
    }
}

kiro_status kiro_store_lock(const char *dir, const char *account, int *fd, kiro_failure *f) {
    try {
        return kiro::store::lock(dir, account, *fd, f);
    } catch (const std::exception &error) {
        return failed(f, error);
    }
}

void kiro_store_unlock(int fd) {
    if (fd >= 0) {
        // Explicitly: a child of fork() may still have the descriptor.
        flock(fd, LOCK_UN);
        close(fd);
    }
}

} // extern "C"
