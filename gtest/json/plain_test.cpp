#include "core/json/plain.h"

#include <gtest/gtest.h>
#include <string>

namespace {

using kiro::json::skip_plain;

TEST(Plain, EveryByteAtEveryPlace) {
    for (size_t size : {0, 1, 7, 8, 15, 16, 17, 31, 64, 100, 200, 333}) {
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                std::string text(size, static_cast<char>(at % 2 == 0 ? 'x' : 0xE4));
                text[at] = static_cast<char>(byte);
                bool plain = byte >= 0x20 && byte != '"' && byte != '\\';
                const char *p = skip_plain(text.data(), text.data() + size);
                ASSERT_EQ(p - text.data(), static_cast<std::ptrdiff_t>(plain ? size : at))
                    << byte << " at " << at << " of " << size;
            }
        }
    }
}

TEST(Plain, TheFirstOfMany) {
    std::string text(300, 'a');
    for (size_t at = 299; at > 0; at--) {
        text[at] = at % 3 == 0 ? '"' : at % 3 == 1 ? '\\' : '\n';
        ASSERT_EQ(skip_plain(text.data(), text.data() + 300) - text.data(), static_cast<std::ptrdiff_t>(at));
    }
}

} // namespace
