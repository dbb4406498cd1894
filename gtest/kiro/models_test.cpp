#include "core/kiro/models.h"

#include <gtest/gtest.h>
#include <set>

namespace {

using namespace kiro::kiro;

TEST(BuiltinModels, AreFoundWithoutRegardToCase) {
    ASSERT_NE(find_builtin_model("Claude-Opus-4.6"), nullptr);
    EXPECT_EQ(find_builtin_model("Claude-Opus-4.6")->id, "claude-opus-4.6");
    EXPECT_EQ(find_builtin_model("claude-opus-4.6x"), nullptr);
    EXPECT_EQ(find_builtin_model(""), nullptr);
}

TEST(BuiltinModels, EveryRowIsWhole) {
    std::set<std::string_view> ids;
    for (const Model &model : builtin_models()) {
        EXPECT_TRUE(ids.insert(model.id).second) << model.id;
        EXPECT_FALSE(model.name.empty()) << model.id;
        EXPECT_GE(model.facts.context, 100'000u) << model.id;
        EXPECT_GE(model.facts.output, 64'000u) << model.id;
        const auto &reasoning = model.facts.reasoning;
        EXPECT_EQ(reasoning.field != EffortField::none, reasoning.efforts != 0) << model.id;
        if (reasoning.efforts != 0) {
            EXPECT_TRUE(reasoning.takes(reasoning.usual)) << model.id;
        }
    }
    EXPECT_EQ(builtin_models().front().id, "auto");
}

TEST(BuiltinModels, Windows) {
    EXPECT_EQ(find_builtin_model("claude-opus-4.6")->facts.context, 1'000'000u);
    EXPECT_EQ(find_builtin_model("claude-sonnet-4.5")->facts.context, 200'000u);
}

TEST(Effort, NamesAreReversible) {
    for (auto effort : {Effort::none, Effort::low, Effort::medium, Effort::high, Effort::xhigh, Effort::max})
        EXPECT_EQ(find_effort(effort_name(effort)), effort);
    EXPECT_EQ(find_effort("minimal"), std::nullopt);
}

} // namespace
