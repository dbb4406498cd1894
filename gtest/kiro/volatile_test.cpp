#include "core/kiro/volatile.h"

#include <gtest/gtest.h>

namespace {

using Texts = std::vector<kiro::json::Raw>;

Texts stripped(Texts texts, kiro::chat::Arena &arena) {
    kiro::kiro::strip_volatile_lines(texts, arena);
    return texts;
}

TEST(Volatile, WholeLinesGo) {
    kiro::chat::Arena arena;
    EXPECT_EQ(stripped({"x-anthropic-billing-header: cch=1;", "You"}, arena), Texts({"You"}));
    EXPECT_EQ(stripped({R"(x-anthropic-billing-header: a\nYou\nare)"}, arena), Texts({R"(You\nare)"}));
    EXPECT_EQ(stripped({R"(a\n<total_tokens>12 left</total_tokens>\nb)"}, arena), Texts({R"(a\nb)"}));
    EXPECT_EQ(stripped({R"(a\n<total_tokens>12</total_tokens>)"}, arena), Texts({"a"}));
}

TEST(Volatile, OtherTextStays) {
    kiro::chat::Arena arena;
    Texts texts{R"(the x-anthropic-billing-header: of)", R"(C:\\nx-anthropic-billing-header: a)",
                R"(<total_tokens>)", R"(is \"<total_tokens>1</total_tokens>\" a line)", "\\n\\nx"};
    EXPECT_EQ(stripped(texts, arena), texts);
}

} // namespace
