// The input of a call goes out in pieces, so that no event is huge and a client has something to show.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/json/character.h"

namespace kiro::chat {

constexpr std::size_t slice_bytes = 4096;

// Calls write(piece) for all of an escaped text: pieces of whole characters, one also for an empty text.
template <class Write> void in_slices(std::string_view text, Write &&write) {
    do {
        const std::string_view piece = json::slice(text, slice_bytes);
        write(piece);
        text.remove_prefix(piece.size());
    } while (!text.empty());
}

} // namespace kiro::chat
