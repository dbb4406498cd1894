#include "core/kiro/expiry_form.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "core/kiro/timestamp.h"

namespace kiro::kiro {

namespace {

constexpr size_t most_digits = 9;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

size_t digits_at(std::string_view text, size_t at) {
    size_t n = 0;
    while (at + n < text.size() && is_digit(text[at + n])) {
        ++n;
    }
    return n;
}

// The first digits of a fraction of a second.
std::string fraction(int64_t ms, size_t digits) {
    std::array<char, 16> text;
    std::snprintf(text.data(), text.size(), "%03d000000", static_cast<int>(ms));
    return std::string(text.data(), std::min(digits, most_digits));
}

// "+02:00", "-0530" and "+02" in minutes; 0 for the names of UTC.
int minutes_east(std::string_view zone) {
    if (zone.empty() || (zone[0] != '+' && zone[0] != '-')) {
        return 0;
    }
    const auto two = [&](size_t at) {
        return digits_at(zone, at) >= 2 ? (zone[at] - '0') * 10 + (zone[at + 1] - '0') : 0;
    };
    const size_t colon = zone.size() > 3 && zone[3] == ':' ? 1 : 0;
    const int minutes = two(1) * 60 + two(3 + colon);
    return zone[0] == '+' ? minutes : -minutes;
}

std::string like_iso8601(std::string_view sample, int64_t at) {
    using namespace std::chrono;
    constexpr size_t separator = 10;
    constexpr size_t after_minutes = 16;
    constexpr size_t after_seconds = 19;

    const bool has_seconds = sample.size() > after_minutes && sample[after_minutes] == ':';
    size_t zone = has_seconds ? after_seconds : after_minutes;
    char point = 0;
    size_t digits = 0;
    if (has_seconds && sample.size() > zone && (sample[zone] == '.' || sample[zone] == ',')) {
        point = sample[zone];
        digits = digits_at(sample, zone + 1);
        zone += 1 + digits;
    }
    const milliseconds time = milliseconds(at) + minutes(minutes_east(sample.substr(zone)));
    const auto midnight = floor<days>(time);
    const year_month_day date{sys_days(midnight)};
    const hh_mm_ss clock{time - midnight};

    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02u%c%02d:%02d", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), sample[separator],
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()));
    std::string out = text.data();
    if (has_seconds) {
        std::snprintf(text.data(), text.size(), ":%02d", static_cast<int>(clock.seconds().count()));
        out += text.data();
    }
    if (point != 0) {
        out += point;
        out += fraction(clock.subseconds().count(), digits);
    }
    return out.append(sample.substr(zone));
}

} // namespace

std::string expiry_like_number(std::string_view sample, int64_t at) {
    // As parse_epoch() tells them apart.
    constexpr double first_milliseconds = 1e11;
    double value = 0;
    std::from_chars(sample.data(), sample.data() + sample.size(), value);
    const bool in_ms = value >= first_milliseconds;

    std::string out = std::to_string(in_ms ? at : at / 1000);
    const size_t point = sample.find('.');
    if (point != sample.npos && sample.find_first_of("eE") == sample.npos) {
        out += '.';
        const size_t digits = std::max<size_t>(digits_at(sample, point + 1), 1);
        out += in_ms ? std::string(std::min(digits, most_digits), '0') : fraction(at % 1000, digits);
    }
    return out;
}

std::string expiry_like_text(std::string_view sample, int64_t at) {
    if (parse_iso8601(sample)) {
        return like_iso8601(sample, at);
    }
    double value = 0;
    const auto [end, error] = std::from_chars(sample.data(), sample.data() + sample.size(), value);
    const bool digits = error == std::errc() && end == sample.data() + sample.size() && parse_epoch(value);
    return digits ? expiry_like_number(sample, at) : like_iso8601("2026-10-01T12:00:00.000Z", at);
}

} // namespace kiro::kiro
