#include "core/anthropic/models.h"

#include <algorithm>

#include "core/json/writer.h"

namespace kiro::anthropic {

namespace {

void append_support(std::string &out, std::string_view name, bool supported) {
    if (out.back() != '{')
        out += ',';
    json::append_string(out, name);
    out += supported ? R"(:{"supported":true})" : R"(:{"supported":false})";
}

void append_count(std::string &out, uint32_t count) {
    if (count == 0)
        out += "null";
    else
        json::append_uint(out, count);
}

// What the SDK's type lists. Web searches are the gateway's, for any model.
void append_capabilities(std::string &out, const chat::Model &model) {
    const auto takes = [&](std::string_view effort) {
        return std::find(model.efforts.begin(), model.efforts.end(), effort) != model.efforts.end();
    };
    out += '{';
    append_support(out, "batch", false);
    append_support(out, "citations", false);
    append_support(out, "code_execution", false);
    out += R"(,"context_management":{"supported":false,"clear_thinking_20251015":null,)"
           R"("clear_tool_uses_20250919":null,"compact_20260112":null},"effort":{)";
    for (std::string_view effort : {"low", "medium", "high", "xhigh", "max"})
        append_support(out, effort, takes(effort));
    out += model.efforts.empty() ? R"(,"supported":false})" : R"(,"supported":true})";
    append_support(out, "image_input", model.images);
    append_support(out, "pdf_input", model.documents);
    out += R"(,"server_tools":{)";
    append_support(out, "code_execution", false);
    append_support(out, "web_search", true);
    out += R"(,"supported":true})";
    append_support(out, "structured_outputs", false);
    out += R"(,"thinking":{"types":{)";
    append_support(out, "adaptive", model.decides_to_think);
    append_support(out, "disabled", !model.thinks || model.thinking_can_be_off);
    append_support(out, "enabled", model.thinks);
    out += model.thinks ? R"(},"supported":true}})" : R"(},"supported":false}})";
}

} // namespace

// The date of release is not known: the epoch says so.
void write_model(const chat::Model &model, std::string &out) {
    out += R"({"type":"model","id":)";
    json::append_string(out, model.id);
    out += R"(,"display_name":)";
    json::append_string(out, model.name);
    if (!model.description.empty()) {
        out += R"(,"description":)";
        json::append_string(out, model.description);
    }
    out += R"(,"created_at":"1970-01-01T00:00:00Z","max_input_tokens":)";
    append_count(out, model.context);
    out += R"(,"max_tokens":)";
    append_count(out, model.output);
    out += R"(,"capabilities":)";
    if (model.context == 0)
        out += "null";
    else
        append_capabilities(out, model);
    out += R"(,"lifecycle":"active","line":null,"deprecated_at":null,"retires_at":null})";
}

void write_models(std::span<const chat::Model> models, std::string &out) {
    out += R"({"data":[)";
    for (const auto &model : models) {
        if (out.back() != '[')
            out += ',';
        write_model(model, out);
    }
    out += R"(],"has_more":false)";
    if (models.empty()) {
        out += R"(,"first_id":null,"last_id":null})";
        return;
    }
    out += R"(,"first_id":)";
    json::append_string(out, models.front().id);
    out += R"(,"last_id":)";
    json::append_string(out, models.back().id);
    out += '}';
}

} // namespace kiro::anthropic
