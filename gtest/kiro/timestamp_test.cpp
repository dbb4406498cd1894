#include "core/kiro/timestamp.h"

#include <gtest/gtest.h>
#include <limits>

namespace {

using kiro::kiro::parse_epoch;
using kiro::kiro::parse_iso8601;

TEST(Timestamp, ReadsIso8601) {
    constexpr int64_t noon = 1790856000000; // 2026-10-01T12:00:00Z
    const struct {
        const char *text;
        int64_t expected;
    } cases[] = {
        {"2026-10-01T12:00:00Z", noon},
        {"2026-10-01T12:00:00.000Z", noon},
        {"2026-10-01T12:00:00", noon},
        {"2026-10-01 12:00:00", noon},
        {"2026-10-01t12:00:00z", noon},
        {"2026-10-01T12:00:00UTC", noon},
        {"2026-10-01T12:00Z", noon},
        {"2026-10-01T12:00:00.1Z", noon + 100},
        {"2026-10-01T12:00:00.123456789Z", noon + 123},
        {"2026-10-01T12:00:00.999999999", noon + 999},
        {"2026-10-01T14:00:00+02:00", noon},
        {"2026-10-01T14:00:00.5+0200", noon + 500},
        {"2026-10-01T04:30:00-07:30", noon},
        {"2026-10-01T13:00:00+01", noon},
        {"2026-09-30T23:59:60Z", noon - 12 * 3600 * 1000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"1970-01-01T00:00:00Z", 0},
        {"9999-12-31T23:59:59Z", 253402300799000},
    };
    for (const auto &c : cases) {
        EXPECT_EQ(parse_iso8601(c.text), c.expected) << c.text;
    }
}

TEST(Timestamp, RefusesWhatIsNoTime) {
    for (const char *text : {"",
                             "2026",
                             "2026-10-01",
                             "2026-10-01T",
                             "2026-13-01T00:00:00Z",
                             "2025-02-29T00:00:00Z",
                             "2026-10-01T24:00:00Z",
                             "2026-10-01T12:60:00Z",
                             "2026-10-01T12:00:61Z",
                             "2026-10-01T12:00:00.Z",
                             "2026-10-01T12:00:00.1234567890Z",
                             "2026-10-01T12:00:00X",
                             "2026-10-01T12:00:00+",
                             "2026-10-01T12:00:00+1",
                             "2026-10-01T12:00:00+01:0",
                             "2026-10-01T12:00:00+24:00",
                             "2026-10-01T12:00:00Z ",
                             " 2026-10-01T12:00:00Z",
                             "1969-12-31T23:59:59Z",
                             "2026/10/01T12:00:00Z",
                             "-026-10-01T12:00:00Z",
                             "tomorrow"}) {
        EXPECT_FALSE(parse_iso8601(text)) << text;
    }
}

TEST(Timestamp, TellsSecondsFromMilliseconds) {
    EXPECT_EQ(parse_epoch(1790856000), 1790856000000);
    EXPECT_EQ(parse_epoch(1790856000.25), 1790856000250);
    EXPECT_EQ(parse_epoch(1790856000123), 1790856000123);
    EXPECT_EQ(parse_epoch(0), 0);
    EXPECT_FALSE(parse_epoch(-1));
    EXPECT_FALSE(parse_epoch(1e300));
    EXPECT_FALSE(parse_epoch(std::numeric_limits<double>::quiet_NaN()));
}

} // namespace
