// Images as clients send them.
#pragma once

#include "core/chat/conversation.h"
#include "core/chat/invalid.h"

namespace kiro::chat {

// "image/png" and base64 text, both raw.
Image image_from_base64(Raw media_type, Raw data, const Path &path, Arena &arena);

// "data:image/png;base64,...". Other URLs are refused: nothing is fetched for a client.
Image image_from_url(Raw url, const Path &path, Arena &arena);

} // namespace kiro::chat
