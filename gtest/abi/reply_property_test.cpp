// Random answers of the upstream, legal and illegal, in random pieces: no client ever gets an illegal one.
// KIRO_REPLY_CASES and KIRO_REPLY_SEED choose how many and which.

#include "support/reply_judge.h"
#include "support/reply_property.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace {

uint64_t setting(const char *name, uint64_t usual) {
    const char *value = std::getenv(name);
    return value != nullptr ? std::strtoull(value, nullptr, 10) : usual;
}

TEST(ReplyProperty, NoAnswerIsEverIllegal) {
    const uint64_t first = setting("KIRO_REPLY_SEED", 1);
    const uint64_t cases = setting("KIRO_REPLY_CASES", 2000);
    test::Tally tally;
    for (uint64_t seed = first; seed < first + cases; ++seed) {
        const std::string bytes = test::seeded_bytes(seed, 20 + seed * 7 % 90);
        ASSERT_NO_THROW(test::judge_random(bytes, &tally)) << "seed " << seed;
    }
    // All kinds of ends and contents were there, in the six modes of each.
    for (const unsigned seen : {tally.whole, tally.errors, tally.early, tally.calls, tally.reasoning}) {
        EXPECT_GT(seen, cases / 10);
    }
    EXPECT_GT(tally.cut, cases / 50);
    EXPECT_GT(tally.rescued, cases / 50);
}

} // namespace
