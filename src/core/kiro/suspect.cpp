#include "core/kiro/suspect.h"

#include <algorithm>
#include <unordered_set>

#include "core/chat/image_size.h"
#include "core/kiro/measure.h"

namespace kiro::kiro {

namespace {

using chat::Rule;

// Reported or probed: none is documented by the service.
constexpr size_t proven_tools = 48;
constexpr size_t proven_tool_bytes = 100'000;
constexpr size_t old_body = 600'000;
constexpr size_t old_history = 198;
constexpr size_t proven_images = 10;
constexpr size_t proven_image = 3'750'000; // base64
constexpr uint32_t proven_pixels = 8000;   // a side

constexpr size_t max_name = 64;
constexpr size_t max_description = 10'000;

size_t tool_bytes(const Request &request) {
    size_t bytes = 0;
    for (const ToolSpec &tool : request.tools)
        bytes += tool.name.size() + tool.description.size() + tool.schema.size();
    return bytes;
}

size_t tools_with_unions(const Request &request) {
    return static_cast<size_t>(
        std::count_if(request.tools.begin(), request.tools.end(),
                      [](const ToolSpec &tool) { return tool.schema.find(R"("anyOf":[)") != Raw::npos; }));
}

bool is_large(const chat::Image &image) {
    if (image.base64.size() > proven_image)
        return true;
    const auto size = chat::image_size(image);
    return size && std::max(size->width, size->height) > proven_pixels;
}

bool is_legal(const ToolSpec &tool) {
    const auto word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    };
    return !tool.name.empty() && tool.name.size() <= max_name &&
           std::all_of(tool.name.begin(), tool.name.end(), word) && !json::is_blank(tool.description) &&
           json::length(tool.description) <= max_description;
}

// Tools that are not legal, and calls of tools that are not there.
size_t wrong_names(const Request &request) {
    std::unordered_set<std::string_view> names;
    size_t wrong = 0;
    for (const ToolSpec &tool : request.tools)
        wrong += !is_legal(tool) || !names.insert(tool.name).second;
    for (const Turn &turn : request.turns) {
        for (const Call &call : turn.calls)
            wrong += names.count(call.name) == 0;
    }
    return wrong;
}

bool answers(const Turn &turn, const Turn &before) {
    return std::equal(turn.results.begin(), turn.results.end(), before.calls.begin(), before.calls.end(),
                      [](const Result &result, const Call &call) { return result.id == call.id; });
}

// Turns whose results are not those of the calls before.
size_t wrong_pairs(const Turns &turns) {
    size_t wrong = !turns.empty() && !turns.front().results.empty();
    for (size_t i = 1; i < turns.size(); i++)
        wrong += turns[i].user && !answers(turns[i], turns[i - 1]);
    return wrong;
}

size_t wrong_order(const Turns &turns) {
    size_t wrong = !turns.empty() && !turns.back().user;
    for (size_t i = 0; i < turns.size(); i++)
        wrong += turns[i].user != (i % 2 == 0);
    return wrong;
}

size_t blank_turns(const Request &request) {
    const Turns &turns = request.turns;
    size_t blank = 0;
    for (size_t i = 0; i < turns.size(); i++) {
        const bool more = (i == 0 && !request.system.empty()) ||
                          (i + 1 == turns.size() && !(request.closing.empty() && request.notice.empty()));
        blank += turns[i].user && turns[i].texts.empty() && turns[i].results.empty() && !more;
    }
    return blank;
}

struct Attachments {
    size_t images = 0, large = 0, documents = 0, thoughts = 0;
};

Attachments attachments_of(const Turns &turns) {
    Attachments out;
    for (const Turn &turn : turns) {
        out.images += turn.images.size();
        out.large += static_cast<size_t>(std::count_if(turn.images.begin(), turn.images.end(), is_large));
        out.documents += turn.documents.size();
        out.thoughts += turn.thought.has_value();
    }
    return out;
}

size_t over(size_t count, size_t limit) {
    return count > limit ? count : 0;
}

} // namespace

std::vector<Suspicion> suspicions(const Request &request, size_t body, bool listed) {
    const Attachments has = attachments_of(request.turns);
    const size_t attached = attachment_bytes(request);
    const Suspicion all[] = {
        {Rule::many_tools, over(request.tools.size(), proven_tools)},
        {Rule::large_tools, over(tool_bytes(request), proven_tool_bytes)},
        {Rule::union_in_schema, tools_with_unions(request)},
        {Rule::large_body, over(body > attached ? body - attached : 0, old_body)},
        {Rule::long_history, over(request.turns.size(), old_history + 1)},
        {Rule::many_images, over(has.images, proven_images)},
        {Rule::large_image, has.large},
        {Rule::document_sent, has.documents},
        {Rule::reasoning_fields_sent, !request.fields.empty()},
        {Rule::reasoning_replayed, has.thoughts},
        {Rule::unlisted_model, !listed},
        {Rule::history_order, wrong_order(request.turns)},
        {Rule::call_pairing, wrong_pairs(request.turns)},
        {Rule::tool_names, wrong_names(request)},
        {Rule::blank_turn, blank_turns(request)},
    };
    std::vector<Suspicion> found;
    std::copy_if(std::begin(all), std::end(all), std::back_inserter(found),
                 [](const Suspicion &suspicion) { return suspicion.count > 0; });
    return found;
}

} // namespace kiro::kiro
