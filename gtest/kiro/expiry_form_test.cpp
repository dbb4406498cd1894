#include "core/kiro/expiry_form.h"

#include <gtest/gtest.h>

#include "core/kiro/timestamp.h"

namespace {

using namespace kiro::kiro;

constexpr int64_t at = 1795608123456; // 2026-11-25T12:02:03.456Z

struct Case {
    const char *sample;
    const char *result;
};

TEST(ExpiryForm, KeepsTheFormOfATime) {
    const Case cases[] = {
        {"2026-10-01T12:00:00.000Z", "2026-11-25T12:02:03.456Z"},
        {"2026-10-01T12:00:00Z", "2026-11-25T12:02:03Z"},
        {"2026-10-01T12:00:00", "2026-11-25T12:02:03"},
        {"2026-10-01 12:00:00 UTC", "2026-11-25T12:02:03.456Z"}, // not a form that is read
        {"2026-10-01 12:00:00UTC", "2026-11-25 12:02:03UTC"},
        {"2026-10-01t12:00:00,1z", "2026-11-25t12:02:03,4z"},
        {"2026-10-01T12:00:00.123456789Z", "2026-11-25T12:02:03.456000000Z"},
        {"2026-10-01T12:00Z", "2026-11-25T12:02Z"},
        {"2026-10-01T12:00:00+02:00", "2026-11-25T14:02:03+02:00"},
        {"2026-10-01T12:00:00.00-0530", "2026-11-25T06:32:03.45-0530"},
        {"2026-10-01T12:00:00-13", "2026-11-24T23:02:03-13"},
        {"", "2026-11-25T12:02:03.456Z"},
        {"soon", "2026-11-25T12:02:03.456Z"},
        {"1790000000", "1795608123"},
        {"1790000000000", "1795608123456"},
        {"1790000000.25", "1795608123.45"},
    };
    for (const Case &c : cases) {
        EXPECT_EQ(expiry_like_text(c.sample, at), c.result) << c.sample;
    }
}

TEST(ExpiryForm, KeepsTheFormOfANumber) {
    const Case cases[] = {
        {"1790000000", "1795608123"},           {"0", "1795608123"},
        {"1790000000000", "1795608123456"},     {"1790000000.123456", "1795608123.456000"},
        {"1790000000000.0", "1795608123456.0"}, {"1.79e9", "1795608123"},
        {"1.79e12", "1795608123456"},
    };
    for (const Case &c : cases) {
        EXPECT_EQ(expiry_like_number(c.sample, at), c.result) << c.sample;
    }
}

TEST(ExpiryForm, IsReadBackAndNeverLater) {
    for (const char *sample : {"2026-10-01T12:00:00.000Z", "2026-10-01T12:00:00", "2026-10-01T12:00",
                               "2026-10-01T12:00:00+13:45", "2026-10-01T12:00:00.9-1200"}) {
        for (int64_t time : {int64_t{0}, int64_t{951782400001}, at, int64_t{4102444799999}}) {
            const auto back = parse_iso8601(expiry_like_text(sample, time + 86400000));
            ASSERT_TRUE(back) << sample;
            EXPECT_LE(*back, time + 86400000) << sample;
            EXPECT_GT(*back, time + 86400000 - 60000) << sample;
        }
    }
}

} // namespace
