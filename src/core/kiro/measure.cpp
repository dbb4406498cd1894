#include "core/kiro/measure.h"

#include "core/chat/invalid.h"
#include "core/tokens/estimate.h"

namespace kiro::kiro {

namespace {

// Of the serialised body: one per ASCII character, eight per other. Measured between 1,320,000 and 1,360,000,
// on text; images are not counted, as far bigger ones pass.
constexpr uint64_t max_weight = 1340000;
constexpr uint64_t non_ascii_weight = 8;

constexpr uint64_t tokens_per_message = 4;
constexpr uint64_t tokens_per_tool = 8;
constexpr uint64_t tokens_per_image = 1000; // pixels / 750, at most about 1,600

size_t image_bytes(const Request &request) {
    size_t bytes = 0;
    for (const Turn &turn : request.turns) {
        for (const auto &image : turn.images)
            bytes += image.base64.size();
    }
    return bytes;
}

} // namespace

void measure(Request &request) {
    tokens::Characters characters;
    size_t sealed = 0; // signatures: bytes, but nothing to read
    uint64_t overhead = tokens_per_message * request.turns.size() + tokens_per_tool * request.tools.size();
    for (Raw text : request.system)
        characters.add(text);
    for (Raw text : request.closing)
        characters.add(text);
    for (const Turn &turn : request.turns) {
        for (Raw text : turn.texts)
            characters.add(text);
        if (turn.thought) {
            characters.add(turn.thought->text);
            sealed += turn.thought->signature.size();
        }
        for (const Call &call : turn.calls) {
            characters.add(call.name);
            characters.add(call.input);
        }
        for (const Result &result : turn.results) {
            for (Raw text : result.texts)
                characters.add(text);
        }
        overhead += tokens_per_image * turn.images.size();
    }
    for (const ToolSpec &tool : request.tools) {
        characters.add(tool.name);
        characters.add(tool.description);
        characters.add(tool.schema);
    }
    request.input_tokens = tokens::estimate(characters) + overhead;

    constexpr size_t frame = 256; // of a turn or tool
    request.bytes = characters.size + sealed + request.fields.size() + image_bytes(request) +
                    frame * (request.turns.size() + request.tools.size() + 4);
}

void check_size(const Request &request, const std::string &body) {
    tokens::Characters characters;
    characters.add(body);
    uint64_t weight = characters.ascii - image_bytes(request) + non_ascii_weight * characters.non_ascii();
    if (weight <= max_weight)
        return;
    uint64_t maximum = request.input_tokens * max_weight / weight;
    std::string have = std::to_string(request.input_tokens), most = std::to_string(maximum);
    // Clients recognise an overflow by these words and compact the conversation.
    throw chat::Invalid{KIRO_FAIL_CONTEXT_OVERFLOW, "", // the dialect knows where
                        "prompt is too long: " + have + " tokens > " + most +
                            " maximum. The maximum context length is " + most +
                            " tokens, but the request has about " + have + "."};
}

} // namespace kiro::kiro
