#include "core/json/writer.h"
#include "core/kiro/declare.h"
#include "core/kiro/identity.h"
#include "core/kiro/measure.h"
#include "core/kiro/request.h"

namespace kiro::kiro {

/*
 * The order matters: pairing needs alternating turns; hoisting needs ids; blank turns are known when all
 * texts are; the beginning that identifies a conversation must not have what depends on later turns.
 */
Request prepare(chat::Conversation &conversation, const ModelChoice &model, std::string_view session) {
    chat::Arena &arena = conversation.arena;
    Request request;
    request.model = json::escaped(model.id);
    request.facts = model.facts;

    size_t first = split_system(conversation, request.system);
    request.turns = merge_turns(conversation, first);
    frame_with_user(request.turns);
    pair_results(request.turns, arena);
    hoist_images(request.turns, arena);
    fill_results(request.turns, arena);

    ToolNames names(arena);
    declare_tools(conversation, request, names, arena);
    declare_used(request, names);
    request.aliases = names.aliases();

    fill_blank_turns(request.turns, !request.system.empty());
    identify(session, request);
    measure(request);
    return request;
}

} // namespace kiro::kiro
