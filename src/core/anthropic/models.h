// The model list of the Anthropic API.
#pragma once

#include <span>
#include <string>

#include "core/chat/model.h"

namespace kiro::anthropic {

// Both append.
void write_models(std::span<const chat::Model> models, std::string &out);
void write_model(const chat::Model &model, std::string &out);

} // namespace kiro::anthropic
