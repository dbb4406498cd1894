#include "core/kiro/model_choice.h"

#include <gtest/gtest.h>

#include "support/client_request.h"

namespace {

using namespace kiro::kiro;
using kiro::test::ClientRequest;
using kiro::test::view;

kiro_str str(std::string_view s) {
    return {s.data(), s.size()};
}

// Capitals, a suffix that the rules would strip, a slash.
std::string live_list() {
    const ReasoningFacts low_only{EffortField::reasoning, 1 << 1, Effort::low};
    const std::vector<Model> models{
        {"Claude-Sonnet-4.5", "", "", 0, {300'000, 1, {}, true, true}},
        {"claude-sonnet-4.5-1m", "", "", 0, {1'000'000, 1, {}, true, true}},
        {"org/Nova-9", "", "", 0, {512'000, 96'000, low_only, false, false}},
        {"Auto", "", "", 0, {}},
    };
    return write_catalogue(models, "auto", 65536);
}

TEST(ModelChoice, TheListSpellsTheId) {
    const std::string bytes = live_list();
    const Catalogue list(bytes);
    struct Case {
        const char *client, *id;
        uint32_t context;
    };
    const Case cases[] = {
        {"claude-sonnet-4.5", "Claude-Sonnet-4.5", 300'000},
        {"claude-sonnet-4-5-20250929", "Claude-Sonnet-4.5", 300'000},
        {"CLAUDE-SONNET-4.5-1M", "claude-sonnet-4.5-1m", 1'000'000},
        {"kiro/claude-sonnet-4.5-1m", "claude-sonnet-4.5-1m", 1'000'000},
        {"claude-sonnet-4-5[1m]", "Claude-Sonnet-4.5", 300'000},
        {" ORG/nova-9 ", "org/Nova-9", 512'000},
        {"auto-kiro", "Auto", 200'000},
        {"", "Auto", 200'000},
    };
    for (const auto &c : cases) {
        const ModelChoice choice = choose_model(c.client, {}, list);
        EXPECT_EQ(choice.id, c.id) << c.client;
        EXPECT_EQ(choice.facts.context, c.context) << c.client;
        EXPECT_TRUE(choice.listed) << c.client;
    }
}

TEST(ModelChoice, UnknownNamesPassWithWhatIsKnown) {
    const std::string bytes = live_list();
    for (const Catalogue &list : {Catalogue(bytes), Catalogue("")}) {
        EXPECT_EQ(choose_model("claude-sonnet-9", {}, list).id, "claude-sonnet-9") << "never an older family";
        EXPECT_FALSE(choose_model("claude-sonnet-9", {}, list).listed);
        EXPECT_EQ(choose_model("claude-sonnet-9", {}, list).facts, ModelFacts{});
        EXPECT_EQ(choose_model("claude-opus-4-8", {}, list).facts.context, 1'000'000u);
    }
    EXPECT_TRUE(choose_model("claude-opus-4-8", {}, Catalogue("")).listed);
}

TEST(ModelChoice, RemembersTheSuffix) {
    const ModelChoice choice = choose_model("claude-opus-4.6-thinking-max", {}, Catalogue(""));
    EXPECT_EQ(choice.id, "claude-opus-4.6");
    EXPECT_EQ(choice.effort, "max");
    EXPECT_TRUE(choice.thinking);
}

TEST(ModelChoice, AliasesComeFirst) {
    const std::string bytes = live_list();
    const Catalogue list(bytes);
    const kiro_model_alias aliases[] = {
        {str(" gpt-4o "), str("org/nova-9")},
        {str("claude-sonnet-4.5"), str("My-Own-Model")},
        {str("fast"), str("claude-haiku-4-5")},
        {str("deep"), str("claude-opus-4.6-high")},
    };
    EXPECT_EQ(choose_model("gpt-4o", aliases, list).id, "org/Nova-9");
    EXPECT_EQ(choose_model("gpt-4o", aliases, list).facts.context, 512'000u);
    const ModelChoice own = choose_model("claude-sonnet-4-5-high", aliases, list);
    EXPECT_EQ(own.id, "My-Own-Model");
    EXPECT_EQ(own.effort, "high");
    EXPECT_TRUE(own.by_operator);
    EXPECT_EQ(choose_model("fast", aliases, list).id, "claude-haiku-4.5");
    EXPECT_EQ(choose_model("deep", aliases, list).id, "claude-opus-4.6");
    EXPECT_EQ(choose_model("deep", aliases, list).effort, "high");
}

TEST(ModelChoice, KnowsTypingErrors) {
    EXPECT_EQ(similar_model("claude-sonet-4.5", Catalogue("")), "claude-sonnet-4.5");
    EXPECT_EQ(similar_model("llama-3", Catalogue("")), "");
    EXPECT_EQ(similar_model("x", Catalogue("")), "");
}

const char *const body = R"({"model":"claude-sonet-4.5","messages":[{"role":"user","content":"hi"}]})";

TEST(ModelChoice, UnknownModelsCanBeRefused) {
    const std::string bytes = live_list();
    ClientRequest request;
    request.options.catalogue = str(bytes);
    ASSERT_TRUE(request.parse(body));
    EXPECT_EQ(view(request.info().model), "claude-sonet-4.5");

    request.options.known_models = 1;
    ASSERT_FALSE(request.parse(body));
    EXPECT_EQ(request.failure.kind, KIRO_FAIL_MODEL_NOT_FOUND);
    EXPECT_STREQ(request.failure.param, "model");
    EXPECT_STREQ(request.failure.message,
                 "The model 'claude-sonet-4.5' does not exist. Did you mean 'Claude-Sonnet-4.5'?");

    const kiro_model_alias alias{str("claude-sonet-4.5"), str("whatever")};
    request.options.aliases = &alias;
    request.options.naliases = 1;
    EXPECT_TRUE(request.parse(body)) << "the operator's word";
    request.options.naliases = 0;
    request.options.catalogue = {};
    EXPECT_TRUE(request.parse(body)) << "the built-in models are not all there are";
}

TEST(ModelChoice, TheRequestSendsTheListsSpelling) {
    const std::string bytes = live_list();
    ClientRequest request;
    request.options.catalogue = str(bytes);
    ASSERT_TRUE(request.parse(R"({"model":"org/nova-9","messages":[{"role":"user","content":"hi"}]})"));
    EXPECT_EQ(view(request.info().model), "org/Nova-9");
    EXPECT_EQ(view(request.info().client_model), "org/nova-9");
    EXPECT_NE(request.write().find(R"("modelId":"org/Nova-9")"), std::string::npos);
}

} // namespace
