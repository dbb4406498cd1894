#include "core/kiro/measure.h"

#include "core/tokens/estimate.h"

namespace kiro::kiro {

namespace {

constexpr uint64_t tokens_per_message = 4;
constexpr uint64_t tokens_per_tool = 8;
constexpr uint64_t tokens_per_image = 1000; // pixels / 750, at most about 1,600

} // namespace

size_t attachment_bytes(const Request &request) {
    size_t bytes = 0;
    for (const Turn &turn : request.turns) {
        for (const auto &image : turn.images)
            bytes += image.base64.size();
        for (const auto &document : turn.documents)
            bytes += document.base64.size();
    }
    return bytes;
}

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
    constexpr size_t notice_room = 1024;
    request.bytes = notice_room + characters.size + sealed + request.fields.size() +
                    attachment_bytes(request) + frame * (request.turns.size() + request.tools.size() + 4);
}

} // namespace kiro::kiro
