#include "core/kiro/model_list.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/json/raw.h"
#include "core/json/reader.h"
#include "core/json/writer.h"
#include "core/kiro/catalogue.h"
#include "core/kiro/management.h"

namespace kiro::kiro {

namespace {

constexpr size_t max_pages = 16;
constexpr size_t max_entries = 1024;
constexpr size_t max_next = 4096;

std::string_view view(kiro_str s) {
    return s.len == 0 ? std::string_view() : std::string_view(s.data, s.len);
}

std::string query_body(const kiro_models_query &query) {
    std::string body = query.wire == KIRO_WIRE_V2 ? R"({"origin":"KIRO_CLI")" : R"({"origin":"AI_EDITOR")";
    if (query.login != KIRO_LOGIN_API_KEY && query.profile_arn.len > 0) {
        body += R"(,"profileArn":)";
        json::append_string(body, view(query.profile_arn));
    }
    if (query.next.len > 0) {
        body += R"(,"nextToken":)";
        json::append_raw_string(body, view(query.next));
    }
    body += '}';
    return body;
}

// A count of tokens; 0: not one.
uint32_t count_of(json::Value value) {
    if (value.type() != json::Type::number)
        return 0;
    const double number = value.number();
    return number >= 1 && number <= 4e9 ? static_cast<uint32_t>(number) : 0;
}

// Visits the properties that a JSON schema defines.
template <class Visitor> void each_property(json::Value schema, Visitor &&visit) {
    each_member(schema, [&](std::string_view key, json::Value value) {
        if (key == "properties")
            each_member(value, visit);
    });
}

// The strings that a schema allows, and its default.
struct Choices {
    std::vector<std::string> values;
    std::string usual;

    bool has(std::string_view value) const {
        return std::find(values.begin(), values.end(), value) != values.end();
    }
};

Choices choices_of(json::Value schema) {
    Choices choices;
    each_member(schema, [&](std::string_view key, json::Value value) {
        if (key == "enum" && value.is_array()) {
            value.items([&](size_t, json::Value item) { choices.values.push_back(text_of(item)); });
        } else if (key == "const") {
            choices.values.push_back(text_of(value));
        } else if (key == "default") {
            choices.usual = text_of(value);
        }
    });
    return choices;
}

void read_efforts(EffortField field, const Choices &choices, ReasoningFacts &facts) {
    uint8_t efforts = 0;
    for (const auto &name : choices.values) {
        if (const auto effort = find_effort(name))
            efforts |= static_cast<uint8_t>(1U << static_cast<unsigned>(*effort));
    }
    if (efforts == 0 || facts.field == EffortField::output_config)
        return;
    facts.field = field;
    facts.efforts = efforts;
    const auto usual = find_effort(choices.usual);
    facts.usual = Effort::high;
    if (usual && facts.takes(*usual)) {
        facts.usual = *usual;
    } else if (!facts.takes(Effort::high)) {
        for (Effort effort : {Effort::none, Effort::low, Effort::medium, Effort::xhigh, Effort::max}) {
            if (facts.takes(effort))
                facts.usual = effort;
        }
    }
}

ReasoningFacts reasoning_of(json::Value schema) {
    ReasoningFacts facts;
    each_property(schema, [&](std::string_view field, json::Value value) {
        each_property(value, [&](std::string_view key, json::Value inner) {
            const Choices choices = choices_of(inner);
            if (field == "thinking" && key == "type") {
                facts.adaptive = choices.has("adaptive");
                facts.disabled = choices.has("disabled");
                facts.between_tools = choices.has("between_tools");
            } else if (field == "thinking" && key == "display") {
                facts.display = choices.has("summarized");
            } else if (field == "output_config" && key == "effort") {
                read_efforts(EffortField::output_config, choices, facts);
            } else if (field == "reasoning" && key == "effort") {
                read_efforts(EffortField::reasoning, choices, facts);
            }
        });
    });
    return facts;
}

} // namespace

std::optional<Secret> models_request(const kiro_models_query &query, kiro_failure *f) {
    const std::string body = query_body(query);
    return management_request({"ListAvailableModels", query.login, view(query.token), view(query.host),
                               view(query.prefix), view(query.user_agent), body},
                              f);
}

// What a member that is missing or null leaves open the built-in table fills, but not the schema: without one
// the service takes no such fields.
struct PageReader {
    static void read_model(ModelList &list, json::Value value) {
        ModelList::Entry entry;
        bool has_types = false;
        bool images = false;
        bool documents = false;
        uint32_t context = 0;
        uint32_t output = 0;
        ReasoningFacts reasoning;
        each_member(value, [&](std::string_view key, json::Value member) {
            if (key == "modelId") {
                entry.id = text_of(member);
            } else if (key == "modelName") {
                entry.name = text_of(member);
            } else if (key == "description") {
                entry.description = text_of(member);
            } else if (key == "rateMultiplier" && member.type() == json::Type::number) {
                const double rate = member.number();
                if (rate > 0 && rate <= 1e6)
                    entry.rate = std::max(1U, static_cast<uint32_t>(std::lround(rate * 1000)));
            } else if (key == "tokenLimits") {
                each_member(member, [&](std::string_view limit, json::Value count) {
                    if (limit == "maxInputTokens")
                        context = count_of(count);
                    else if (limit == "maxOutputTokens")
                        output = count_of(count);
                });
            } else if (key == "supportedInputTypes" && member.is_array()) {
                has_types = true;
                member.items([&](size_t, json::Value type) {
                    const std::string name = text_of(type);
                    images |= name == "IMAGE";
                    documents |= name == "PDF";
                });
            } else if (key == "additionalModelRequestFieldsSchema") {
                reasoning = reasoning_of(member);
            }
        });
        if (const Model *known = find_builtin_model(entry.id)) {
            entry.facts = known->facts;
            if (entry.name.empty())
                entry.name = known->name;
            if (entry.rate == 0)
                entry.rate = known->rate;
        }
        if (context > 0)
            entry.facts.context = context;
        if (output > 0)
            entry.facts.output = output;
        if (has_types) {
            entry.facts.images = images;
            entry.facts.documents = documents;
        }
        entry.facts.reasoning = reasoning;
        if (!entry.id.empty() && list.entries_.size() < max_entries)
            list.entries_.push_back(std::move(entry));
    }
};

void ModelList::read_page(std::string_view body) {
    std::string text(body);
    json::replace_lone_surrogates(text.data(), text.size());
    const json::Document document(text);
    std::string next;
    each_member(document.root(), [&](std::string_view key, json::Value value) {
        if (key == "models" && value.is_array()) {
            value.items([&](size_t, json::Value model) { PageReader::read_model(*this, model); });
        } else if (key == "defaultModel") {
            each_member(value, [&](std::string_view member, json::Value id) {
                if (member == "modelId")
                    default_ = text_of(id);
            });
        } else if (key == "nextToken" && value.is_string()) {
            next = value.string();
        }
    });
    // A service that never comes to an end has told enough.
    next_ = next.size() > max_next || next == next_ || ++pages_ == max_pages ? std::string() : next;
}

kiro_status ModelList::add_page(int status, std::string_view error_type, std::string_view body,
                                kiro_failure *f) {
    if (status != 200)
        return management_refused(status, error_type, body, f);
    if (!is_management_page(body, f))
        return KIRO_ERROR;
    read_page(body);
    if (!next_.empty())
        return KIRO_AGAIN;
    if (entries_.empty())
        return management_unusable(f, "lists no model");
    return KIRO_OK;
}

std::string ModelList::catalogue(size_t max) const {
    std::vector<Model> models;
    models.reserve(entries_.size());
    for (const Entry &entry : entries_)
        models.push_back({entry.id, entry.name, entry.description, entry.rate, entry.facts});
    return write_catalogue(models, default_, max);
}

} // namespace kiro::kiro
