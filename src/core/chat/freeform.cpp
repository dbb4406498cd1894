#include "core/chat/freeform.h"

#include <cstddef>

#include "core/json/cursor.h"

namespace kiro::chat {

std::string_view freeform_text(std::string_view input, std::string_view arguments) {
    std::string_view text = arguments;
    bool found = false;
    std::size_t strings = 0;
    json::Cursor(input).members([&](json::Raw key, json::Cursor &cursor) {
        if (!cursor.is_string()) {
            cursor.value();
            return;
        }
        const json::Raw value = cursor.string();
        if (key == "input") {
            text = value;
            found = true;
        } else if (!found) {
            text = ++strings == 1 ? value : arguments;
        }
    });
    return text;
}

} // namespace kiro::chat
