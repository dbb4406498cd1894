#include <exception>
#include <string_view>

#include "core/capture/capture.h"
#include "core/capture/mask.h"
#include "store/capture.h"

struct kiro_capture {
    explicit kiro_capture(size_t limit) : value(limit) {}
    kiro::capture::Capture value;
};

namespace {

std::string_view view_of(kiro_str text) {
    return text.len == 0 ? std::string_view() : std::string_view(text.data, text.len);
}

// A capture is never worth a failure of its request.
template <class Do> void quietly(Do &&action) {
    try {
        action();
    } catch (const std::exception &) {
        return;
    }
}

} // namespace

extern "C" {

kiro_capture *kiro_capture_create(size_t max_file) {
    try {
        return new kiro_capture(max_file);
    } catch (const std::exception &) {
        return nullptr;
    }
}

void kiro_capture_free(kiro_capture *capture) {
    delete capture;
}

void kiro_capture_add(kiro_capture *capture, kiro_capture_part part, const char *data, size_t len) {
    try {
        capture->value.add(part, {data, len});
    } catch (const std::exception &) {
        capture->value.lost(part);
    }
}

void kiro_capture_attempt(kiro_capture *capture, unsigned number) {
    quietly([&] { capture->value.begin_attempt(number); });
}

void kiro_capture_secret(kiro_capture *capture, kiro_str secret) {
    capture->value.add_secrets([&](auto &secrets) { secrets.add(view_of(secret)); });
}

void kiro_capture_login(kiro_capture *capture, kiro_str json) {
    capture->value.add_secrets(
        [&](auto &secrets) { kiro::capture::add_login_secrets(secrets, view_of(json)); });
}

void kiro_capture_arn(kiro_capture *capture, kiro_str arn) {
    capture->value.add_secrets([&](auto &secrets) { kiro::capture::add_arn_secrets(secrets, view_of(arn)); });
}

void kiro_capture_failed(kiro_capture *capture, const kiro_capture_outcome *outcome) {
    quietly([&] { capture->value.set_error(kiro::capture::error_json(*outcome)); });
}

size_t kiro_capture_size(const kiro_capture *capture) {
    return capture->value.size();
}

kiro_status kiro_capture_save(kiro_capture *capture, const kiro_capture_place *place, kiro_failure *f) {
    try {
        return kiro::store::write_capture(*place, capture->value.take_files(), f) ? KIRO_OK : KIRO_ERROR;
    } catch (const std::exception &error) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "%s", error.what());
        return KIRO_ERROR;
    }
}

} // extern "C"
