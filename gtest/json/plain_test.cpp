#include "core/json/plain.h"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <string_view>

namespace {

using kiro::json::skip_plain;
using kiro::json::skip_text;

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

size_t slow(const std::string &text) {
    size_t i = 0;
    while (i < text.size()) {
        auto c = static_cast<unsigned char>(text[i]);
        bool escape = c == '\\' && i + 1 < text.size() &&
                      std::string_view("\"\\/bfnrt").find(text[i + 1]) != std::string_view::npos;
        if (!escape && (c < 0x20 || c == '"' || c == '\\'))
            break;
        i += escape ? 2 : 1;
    }
    return i;
}

TEST(Plain, PassesEscapesOfOneLetter) {
    std::mt19937 random(5);
    const std::string_view often = "\\\\nt/", seldom = "u\"\n";
    for (int round = 0; round < 50000; round++) {
        std::string text;
        unsigned rare = 20 + random() % 400;
        for (size_t size = random() % 300; text.size() < size;) {
            if (random() % rare == 0)
                text += seldom[random() % seldom.size()];
            else if (random() % 4 == 0)
                text += often[random() % often.size()];
            else
                text += "ab\xC3\xA9"[random() % 4];
        }
        ASSERT_EQ(skip_text(text.data(), text.data() + text.size()) - text.data(),
                  static_cast<std::ptrdiff_t>(slow(text)))
            << text;
    }
}

} // namespace
