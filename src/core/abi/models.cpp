#include "kiro/models.h"

#include <span>
#include <string>
#include <string_view>

#include "core/abi/guarded.h"
#include "core/anthropic/models.h"
#include "core/kiro/catalogue.h"
#include "core/kiro/model_list.h"
#include "core/kiro/model_listing.h"
#include "core/openai_chat/models.h"

struct kiro_models {
    kiro::kiro::ModelList list;
    std::string next; // the view that callers have
    std::string catalogue;
};

namespace {

namespace upstream = ::kiro::kiro;
using namespace ::kiro;
using abi::copy_out;
using abi::guarded;

std::string_view view(kiro_str s) {
    return s.len == 0 ? std::string_view() : std::string_view(s.data, s.len);
}
kiro_str str(std::string_view s) {
    return {s.data(), s.size()};
}

constexpr const char *unprocessed = "the model list could not be processed";

struct Dialect {
    kiro_api api;
    void (*write_all)(std::span<const chat::Model>, std::string &);
    void (*write_one)(const chat::Model &, std::string &);
};

constexpr Dialect dialects[] = {
    {KIRO_API_OPENAI_CHAT, openai_chat::write_models, openai_chat::write_model},
    {KIRO_API_ANTHROPIC, anthropic::write_models, anthropic::write_model},
    {KIRO_API_OPENAI_RESPONSES, openai_chat::write_models, openai_chat::write_model},
};

const Dialect &dialect_of(kiro_api api) {
    for (const auto &dialect : dialects) {
        if (dialect.api == api)
            return dialect;
    }
    return dialects[0];
}

// Empty: f says why.
std::string answer(const kiro_models_view &view_, const kiro_str *id, kiro_failure *f) {
    const upstream::Catalogue catalogue(view(view_.catalogue));
    const std::span<const kiro_model_alias> aliases(view_.aliases, view_.naliases);
    const Dialect &dialect = dialect_of(view_.api);
    std::string out;
    if (id == nullptr) {
        dialect.write_all(upstream::list_models(catalogue, aliases), out);
        return out;
    }
    if (const auto model = upstream::describe_model(view(*id), catalogue, aliases)) {
        dialect.write_one(*model, out);
        return out;
    }
    const std::string name(view(*id).substr(0, 256));
    kiro_failure_set(f, KIRO_FAIL_MODEL_NOT_FOUND, "The model '%s' does not exist.", name.c_str());
    return out;
}

} // namespace

extern "C" {

size_t kiro_models_request(const kiro_models_query *query, char *buf, size_t cap, kiro_failure *f) {
    return guarded(f, unprocessed, size_t{0}, [&] {
        const auto request = upstream::models_request(*query, f);
        return request ? copy_out(request->view(), buf, cap) : size_t{0};
    });
}

kiro_models *kiro_models_create(void) {
    return new (std::nothrow) kiro_models;
}

void kiro_models_free(kiro_models *models) {
    delete models;
}

kiro_status kiro_models_page(kiro_models *models, int status, kiro_str error_type, kiro_str body,
                             kiro_failure *f) {
    return guarded(f, unprocessed, KIRO_ERROR, [&] {
        const kiro_status verdict = models->list.add_page(status, view(error_type), view(body), f);
        models->next = models->list.next();
        return verdict;
    });
}

kiro_str kiro_models_next(const kiro_models *models) {
    return str(models->next);
}

kiro_status kiro_models_catalogue(kiro_models *models, kiro_str *catalogue, kiro_failure *f) {
    return guarded(f, unprocessed, KIRO_ERROR, [&] {
        models->catalogue = models->list.catalogue(KIRO_CATALOGUE_MAX);
        *catalogue = str(models->catalogue);
        if (!models->catalogue.empty())
            return KIRO_OK;
        kiro_failure_set(f, KIRO_FAIL_UPSTREAM_PROTOCOL,
                         "the management host lists no model that can be served");
        return KIRO_ERROR;
    });
}

size_t kiro_catalogue_count(kiro_str catalogue) {
    const upstream::Catalogue read(view(catalogue));
    return read.live() ? read.size() : 0;
}

size_t kiro_models_answer(const kiro_models_view *view, const kiro_str *id, char *buf, size_t cap,
                          kiro_failure *f) {
    return guarded(f, unprocessed, size_t{0}, [&] { return copy_out(answer(*view, id, f), buf, cap); });
}

} // extern "C"
