// The first byte chooses: a page of the model list, or a catalogue. What comes out must be sound: a list
// becomes a catalogue that reads back, and any catalogue gives valid answers.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/json/validate.h"
#include "kiro/models.h"

namespace {

void answers_are_json(kiro_str catalogue) {
    constexpr kiro_model_alias alias{{"a", 1}, {"claude-opus-5", 13}};
    for (kiro_api api : {KIRO_API_OPENAI_CHAT, KIRO_API_ANTHROPIC}) {
        const kiro_models_view view{api, catalogue, &alias, 1};
        kiro_failure failure{};
        std::string out(kiro_models_answer(&view, nullptr, nullptr, 0, &failure), '\0');
        if (kiro_models_answer(&view, nullptr, out.data(), out.size(), &failure) != out.size() ||
            !kiro::json::validate(out))
            std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    const kiro_str input{reinterpret_cast<const char *>(data + 1), size - 1};
    if ((data[0] & 1) != 0) {
        (void)kiro_catalogue_count(input);
        answers_are_json(input);
        return 0;
    }
    kiro_models *models = kiro_models_create();
    kiro_failure failure{};
    kiro_status status = kiro_models_page(models, 200, {nullptr, 0}, input, &failure);
    if (status == KIRO_AGAIN)
        status = kiro_models_page(models, 200, {nullptr, 0}, input, &failure);
    if (status == KIRO_AGAIN || (status == KIRO_ERROR && failure.kind == KIRO_FAIL_INTERNAL))
        std::abort();
    kiro_str catalogue{};
    if (status == KIRO_OK && kiro_models_catalogue(models, &catalogue, &failure) == KIRO_OK) {
        if (catalogue.len > KIRO_CATALOGUE_MAX || kiro_catalogue_count(catalogue) == 0)
            std::abort();
        answers_are_json(catalogue);
    }
    kiro_models_free(models);
    return 0;
}
