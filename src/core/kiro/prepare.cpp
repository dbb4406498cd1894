#include <utility>

#include "core/json/writer.h"
#include "core/kiro/declare.h"
#include "core/kiro/effort.h"
#include "core/kiro/identity.h"
#include "core/kiro/limits.h"
#include "core/kiro/lost_calls.h"
#include "core/kiro/measure.h"
#include "core/kiro/replay.h"
#include "core/kiro/request.h"
#include "core/kiro/seal.h"
#include "core/kiro/steer.h"
#include "core/kiro/tags.h"
#include "core/kiro/volatile.h"

namespace kiro::kiro {

namespace {

// What came of the client's wishes.
void note_thinking(chat::Conversation &conversation, const ThinkingPlan &plan, const Request &request) {
    using chat::Rule;
    using chat::ThinkingMode;
    chat::Arena &arena = conversation.arena;
    const chat::Thinking &wish = conversation.thinking;
    const bool asks =
        !wish.effort.empty() || (wish.mode != ThinkingMode::unasked && wish.mode != ThinkingMode::off);
    if (plan.tag_budget > 0)
        arena.note(Rule::thinking_by_tags, wish.at);
    else if (asks && wish.mode != ThinkingMode::off && request.fields.empty())
        arena.note(Rule::thinking_ignored, wish.at);
    else if (plan.clamped)
        arena.note(Rule::effort_clamped, wish.effort);
    else if (asks && wish.mode == ThinkingMode::budget && wish.effort.empty())
        arena.note(Rule::budget_as_effort, wish.at);
    for (const Turn &turn : request.turns) {
        if (!turn.thought && !turn.reasoning.empty()) {
            const chat::Reasoning &first = turn.reasoning.front();
            arena.note(Rule::reasoning_left_out, first.seal.empty() ? first.text : first.seal,
                       turn.reasoning.size());
        }
    }
}

// How the model is asked to think, and what of its thoughts it gets back.
void think(chat::Conversation &conversation, kiro_thinking option, Request &request) {
    ThinkingPlan plan =
        plan_thinking(request.facts.reasoning, option, conversation.thinking, conversation.reasoning);
    request.fields = std::move(plan.fields);
    request.tagged = plan.tag_budget > 0;
    if (plan.replay)
        replay_reasoning(request.turns, request.seal_key, conversation.arena);
    ask_for_tags(request.turns.back(), plan.tag_budget, conversation.arena);
    note_thinking(conversation, plan, request);
}

} // namespace

/*
 * docs/architecture.md has the rules and tests of each step. The order matters: pairing needs alternating
 * turns; hoisting needs ids; blank turns are known when all texts are; the beginning that identifies a
 * conversation must not have what depends on later turns, nor the tags that only the current message has.
 */
Request prepare(chat::Conversation &conversation, const Target &target) {
    chat::Arena &arena = conversation.arena;
    Request request;
    request.model = json::escaped(target.model.id);
    request.facts = target.model.facts;
    request.seal_key = seal_key(target.account, target.model.id);

    size_t first = split_system(conversation, request.system);
    strip_volatile_lines(request.system, arena);
    request.turns = merge_turns(conversation, first);
    frame_with_user(request.turns, arena);
    pair_results(request.turns, arena);
    limit_images(request.turns, arena);
    check_documents(request.turns, request.facts.documents);
    limit_documents(request.turns, arena);
    hoist_images(request.turns, arena);
    hoist_documents(request.turns, arena);
    name_documents(request.turns, arena);
    shorten_results(request.turns, arena);
    fill_results(request.turns, arena);
    flatten_inputs(request.turns, arena);

    ToolNames names(arena);
    declare_tools(conversation, request, names, arena);
    declare_used(request, names, arena);
    request.aliases = names.aliases();
    steer(conversation, request, names);

    fill_blank_turns(request.turns, !request.system.empty(), !request.closing.empty(), arena);
    identify(target.session, request);
    think(conversation, target.thinking, request);
    measure(request);
    return request;
}

void add_notice(std::string_view names, chat::Arena &arena, Request &request) {
    add_names(request.lost, names);
    if (request.notice.empty())
        arena.note(chat::Rule::notice_added);
    request.notice.assign(1, arena.keep(lost_calls_notice(request.lost.names)));
}

} // namespace kiro::kiro
