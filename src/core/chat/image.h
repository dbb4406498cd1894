// Images as clients send them.
#pragma once

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"

namespace kiro::chat {

// "image/png" and base64 text, both raw.
// Of an image or document, decoded.
constexpr size_t max_attachment = 10 << 20;

// Padded standard base64 of what nearly is; throws if it is not.
std::string_view clean_base64(Raw data, const Path &path, Arena &arena, Rule refusal = Rule::image_data);

Image image_from_base64(Raw media_type, Raw data, const Path &path, Arena &arena);

// "data:image/png;base64,...". Other URLs are refused: nothing is fetched for a client.
Image image_from_url(Raw url, const Path &path, Arena &arena);

} // namespace kiro::chat
