#include "core/tokens/estimate.h"

#include <gtest/gtest.h>
#include <string>

namespace {

using kiro::tokens::Characters;

TEST(Estimate, CountsCharactersByWidth) {
    const std::string pieces[] = {"a", "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80", "\x7F"};
    // every order and alignment of the word-wise loop
    for (unsigned seed = 0; seed < 3000; seed++) {
        std::string text;
        uint64_t ascii = 0, wide = 0, other = 0;
        for (unsigned n = seed, i = 0; i < 12; i++, n = n * 1103515245 + 12345) {
            unsigned kind = (n >> 16) % 5;
            text += pieces[kind];
            ascii += kind == 0 || kind == 4;
            wide += kind == 2;
            other += kind == 1 || kind == 3;
        }
        Characters c;
        c.add(text);
        ASSERT_EQ(c.ascii, ascii);
        ASSERT_EQ(c.wide, wide);
        ASSERT_EQ(c.other, other);
    }
}

TEST(Estimate, CountsLongTexts) {
    constexpr uint64_t many = 5000;
    std::string text;
    for (uint64_t i = 0; i < many; i++)
        text += "\xE4\xB8\xAD";
    for (uint64_t i = 0; i < many; i++)
        text += "\xC3\xA9";
    Characters c;
    c.add(text + std::string(many, 'a'));
    EXPECT_EQ(c.ascii, many);
    EXPECT_EQ(c.wide, many);
    EXPECT_EQ(c.other, many);
}

TEST(Estimate, Tokens) {
    Characters c;
    c.add(std::string(360, 'a'));
    EXPECT_EQ(estimate(c), 110u);
    Characters none;
    EXPECT_EQ(estimate(none), 0u);
}

} // namespace
