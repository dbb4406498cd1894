// What the upstream takes of each thing, as steps of prepare(). What old turns have too much is cut and said
// so, as an agent cannot take its history back; what the client can change is refused.
#pragma once

#include "core/chat/arena.h"
#include "core/kiro/request.h"

namespace kiro::kiro {

// The middle of a result that is too long gives way to a line that says so.
void shorten_results(Turns &turns, chat::Arena &arena);

// The oldest images and documents give way to a line that says so. Throws if the last turn alone has too
// many.
void limit_images(Turns &turns, chat::Arena &arena);
void limit_documents(Turns &turns, chat::Arena &arena);

// Throws if there are documents that the model does not take.
void check_documents(const Turns &turns, bool allowed);

// Legal names, each once.
void name_documents(Turns &turns, chat::Arena &arena);

// Arguments that nest deeper than the upstream reads become text.
void flatten_inputs(Turns &turns, chat::Arena &arena);

// Throws if a user's turn, the number of turns or the whole of body, which is request written, is over its
// limit, in the words that make clients compact the conversation. attachments: where the base64 of each image
// and document begins and ends in body, which has no weight.
void check_size(const Request &request, std::string_view body, const std::vector<size_t> &attachments);

} // namespace kiro::kiro
