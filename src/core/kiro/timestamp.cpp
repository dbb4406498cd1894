#include "core/kiro/timestamp.h"

#include <chrono>

namespace kiro::kiro {

namespace {

struct Cursor {
    std::string_view rest;

    bool take(char c) {
        if (rest.empty() || rest.front() != c) {
            return false;
        }
        rest.remove_prefix(1);
        return true;
    }

    // Exactly this many digits; -1 otherwise.
    int digits(size_t count) {
        if (rest.size() < count) {
            return -1;
        }
        int value = 0;
        for (char c : rest.substr(0, count)) {
            if (c < '0' || c > '9') {
                return -1;
            }
            value = value * 10 + (c - '0');
        }
        rest.remove_prefix(count);
        return value;
    }
};

bool in_range(int value, int low, int high) {
    return value >= low && value <= high;
}

// The fraction after its point, in ms; -1 if malformed.
int fraction(Cursor &in) {
    int ms = 0;
    int scale = 100;
    size_t count = 0;
    for (; !in.rest.empty() && in.rest.front() >= '0' && in.rest.front() <= '9'; ++count) {
        ms += (in.rest.front() - '0') * scale;
        scale /= 10;
        in.rest.remove_prefix(1);
    }
    return count >= 1 && count <= 9 ? ms : -1;
}

// Minutes east of UTC.
std::optional<int> offset(Cursor &in) {
    if (in.rest.empty() || in.rest == "Z" || in.rest == "z" || in.rest == "UTC") {
        in.rest = {};
        return 0;
    }
    const bool east = in.rest.front() == '+';
    if (!east && in.rest.front() != '-') {
        return std::nullopt;
    }
    in.rest.remove_prefix(1);
    const int hours = in.digits(2);
    in.take(':');
    const int minutes = in.rest.empty() ? 0 : in.digits(2);
    if (!in_range(hours, 0, 23) || !in_range(minutes, 0, 59) || !in.rest.empty()) {
        return std::nullopt;
    }
    const int total = hours * 60 + minutes;
    return east ? total : -total;
}

} // namespace

std::optional<int64_t> parse_iso8601(std::string_view text) {
    using namespace std::chrono;

    Cursor in{text};
    const int y = in.digits(4);
    const bool dash1 = in.take('-');
    const int mon = in.digits(2);
    const bool dash2 = in.take('-');
    const int d = in.digits(2);
    const bool separated = in.take('T') || in.take('t') || in.take(' ');
    const int h = in.digits(2);
    const bool colon = in.take(':');
    const int min = in.digits(2);
    int sec = 0;
    int ms = 0;
    if (in.take(':')) {
        sec = in.digits(2);
        if (in.take('.') || in.take(',')) {
            ms = fraction(in);
        }
    }
    if (!dash1 || !dash2 || !separated || !colon || y < 1970 || mon < 0 || d < 0 || ms < 0 ||
        !in_range(h, 0, 23) || !in_range(min, 0, 59) || !in_range(sec, 0, 60)) {
        return std::nullopt;
    }
    const year_month_day date{year{y}, month{static_cast<unsigned>(mon)}, day{static_cast<unsigned>(d)}};
    const auto east = offset(in);
    if (!date.ok() || !east) {
        return std::nullopt;
    }
    const auto at = sys_days{date}.time_since_epoch() + hours{h} + minutes{min - *east} + seconds{sec};
    return duration_cast<milliseconds>(at).count() + ms;
}

std::optional<int64_t> parse_epoch(double value) {
    // As seconds this is the year 5138, as milliseconds 1973.
    constexpr double first_milliseconds = 1e11;
    constexpr double year_9999_ms = 253402300799999.0;
    const double ms = value < first_milliseconds ? value * 1000 : value;
    if (!(ms >= 0 && ms <= year_9999_ms)) {
        return std::nullopt;
    }
    return static_cast<int64_t>(ms);
}

} // namespace kiro::kiro
