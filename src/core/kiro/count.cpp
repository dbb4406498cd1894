#include "core/kiro/count.h"

#include <algorithm>
#include <string>

#include "core/chat/image_size.h"
#include "core/tokens/counter.h"

namespace kiro::kiro {

namespace {

constexpr uint64_t tokens_per_message = 4; // role and borders
constexpr uint64_t tokens_per_call = 4;    // also of a result
constexpr uint64_t tokens_per_tool = 4;
constexpr uint64_t tokens_at_end = 3; // the answer's beginning

constexpr uint64_t pixels_per_token = 750;
constexpr uint64_t max_image = 1600;
constexpr uint64_t usual_image = 1000; // of unknown size

constexpr uint64_t usual_document = 500; // its pages are not known

// Tokens of the model for a hundred of cl100k_base. Upper case does not occur: ids are the upstream's.
struct Vocabulary {
    std::string_view model; // the id begins so
    uint32_t percent;
};
constexpr Vocabulary vocabularies[] = {
    {"claude", 115},
    {"auto", 115}, // some Claude mostly
    {"", 100},     // GPT and the others
};

uint32_t percent_of(std::string_view model) {
    return std::find_if(std::begin(vocabularies), std::end(vocabularies),
                        [model](const Vocabulary &row) { return model.starts_with(row.model); })
        ->percent;
}

uint64_t image_tokens(const chat::Image &image) {
    auto size = chat::image_size(image);
    if (!size)
        return usual_image;
    uint64_t pixels = uint64_t{size->width} * size->height;
    return std::clamp(pixels / pixels_per_token, uint64_t{1}, max_image);
}

} // namespace

Countable countable(const Request &request) {
    Countable out;
    out.percent = percent_of(request.model);
    out.overhead =
        tokens_per_message * request.turns.size() + tokens_per_tool * request.tools.size() + tokens_at_end;
    auto add = [&out](std::vector<std::string_view> &list, std::string_view text) {
        list.push_back(text);
        out.bytes += text.size();
    };
    for (Raw text : request.system)
        add(out.texts, text);
    for (const Turn &turn : request.turns) {
        for (Raw text : turn.texts)
            add(out.texts, text);
        if (turn.thought && !turn.thought->redacted)
            add(out.texts, turn.thought->text);
        for (const Call &call : turn.calls) {
            add(out.texts, call.name);
            add(out.values, call.input);
        }
        for (const Result &result : turn.results) {
            for (Raw text : result.texts)
                add(out.texts, text);
        }
        out.overhead += tokens_per_call * (turn.calls.size() + turn.results.size());
        out.documents += turn.documents.size();
        out.images.insert(out.images.end(), turn.images.begin(), turn.images.end());
    }
    for (Raw text : request.closing)
        add(out.texts, text);
    for (const ToolSpec &tool : request.tools) {
        add(out.texts, tool.name);
        add(out.texts, tool.description);
        add(out.values, tool.schema);
    }
    return out;
}

uint64_t count(const Countable &countable) {
    tokens::Counter counter;
    uint64_t sum = countable.overhead;
    for (Raw text : countable.texts)
        sum += counter.count_raw(text);
    for (std::string_view value : countable.values)
        sum += counter.count(value);
    sum = (sum * countable.percent + 99) / 100;
    sum += usual_document * countable.documents;
    for (const chat::Image &image : countable.images)
        sum += image_tokens(image); // the rule is already in tokens of the model
    return sum;
}

} // namespace kiro::kiro
