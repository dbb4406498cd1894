#include "core/kiro/identity.h"

#include "core/kiro/digest.h"

namespace kiro::kiro {

namespace {

constexpr size_t enough = 256; // bytes to tell images apart

// The first message as it is written, so it does not matter which of its texts are the system's.
void add_beginning(const Request &request, Sha256 &hash) {
    std::string_view separator;
    auto add = [&](const std::vector<Raw> &texts) {
        for (Raw text : texts) {
            hash.add(separator).add(text);
            separator = "\\n\\n";
        }
    };
    add(request.system);
    if (request.turns.empty())
        return;
    add(request.turns.front().texts);
    if (separator.empty())
        hash.add(silent_turn); // as it will stand in the history; closing words may stand for it now
    for (const chat::Image &image : request.turns.front().images)
        hash.add_field(std::to_string(image.base64.size())).add_field(image.base64.substr(0, enough));
}

} // namespace

void identify(std::string_view session, Request &request) {
    Sha256 hash;
    hash.add_field("conversation").add_field(session).add_field(request.model);
    hash.add_field(request.tools.empty() ? "bare" : "tools");
    add_beginning(request, hash);
    request.conversation_id = uuid_of(hash);

    // A turn of the person lasts until she writes again; what only carries results continues it.
    size_t spoken = 0;
    for (const Turn &turn : request.turns)
        spoken += turn.user && turn.results.empty();
    Sha256 continuation;
    continuation.add_field("turn").add_field(request.conversation_id).add_field(std::to_string(spoken));
    request.continuation_id = uuid_of(continuation);
}

} // namespace kiro::kiro
