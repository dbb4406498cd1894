#include "core/kiro/model_choice.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/kiro/model_name.h"

namespace kiro::kiro {

namespace {

std::string_view view(kiro_str s) {
    return s.len == 0 ? std::string_view() : std::string_view(s.data, s.len);
}

// The name as far as rules were needed, and the model if it is listed.
struct Found {
    ModelName name;
    std::optional<Model> model;
};

Found look_up(std::string_view text, const Catalogue &catalogue) {
    Found found{{std::string(text), {}, false}, catalogue.find(text)};
    for (const NameRule &rule : name_rules()) {
        if (found.model)
            break;
        rule.apply(found.name);
        found.model = catalogue.find(found.name.id);
    }
    return found;
}

ModelChoice choice_of(const Found &found, std::string_view id) {
    ModelChoice choice;
    choice.effort = found.name.effort;
    choice.thinking = found.name.thinking;
    if (found.model) {
        choice.id = found.model->id;
        choice.facts = found.model->facts;
        choice.listed = true;
        return choice;
    }
    choice.id = id;
    if (const Model *model = find_builtin_model(found.name.id))
        choice.facts = model->facts;
    return choice;
}

// What the operator wrote stays as it is, unless the account's list spells it in another way or only the
// rules make it a known model.
ModelChoice operators_choice(std::string_view target, const Catalogue &catalogue) {
    const Found found = look_up(target, catalogue);
    ModelChoice choice = choice_of(found, found.name.id);
    const bool known = found.model || find_builtin_model(found.name.id) != nullptr;
    if (!known || (!catalogue.live() && equals_ignoring_case(choice.id, target)))
        choice.id = target;
    choice.by_operator = true;
    return choice;
}

// Levenshtein's
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row.back();
}

} // namespace

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    const size_t first = text.find_first_not_of(space);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

const kiro_model_alias *find_alias(std::span<const kiro_model_alias> aliases, std::string_view name) {
    for (const auto &alias : aliases) {
        if (trimmed(view(alias.from)) == name)
            return &alias;
    }
    return nullptr;
}

ModelChoice choose_model(std::string_view client_name, std::span<const kiro_model_alias> aliases,
                         const Catalogue &catalogue) {
    const std::string_view name = trimmed(client_name);
    if (const auto *alias = find_alias(aliases, name))
        return operators_choice(view(alias->to), catalogue);
    if (!aliases.empty()) {
        const ModelName normal = normalise_model(name);
        if (const auto *alias = find_alias(aliases, normal.id)) {
            ModelChoice choice = operators_choice(view(alias->to), catalogue);
            if (choice.effort.empty())
                choice.effort = normal.effort;
            choice.thinking |= normal.thinking;
            return choice;
        }
    }
    const Found found = look_up(name, catalogue);
    return choice_of(found, found.name.id);
}

std::string_view similar_model(std::string_view name, const Catalogue &catalogue) {
    const std::string normal = normalise_model(name).id;
    std::string_view best;
    size_t least = std::min<size_t>(3, normal.size() / 3) + 1;
    for (size_t i = 0; i < catalogue.size(); i++) {
        const std::string_view id = catalogue[i].id;
        const size_t d = distance(normal, id);
        if (d < least) {
            least = d;
            best = id;
        }
    }
    return best;
}

} // namespace kiro::kiro
