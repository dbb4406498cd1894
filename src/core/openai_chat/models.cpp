#include "core/openai_chat/models.h"

#include "core/json/writer.h"

namespace kiro::openai_chat {

namespace {

void append_texts(std::string &out, std::span<const std::string_view> texts) {
    out += '[';
    for (std::string_view text : texts) {
        if (out.back() != '[')
            out += ',';
        json::append_string(out, text);
    }
    out += ']';
}

void append_count(std::string &out, std::string_view key, uint32_t count) {
    if (count == 0)
        return;
    out += key;
    json::append_uint(out, count);
}

} // namespace

// "created" is not known. What follows "owned_by" is not OpenAI's; gateways and clients know these names.
void write_model(const chat::Model &model, std::string &out) {
    out += R"({"id":)";
    json::append_string(out, model.id);
    out += R"(,"object":"model","created":0,"owned_by":"kiro","name":)";
    json::append_string(out, model.name);
    if (!model.description.empty()) {
        out += R"(,"description":)";
        json::append_string(out, model.description);
    }
    append_count(out, R"(,"context_length":)", model.context);
    append_count(out, R"(,"max_output_tokens":)", model.output);
    if (model.context > 0) {
        out += R"(,"input_modalities":["text")";
        out += model.images ? R"(,"image")" : "";
        out += model.documents ? R"(,"file")" : "";
        out += R"(],"reasoning_efforts":)";
        append_texts(out, model.efforts);
    }
    if (model.rate > 0) {
        out += R"(,"rate_multiplier":)";
        json::append_double(out, model.rate / 1000.0);
    }
    out += '}';
}

// Codex demands a member "models" of its own kind, whose entries would replace the prompts that it has for a
// model: it gets none and keeps its own.
void write_models(std::span<const chat::Model> models, std::string &out) {
    out += R"({"object":"list","data":[)";
    for (const auto &model : models) {
        if (out.back() != '[')
            out += ',';
        write_model(model, out);
    }
    out += R"(],"models":[]})";
}

} // namespace kiro::openai_chat
