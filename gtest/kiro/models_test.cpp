#include "core/kiro/models.h"

#include <gtest/gtest.h>

namespace {

using kiro::kiro::normalise_model;

TEST(Models, Normalise) {
    struct Case {
        const char *client, *id;
    };
    const Case cases[] = {
        {"claude-sonnet-4.5", "claude-sonnet-4.5"},
        {"claude-sonnet-4-5", "claude-sonnet-4.5"},
        {"anthropic/Claude-Sonnet-4-5", "claude-sonnet-4.5"},
        {"kiro/claude-opus-5", "claude-opus-5"},
        {"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4.5"},
        {"anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4.5"},
        {"claude-opus-4-6[1m]", "claude-opus-4.6"},
        {"claude-sonnet-4.6-thinking", "claude-sonnet-4.6"},
        {"claude-sonnet-4.5-1m", "claude-sonnet-4.5"},
        {"claude-sonnet-4-latest", "claude-sonnet-4"},
        {"claude-haiku-4-5-20251001", "claude-haiku-4.5"},
        {"claude-haiku-4-5@20251001", "claude-haiku-4.5"},
        {"claude-opus-4-20250514", "claude-opus-4"},
        {"claude-opus-5-20260101", "claude-opus-5"},
        {"claude-3-7-sonnet", "claude-3.7-sonnet"},
        {"claude-3-7-sonnet-20250219", "claude-3.7-sonnet"},
        {"claude-3-5-haiku-latest", "claude-3.5-haiku"},
        {"claude-4.5-opus-high", "claude-opus-4.5"},
        {"claude-4-5-opus", "claude-opus-4.5"},
        {"claude-4-sonnet", "claude-sonnet-4"},
        {"claude-opus-4-10", "claude-opus-4.10"},
        {"gpt-5.6-sol", "gpt-5.6-sol"},
        {"GPT-5.6-Sol-high", "gpt-5.6-sol"},
        {"openai/gpt-4o", "gpt-4o"},
        {"gpt-4o-2024-08-06", "gpt-4o-2024-08-06"},
        {"minimax-m2.5", "minimax-m2.5"},
        {"qwen3-coder-next", "qwen3-coder-next"},
        {"deepseek-3.2", "deepseek-3.2"},
        {"auto", "auto"},
        {"auto-kiro", "auto"},
        {" kiro-auto ", "auto"},
        {"", "auto"},
        {"claude", "claude"},
        {"-thinking", "-thinking"},
        {"[1m]", "[1m]"},
    };
    for (const auto &c : cases)
        EXPECT_EQ(normalise_model(c.client).id, c.id) << c.client;
}

TEST(Models, RemembersWhatItStrips) {
    auto name = normalise_model("claude-opus-4.6-thinking-xhigh");
    EXPECT_EQ(name.id, "claude-opus-4.6");
    EXPECT_TRUE(name.thinking);
    EXPECT_EQ(name.effort, "xhigh");
}

TEST(Models, NormalNamesStayAsTheyAre) {
    for (const char *id : {"claude-opus-5.5", "claude-sonnet-5", "claude-fable-5.1", "claude-opus-4.8",
                           "claude-sonnet-4", "gpt-5.6-terra", "minimax-m2.1", "glm-5"}) {
        EXPECT_EQ(normalise_model(id).id, id);
        EXPECT_NE(kiro::kiro::find_model(id), nullptr) << id;
    }
}

TEST(Models, Windows) {
    EXPECT_EQ(kiro::kiro::context_window("claude-opus-4.6"), 1000000u);
    EXPECT_EQ(kiro::kiro::context_window("claude-sonnet-4.5"), 200000u);
    EXPECT_EQ(kiro::kiro::context_window("nobody"), 200000u);
}

} // namespace
