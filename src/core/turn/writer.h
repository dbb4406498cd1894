// The client's side of an answer: one writer a dialect and mode.
#pragma once

#include "core/anthropic/reply.h"
#include "core/chat/reply_context.h"
#include "core/openai_chat/reply.h"
#include "core/openai_responses/reply.h"
#include "kiro/kiro.h"

#include <string>
#include <string_view>
#include <variant>

namespace kiro::turn {

using Writer =
    std::variant<openai_chat::StreamWriter, openai_chat::Collector, anthropic::StreamWriter,
                 anthropic::Collector, openai_responses::StreamWriter, openai_responses::Collector>;

Writer make_writer(kiro_api api, bool stream, const chat::ReplyHead &head, const chat::ReplyContext &context);

// The client's model as every piece of the answer can repeat it: a JSON-escaped slice, cut between characters
// if it is long.
std::string shown_model(std::string_view model);

} // namespace kiro::turn
