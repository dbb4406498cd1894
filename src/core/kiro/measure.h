// How much a request asks the model to read.
#pragma once

#include "core/kiro/request.h"

namespace kiro::kiro {

// Sets request.input_tokens and bytes.
void measure(Request &request);

// Base64 of images and documents in the turns.
size_t attachment_bytes(const Request &request);

} // namespace kiro::kiro
