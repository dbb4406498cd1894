#include "core/kiro/model_name.h"

#include <gtest/gtest.h>

#include "core/kiro/models.h"

namespace {

using namespace kiro::kiro;

// What a rule alone makes of a name.
std::string apply(std::string_view rule_name, std::string_view text) {
    for (const NameRule &rule : name_rules()) {
        if (rule.name == rule_name) {
            ModelName name{std::string(text), {}, false};
            rule.apply(name);
            return name.id;
        }
    }
    return "no such rule";
}

struct Case {
    const char *rule, *from, *to;
};

// Each rule: what it is for, and what it must leave alone.
constexpr Case cases[] = {
    {"trim", "\t claude-opus-5 \r\n", "claude-opus-5"},
    {"trim", " \n", ""},
    {"lower_case", "GPT-5.6-Sol", "gpt-5.6-sol"},
    {"strip_provider", "openrouter/anthropic/claude-opus-5", "claude-opus-5"},
    {"strip_provider", "claude-opus-5", "claude-opus-5"},
    {"strip_bedrock_prefix", "us.anthropic.claude-opus-5", "claude-opus-5"},
    {"strip_bedrock_prefix", "anthropic.claude-opus-5", "claude-opus-5"},
    {"strip_bedrock_prefix", "notanthropic.claude", "notanthropic.claude"},
    {"strip_bedrock_revision", "claude-opus-5-v1:0", "claude-opus-5"},
    {"strip_bedrock_revision", "llama-v3", "llama-v3"},
    {"strip_bedrock_revision", "qwen:7b", "qwen:7b"},
    {"strip_bracket", "claude-opus-4-6[1m]", "claude-opus-4-6"},
    {"strip_bracket", "[1m]", "[1m]"},
    {"strip_bracket", "claude]", "claude]"},
    {"strip_variants", "claude-sonnet-4.6-thinking-1m-high", "claude-sonnet-4.6"},
    {"strip_variants", "gpt-5.6-sol-xhigh", "gpt-5.6-sol"},
    {"strip_variants", "minimax-m2-high", "minimax-m2-high"},
    {"strip_latest", "some-model-latest", "some-model"},
    {"strip_latest", "-latest", "-latest"},
    {"strip_date", "claude-haiku-4-5-20251001", "claude-haiku-4-5"},
    {"strip_date", "claude-haiku-4-5@20251001", "claude-haiku-4-5"},
    {"strip_date", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"},
    {"strip_date", "20251001", "20251001"},
    {"dot_version", "claude-sonnet-4-5", "claude-sonnet-4.5"},
    {"dot_version", "claude-opus-4-20250514", "claude-opus-4-20250514"},
    {"dot_version", "gpt-x-4-5", "gpt-x-4-5"},
    {"dot_old_version", "claude-3-7-sonnet", "claude-3.7-sonnet"},
    {"dot_old_version", "claude-sonnet-4-5", "claude-sonnet-4-5"},
    {"family_first", "claude-4.5-opus", "claude-opus-4.5"},
    {"family_first", "claude-4-sonnet", "claude-sonnet-4"},
    {"family_first", "claude-10.2-opus", "claude-opus-10.2"},
    {"family_first", "claude-3.7-sonnet", "claude-3.7-sonnet"},
    {"family_first", "claude-4-5", "claude-4-5"},
    {"name_auto", "auto-kiro", "auto"},
    {"name_auto", "kiro-auto", "auto"},
    {"name_auto", "", "auto"},
    {"name_auto", "automatic", "automatic"},
};

TEST(NameRules, EachDoesOneThing) {
    for (const auto &c : cases)
        EXPECT_EQ(apply(c.rule, c.from), c.to) << c.rule << " " << c.from;
}

TEST(NameRules, EachHasACaseThatChangesAndOneThatDoesNot) {
    for (const NameRule &rule : name_rules()) {
        bool changed = false;
        for (const auto &c : cases)
            changed |= rule.name == c.rule && std::string_view(c.from) != c.to;
        EXPECT_TRUE(changed) << rule.name;
    }
}

// The order: a rule that came too late or too early would give something else.
TEST(NormaliseModel, AppliesThemInOrder) {
    struct Whole {
        const char *client, *id;
    };
    const Whole wholes[] = {
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
        {"claude-opus-4-6-thinking-20260101", "claude-opus-4.6"},
        {"claude-opus-4-6-20260101-thinking", "claude-opus-4.6"},
        {"claude-opus-4-20250514", "claude-opus-4"},
        {"claude-sonnet-4-20250514", "claude-sonnet-4"},
        {"claude-opus-5-20260101", "claude-opus-5"},
        {"claude-3-7-sonnet", "claude-3.7-sonnet"},
        {"claude-3-7-sonnet-20250219", "claude-3.7-sonnet"},
        {"claude-3-5-haiku-latest", "claude-3.5-haiku"},
        {"claude-4.5-opus-high", "claude-opus-4.5"},
        {"claude-4-5-opus", "claude-opus-4.5"},
        {"claude-opus-4-10", "claude-opus-4.10"},
        {"GPT-5.6-Sol-high", "gpt-5.6-sol"},
        {"openai/gpt-4o", "gpt-4o"},
        {" kiro-auto ", "auto"},
        {"claude", "claude"},
        {"-thinking", "-thinking"},
        {"[1m]", "[1m]"},
    };
    for (const auto &w : wholes)
        EXPECT_EQ(normalise_model(w.client).id, w.id) << w.client;
}

TEST(NormaliseModel, RemembersWhatItStrips) {
    const auto name = normalise_model("claude-opus-4.6-thinking-xhigh");
    EXPECT_EQ(name.id, "claude-opus-4.6");
    EXPECT_TRUE(name.thinking);
    EXPECT_EQ(name.effort, "xhigh");
}

TEST(NormaliseModel, KeepsKnownModelsAndIsIdempotent) {
    for (const Model &model : builtin_models())
        EXPECT_EQ(normalise_model(model.id).id, model.id);
    for (const auto &c : cases) {
        const std::string once = normalise_model(c.from).id;
        EXPECT_EQ(normalise_model(once).id, once) << c.from;
    }
}

} // namespace
