// How a model is asked to think: what the client wishes, in the form that the model takes.
#pragma once

#include <cstdint>
#include <string>

#include "core/chat/conversation.h"
#include "core/kiro/models.h"
#include "kiro/request.h"

namespace kiro::kiro {

struct ThinkingPlan {
    std::string fields;      // additionalModelRequestFields, a JSON object; empty: none
    uint32_t tag_budget = 0; // > 0: think in tags, with about so many tokens
    bool clamped = false;    // the effort is not the one that is asked for
    bool replay = false;     // the model thinks natively, so it may have its earlier reasoning back
};

// shown: the client wants to read the reasoning.
ThinkingPlan plan_thinking(const ReasoningFacts &facts, kiro_thinking option, const chat::Thinking &wish,
                           bool shown);

} // namespace kiro::kiro
