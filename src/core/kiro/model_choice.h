// Which model a request goes to: the operator's aliases, the account's list, the rules for names.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/kiro/catalogue.h"
#include "kiro/request.h"

namespace kiro::kiro {

struct ModelChoice {
    std::string id; // as the upstream writes it
    ModelFacts facts;
    std::string effort;       // named by a suffix of the client's name; usually empty
    bool thinking = false;    // so is this
    bool listed = false;      // in the catalogue
    bool by_operator = false; // an alias chose it
};

// Aliases first, for the name as it is and as the rules make it. A name that is listed needs no rule, and
// after each rule the list is looked at again: a list may hold ids that the rules would change. An unknown
// name passes.
ModelChoice choose_model(std::string_view client_name, std::span<const kiro_model_alias> aliases,
                         const Catalogue &catalogue);

std::string_view trimmed(std::string_view text);

// The alias for a trimmed name. nullptr: none.
const kiro_model_alias *find_alias(std::span<const kiro_model_alias> aliases, std::string_view name);

// A listed id that looks like a mistyped name; empty: none does.
std::string_view similar_model(std::string_view name, const Catalogue &catalogue);

} // namespace kiro::kiro
