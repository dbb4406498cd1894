// How large an image is, from the first bytes of its file.
#pragma once

#include <cstdint>
#include <optional>

#include "core/chat/conversation.h"

namespace kiro::chat {

struct ImageSize {
    uint32_t width;
    uint32_t height;
};

// Looks at a few places of the base64 text, however long it is. Nothing: the file is cut, or odd.
std::optional<ImageSize> image_size(const Image &image);

} // namespace kiro::chat
