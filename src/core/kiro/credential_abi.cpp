#include "core/abi/guarded.h"
#include "core/kiro/auth.h"
#include "core/kiro/credential.h"
#include "core/kiro/profile_arn.h"

#include <new>
#include <utility>

namespace {

using kiro::abi::copy_out;
namespace impl = kiro::kiro;

std::string_view view_of(kiro_str text) {
    return text.len == 0 ? std::string_view() : std::string_view(text.data, text.len);
}

std::string_view view_of(const char *data, size_t len) {
    return len == 0 ? std::string_view() : std::string_view(data, len);
}

kiro_str str_of(std::string_view text) {
    return {text.data(), text.size()};
}

void out_of_memory(kiro_failure *f) {
    kiro_failure_set(f, KIRO_FAIL_INTERNAL, "out of memory");
}

template <class Make> kiro_credential *guarded(kiro_failure *f, Make make) noexcept {
    try {
        std::optional<impl::Credential> cred = make();
        return cred ? new kiro_credential{std::move(*cred)} : nullptr;
    } catch (...) {
        out_of_memory(f);
        return nullptr;
    }
}

} // namespace

extern "C" {

const char *kiro_login_name(kiro_login login) {
    switch (login) {
    case KIRO_LOGIN_API_KEY:
        return "Kiro API key";
    case KIRO_LOGIN_SOCIAL:
        return "Kiro Desktop login";
    case KIRO_LOGIN_OIDC:
        return "AWS SSO login";
    case KIRO_LOGIN_EXTERNAL:
        return "external identity provider login";
    }
    return "unknown login";
}

kiro_credential *kiro_credential_parse(const char *data, size_t len, kiro_failure *f) {
    return guarded(f, [&] { return impl::parse_credential(view_of(data, len), f); });
}

kiro_status kiro_credential_add_registration(kiro_credential *cred, const char *data, size_t len,
                                             kiro_failure *f) {
    try {
        return impl::add_registration(cred->value, view_of(data, len), f) ? KIRO_OK : KIRO_ERROR;
    } catch (...) {
        out_of_memory(f);
        return KIRO_NOMEM;
    }
}

void kiro_credential_keep_registration(kiro_credential *cred, const kiro_credential *known) {
    try {
        impl::keep_registration(cred->value, known->value);
    } catch (...) {
        // Then it has none; nothing else depends on it.
    }
}

kiro_credential *kiro_credential_from_api_key(kiro_str key, kiro_failure *f) {
    return guarded(f, [&] { return impl::credential_from_api_key(view_of(key), f); });
}

kiro_credential *kiro_credential_from_refresh_token(kiro_str token, kiro_failure *f) {
    return guarded(f, [&] { return impl::credential_from_refresh_token(view_of(token), f); });
}

kiro_credential *kiro_credential_copy(const kiro_credential *cred) {
    try {
        return new kiro_credential(*cred);
    } catch (...) {
        return nullptr;
    }
}

void kiro_credential_free(kiro_credential *cred) {
    delete cred;
}

void kiro_credential_get(const kiro_credential *cred, kiro_credential_view *view) {
    const impl::Credential &value = cred->value;
    view->login = value.login;
    view->access_token = str_of(value.access_token.view());
    view->refresh_token = str_of(value.refresh_token.view());
    view->expires_at = value.expires_at;
    view->profile_arn = str_of(value.effective_profile_arn());
    view->record_arn = str_of(value.profile_arn);
    view->sso_region = str_of(value.effective_region());
    view->client_id_hash = str_of(value.client_id_hash);
    view->has_registration = value.has_registration();
    view->fingerprint = str_of(value.fingerprint);
    view->found = str_of(value.found);
    view->warning = str_of(value.warning);
    view->registration_expires_at = value.registration_expires_at;
}

kiro_status kiro_credential_override(kiro_credential *cred, kiro_str profile_arn, kiro_str sso_region) {
    const std::string_view arn = view_of(profile_arn);
    const std::string_view region = view_of(sso_region);
    if ((!arn.empty() && !impl::arn_region(arn)) || (!region.empty() && !impl::is_region(region))) {
        return KIRO_ERROR;
    }
    try {
        std::string new_arn(arn.empty() ? cred->value.operator_profile_arn : arn);
        std::string new_region(region.empty() ? cred->value.operator_region : region);
        cred->value.operator_profile_arn = std::move(new_arn);
        cred->value.operator_region = std::move(new_region);
        return KIRO_OK;
    } catch (...) {
        return KIRO_NOMEM;
    }
}

size_t kiro_credential_serialize(const kiro_credential *cred, char *buf, size_t cap) {
    try {
        return copy_out(impl::serialize(cred->value).view(), buf, cap);
    } catch (...) {
        return 0;
    }
}

int kiro_credential_prefer_state(const kiro_credential *source, const kiro_credential *state) {
    return impl::prefer_state(source->value, state->value);
}

kiro_status kiro_arn_region(kiro_str arn, kiro_str *region) {
    if (arn.len == 0) {
        *region = str_of(impl::default_region);
        return KIRO_OK;
    }
    const auto found = impl::arn_region(view_of(arn));
    *region = str_of(found.value_or(std::string_view()));
    return found ? KIRO_OK : KIRO_ERROR;
}

int kiro_is_region(kiro_str name) {
    return impl::is_region(view_of(name));
}

int kiro_auth_same_endpoint(const kiro_credential *cred, const kiro_credential *other) {
    return impl::same_auth_endpoint(cred->value, other->value);
}

size_t kiro_auth_endpoint(const kiro_credential *cred, char *buf, size_t cap) {
    try {
        return copy_out(impl::auth_endpoint(cred->value), buf, cap);
    } catch (...) {
        return 0;
    }
}

size_t kiro_refresh_request(const kiro_credential *cred, kiro_str host, kiro_str prefix, kiro_str user_agent,
                            char *buf, size_t cap, kiro_failure *f) {
    try {
        const impl::AuthTarget target{view_of(host), view_of(prefix), view_of(user_agent)};
        const auto request = impl::refresh_request(cred->value, target, f);
        return request ? copy_out(request->view(), buf, cap) : 0;
    } catch (...) {
        out_of_memory(f);
        return 0;
    }
}

kiro_refresh_verdict kiro_refresh_reply(kiro_credential *cred, int64_t now, int status, const char *body,
                                        size_t len, kiro_failure *f) {
    try {
        return impl::refresh_reply(cred->value, now, status, view_of(body, len), f);
    } catch (...) {
        out_of_memory(f);
        f->retry = KIRO_RETRY_BACKOFF;
        return KIRO_REFRESH_TRANSIENT;
    }
}

void *kiro_secret_alloc(size_t size) {
    try {
        return kiro::kiro::allocate_secret(size);
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

void kiro_secret_free(void *data, size_t size) {
    kiro::kiro::free_secret(data, size);
}

} // extern "C"
