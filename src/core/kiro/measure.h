// How much a request asks the model to read.
#pragma once

#include "core/kiro/request.h"

namespace kiro::kiro {

// Sets request.input_tokens and bytes.
void measure(Request &request);

// Throws chat::Invalid if the upstream could not take the size of body, which is request written.
void check_size(const Request &request, const std::string &body);

} // namespace kiro::kiro
