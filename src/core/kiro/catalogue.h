// An account's models as bytes: they lie in shared memory, hold no pointers, and are checked when read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/kiro/models.h"

namespace kiro::kiro {

// A view of an account's models, or of those built in.
class Catalogue {
public:
    // Bytes that are empty, damaged or of another version of the module give the built-in models.
    explicit Catalogue(std::string_view bytes);

    bool live() const { return count_ != 0; } // the account's own
    size_t size() const;
    Model operator[](size_t index) const;

    // Without regard to case; of this list only.
    std::optional<Model> find(std::string_view id) const;
    std::string_view default_model() const;

private:
    std::string_view bytes_;
    size_t count_ = 0;
    size_t default_ = 0;
};

// Texts are cut; of two models with one id the first stays; models that do not fit into max bytes are left
// out. Empty: no model fits.
std::string write_catalogue(std::span<const Model> models, std::string_view default_model, size_t max);

} // namespace kiro::kiro
