// The models that a location serves: the catalogue's, and the operator's aliases as models of their own.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/chat/model.h"
#include "core/kiro/model_choice.h"

namespace kiro::kiro {

// The results hold views into the catalogue and the aliases.
std::vector<chat::Model> list_models(const Catalogue &catalogue, std::span<const kiro_model_alias> aliases);

// By any name that a request may use for a listed model or an alias.
std::optional<chat::Model> describe_model(std::string_view name, const Catalogue &catalogue,
                                          std::span<const kiro_model_alias> aliases);

} // namespace kiro::kiro
