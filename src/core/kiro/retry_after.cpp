#include "core/kiro/retry_after.h"

#include "core/json/scan.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace kiro::kiro {
namespace {

using std::string_view;

struct DateCursor {
    string_view text;

    bool skip(string_view expected) noexcept {
        const bool there = text.starts_with(expected);
        if (there) {
            text.remove_prefix(expected.size());
        }
        return there;
    }

    int number(std::size_t digits) noexcept {
        int value = 0;
        for (std::size_t i = 0; i < digits; ++i) {
            if (i >= text.size() || text[i] < '0' || text[i] > '9') {
                return -1;
            }
            value = value * 10 + (text[i] - '0');
        }
        text.remove_prefix(digits);
        return value;
    }
};

constexpr std::array<string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// "Sun, 06 Nov 1994 08:49:37 GMT" as Unix seconds, -1 for anything else.
std::int64_t http_date(string_view text) noexcept {
    const std::size_t comma = text.find(", ");
    if (comma == text.npos) {
        return -1;
    }
    DateCursor cursor{text.substr(comma + 2)};
    const int day = cursor.number(2);
    cursor.skip(" ");
    const auto name = std::find(kMonths.begin(), kMonths.end(), cursor.text.substr(0, 3));
    if (day < 1 || day > 31 || name == kMonths.end()) {
        return -1;
    }
    const int month = static_cast<int>(name - kMonths.begin()) + 1;
    cursor.text.remove_prefix(3);
    cursor.skip(" ");
    const int year = cursor.number(4);
    cursor.skip(" ");
    const int hour = cursor.number(2);
    cursor.skip(":");
    const int minute = cursor.number(2);
    cursor.skip(":");
    const int second = cursor.number(2);
    if (year < 1970 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 ||
        !cursor.skip(" GMT")) {
        return -1;
    }
    using namespace std::chrono;
    const year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                              std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok()) {
        return -1;
    }
    return sys_days{date}.time_since_epoch() / seconds{1} + hour * 3600 + minute * 60 + second;
}

} // namespace

std::uint64_t retry_after_ms(string_view value, std::int64_t now) noexcept {
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
        value.remove_prefix(1);
    }
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
        value.remove_suffix(1);
    }
    if (!value.empty() && value.front() >= '0' && value.front() <= '9') {
        const auto seconds = json::to_double(value);
        return seconds
                   ? static_cast<std::uint64_t>(std::min(*seconds * 1000, static_cast<double>(kLongestWait)))
                   : 0;
    }
    const std::int64_t at = http_date(value);
    return at > now ? static_cast<std::uint64_t>(at - now) * 1000 : 0;
}

} // namespace kiro::kiro
