#include "core/kiro/model_listing.h"

#include <algorithm>

#include "core/kiro/model_name.h"

namespace kiro::kiro {

namespace {

std::string_view view(kiro_str s) {
    return s.len == 0 ? std::string_view() : std::string_view(s.data, s.len);
}

void describe(const ModelFacts &facts, chat::Model &out) {
    out.context = facts.context;
    out.output = facts.output;
    out.images = facts.images;
    out.documents = facts.documents;
    out.thinks = facts.reasoning.native();
    out.decides_to_think = facts.reasoning.adaptive;
    out.thinking_can_be_off = facts.reasoning.disabled || facts.reasoning.takes(Effort::none);
    for (Effort effort :
         {Effort::none, Effort::low, Effort::medium, Effort::high, Effort::xhigh, Effort::max}) {
        if (facts.reasoning.takes(effort))
            out.efforts.push_back(effort_name(effort));
    }
}

chat::Model listed(const Model &model) {
    chat::Model out;
    out.id = model.id;
    out.name = model.name.empty() ? model.id : model.name;
    out.description = model.description;
    out.rate = model.rate;
    describe(model.facts, out);
    return out;
}

// The target's facts under the alias's name; of an unknown target nothing is told.
chat::Model aliased(const kiro_model_alias &alias, std::string_view name, const Catalogue &catalogue) {
    const ModelChoice choice = choose_model(name, {&alias, 1}, catalogue);
    const auto target = catalogue.find(choice.id);
    const Model *known = target ? &*target : find_builtin_model(choice.id);
    chat::Model out;
    if (known != nullptr)
        out = listed(*known);
    out.id = name;
    if (known == nullptr || out.name.empty() || out.name == known->id)
        out.name = name;
    return out;
}

} // namespace

std::vector<chat::Model> list_models(const Catalogue &catalogue, std::span<const kiro_model_alias> aliases) {
    std::vector<chat::Model> out;
    out.reserve(catalogue.size() + aliases.size());
    for (size_t i = 0; i < catalogue.size(); i++) {
        const Model model = catalogue[i];
        if (find_alias(aliases, model.id) == nullptr)
            out.push_back(listed(model));
    }
    for (const auto &alias : aliases) {
        const std::string_view name = trimmed(view(alias.from));
        if (!name.empty() && find_alias(aliases, name) == &alias)
            out.push_back(aliased(alias, name, catalogue));
    }
    return out;
}

std::optional<chat::Model> describe_model(std::string_view name, const Catalogue &catalogue,
                                          std::span<const kiro_model_alias> aliases) {
    const kiro_model_alias *alias = find_alias(aliases, trimmed(name));
    if (alias == nullptr && !aliases.empty())
        alias = find_alias(aliases, normalise_model(name).id);
    if (alias != nullptr)
        return aliased(*alias, trimmed(view(alias->from)), catalogue);
    const ModelChoice choice = choose_model(name, {}, catalogue);
    if (!choice.listed)
        return std::nullopt;
    return listed(*catalogue.find(choice.id));
}

} // namespace kiro::kiro
