#include "core/kiro/usage.h"

#include <gtest/gtest.h>
#include <limits>

namespace {

using kiro::chat::Usage;
using kiro::chat::UsageSource;
using kiro::kiro::OwnCount;
using kiro::kiro::UsageReader;

constexpr UsageSource kOwn = UsageSource::estimate;
constexpr UsageSource kPercent = UsageSource::percent;
constexpr UsageSource kUpstream = UsageSource::upstream;

struct Row {
    const char *tokens; // tokenUsage, or nullptr
    double percent;     // < 0: none
    std::uint64_t input, output, read, write;
    UsageSource source;
};

// The own count is 300 in, 40 out, 15 of it reasoning; the window is 1000.
TEST(Usage, TheBestNumbersThatAreUsable) {
    const Row rows[] = {
        {nullptr, -1, 300, 40, 0, 0, kOwn},
        // counts of the service
        {R"({"uncachedInputTokens":100,"outputTokens":20,"totalTokens":120})", 50, 100, 20, 0, 0, kUpstream},
        {R"({"uncachedInputTokens":100,"outputTokens":20,"cacheReadInputTokens":900,)"
         R"("cacheWriteInputTokens":50})",
         -1, 1050, 20, 900, 50, kUpstream},
        {R"({"uncachedInputTokens":0,"outputTokens":20,"cacheReadInputTokens":900})", -1, 900, 20, 900, 0,
         kUpstream},
        // some are missing, or zero because nobody filled them in
        {R"({"uncachedInputTokens":100})", 50, 100, 40, 0, 0, kUpstream},
        {R"({"uncachedInputTokens":100,"outputTokens":0})", -1, 100, 40, 0, 0, kUpstream},
        {R"({"totalTokens":500,"outputTokens":20})", -1, 480, 20, 0, 0, kUpstream},
        {R"({"totalTokens":500})", -1, 460, 40, 0, 0, kUpstream},
        {R"({"totalTokens":500,"outputTokens":20,"cacheReadInputTokens":200})", -1, 480, 20, 200, 0,
         kUpstream},
        {R"({"totalTokens":20,"outputTokens":20})", -1, 300, 20, 0, 0, kOwn},
        {R"({"outputTokens":20})", -1, 300, 20, 0, 0, kOwn},
        {R"({"outputTokens":20})", 50, 480, 20, 0, 0, kPercent},
        {R"({"uncachedInputTokens":0,"outputTokens":0,"totalTokens":0})", -1, 300, 40, 0, 0, kOwn},
        {R"({"uncachedInputTokens":0,"outputTokens":0,"totalTokens":0})", 50, 460, 40, 0, 0, kPercent},
        {R"({"cacheReadInputTokens":200})", -1, 300, 40, 200, 0, kOwn},
        {R"({"cacheReadInputTokens":301})", -1, 300, 40, 0, 0, kOwn},
        {"{}", 50, 460, 40, 0, 0, kPercent},
        // no counts
        {R"({"uncachedInputTokens":-5,"outputTokens":-1,"totalTokens":"120"})", -1, 300, 40, 0, 0, kOwn},
        {R"({"uncachedInputTokens":1e300,"outputTokens":99999999999999})", -1, 300, 40, 0, 0, kOwn},
        {R"({"uncachedInputTokens":null,"outputTokens":{},"totalTokens":true})", -1, 300, 40, 0, 0, kOwn},
        {R"({"uncachedInputTokens":100.9,"outputTokens":2e1})", -1, 100, 20, 0, 0, kUpstream},
        // the percentage, also inside
        {R"({"contextUsagePercentage":50})", -1, 460, 40, 0, 0, kPercent},
        {R"({"contextUsagePercentage":50})", 70, 660, 40, 0, 0, kPercent},
        {nullptr, 100, 960, 40, 0, 0, kPercent},
        {nullptr, 100.01, 300, 40, 0, 0, kOwn},
        {nullptr, 0, 300, 40, 0, 0, kOwn},
        {nullptr, 4, 300, 40, 0, 0, kOwn}, // less than the answer alone
        {nullptr, 4.1, 1, 40, 0, 0, kPercent},
    };
    for (const Row &row : rows) {
        UsageReader reader;
        if (row.percent >= 0) {
            reader.take_percent(row.percent);
        }
        if (row.tokens != nullptr) {
            reader.take_tokens(row.tokens);
        }
        const Usage usage = reader.usage({.input = 300, .output = 40, .reasoning = 15}, 1000);
        const char *what = row.tokens != nullptr ? row.tokens : "none";
        EXPECT_EQ(usage.input, row.input) << what << row.percent;
        EXPECT_EQ(usage.output, row.output) << what << row.percent;
        EXPECT_EQ(usage.cache_read, row.read) << what;
        EXPECT_EQ(usage.cache_write, row.write) << what;
        EXPECT_EQ(usage.source, row.source) << what << row.percent;
        EXPECT_EQ(usage.reasoning, 15u) << what;
    }
}

TEST(Usage, ReasoningIsPartOfTheOutput) {
    UsageReader reader;
    reader.take_tokens(R"({"uncachedInputTokens":100,"outputTokens":10})");
    EXPECT_EQ(reader.usage({.input = 300, .output = 40, .reasoning = 15}, 0).reasoning, 10u);
}

TEST(Usage, CreditsAddUpAndNonsenseDoesNot) {
    UsageReader reader;
    reader.take_credits(0.25);
    reader.take_credits(0.5);
    reader.take_credits(-3);
    reader.take_credits(std::numeric_limits<double>::infinity());
    EXPECT_DOUBLE_EQ(reader.credits(), 0.75);
    reader.take_percent(-2);
    EXPECT_LT(reader.percent(), 0);
    reader.take_percent(120);
    reader.take_percent(-2);
    EXPECT_DOUBLE_EQ(reader.percent(), 120);
}

} // namespace
