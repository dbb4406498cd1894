#include "core/chat/image.h"

#include <gtest/gtest.h>
#include <string>

namespace {

using namespace kiro;

// Repaired data is another text.
TEST(Base64, EveryByteAtEveryPlace) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t size : {4, 16, 20, 36, 64}) {
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                std::string text(size, 'A');
                text[at] = static_cast<char>(byte);
                bool good =
                    digits.find(text[at]) != std::string_view::npos || (byte == '=' && at + 1 == size);
                chat::Arena arena;
                bool kept = false;
                try {
                    kept = chat::clean_base64(text, chat::Path(), arena).data() == text.data();
                } catch (const chat::Invalid &) {
                }
                ASSERT_EQ(kept, good) << byte << " at " << at << " of " << size;
            }
        }
    }
}

} // namespace
