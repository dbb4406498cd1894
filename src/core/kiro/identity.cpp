#include "core/kiro/identity.h"

#include "core/kiro/digest.h"

namespace kiro::kiro {

void identify(std::string_view session, Request &request) {
    Sha256 hash;
    if (!session.empty()) {
        hash.add_field("session").add_field(session);
    } else {
        hash.add_field("beginning");
        for (Raw text : request.system)
            hash.add_field(text);
        hash.add_field("user");
        for (Raw text : request.turns.front().texts)
            hash.add_field(text);
    }
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
