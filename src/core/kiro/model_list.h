// ListAvailableModels of the management host: the request, and its pages made a catalogue.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/kiro/models.h"
#include "core/kiro/secret.h"
#include "kiro/models.h"

namespace kiro::kiro {

std::optional<Secret> models_request(const kiro_models_query &query, kiro_failure *f);

class ModelList {
public:
    // As kiro_models_page(); throws std::bad_alloc.
    kiro_status add_page(int status, std::string_view error_type, std::string_view body, kiro_failure *f);

    std::string_view next() const { return next_; } // JSON-escaped
    std::string catalogue(size_t max) const;

private:
    struct Entry {
        std::string id, name, description;
        uint32_t rate = 0;
        ModelFacts facts;
    };

    std::vector<Entry> entries_;
    std::string default_;
    std::string next_;
    size_t pages_ = 0;

    void read_page(std::string_view body);
    friend struct PageReader;
};

} // namespace kiro::kiro
