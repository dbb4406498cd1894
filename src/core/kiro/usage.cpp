#include "core/kiro/usage.h"

#include "core/json/scan.h"

#include <algorithm>
#include <cmath>

namespace kiro::kiro {
namespace {

constexpr std::uint64_t kDefaultWindow = 200000;
constexpr std::uint64_t kMaxTokens = 1'000'000'000; // more is no count; sums stay far from overflow

} // namespace

void UsageReader::take_tokens(std::string_view object) {
    json::ObjectScanner scanner(object);
    for (json::Member member; scanner.next(member);) {
        if (member.kind != json::Kind::number) {
            continue;
        }
        if (member.key == "contextUsagePercentage") {
            if (percent_ < 0) { // an event of its own says it better
                take_percent(json::to_double(member.value).value_or(-1));
            }
            continue;
        }
        Count count = json::to_uint(member.value);
        if (count && *count > kMaxTokens) {
            count.reset();
        }
        if (member.key == "uncachedInputTokens") {
            uncached_ = count;
        } else if (member.key == "outputTokens") {
            output_ = count;
        } else if (member.key == "totalTokens") {
            total_ = count;
        } else if (member.key == "cacheReadInputTokens") {
            cache_read_ = count;
        } else if (member.key == "cacheWriteInputTokens") {
            cache_write_ = count;
        }
    }
}

void UsageReader::take_percent(double percent) noexcept {
    if (std::isfinite(percent) && percent >= 0) {
        percent_ = percent;
    }
}

// Numbers that no bill has are not added.
void UsageReader::take_credits(double credits) noexcept {
    if (const double sum = credits_ + credits; credits > 0 && std::isfinite(sum)) {
        credits_ = sum;
    }
}

chat::Usage UsageReader::usage(const OwnCount &own, std::uint64_t window) const noexcept {
    chat::Usage usage;
    const std::uint64_t cached = cache_read_.value_or(0) + cache_write_.value_or(0);
    // Nothing has no tokens: a zero is a field that was not filled in.
    usage.output = output_.value_or(0) > 0 ? *output_ : own.output;
    if (uncached_.value_or(0) + cached > 0 && uncached_) {
        usage.input = *uncached_ + cached;
        usage.source = chat::UsageSource::upstream;
    } else if (total_ && *total_ > std::max(usage.output, cached)) {
        usage.input = *total_ - usage.output;
        usage.source = chat::UsageSource::upstream;
    } else {
        usage.input = own.input;
        if (percent_ > 0 && percent_ <= 100) {
            // It is measured behind the answer.
            const double whole = percent_ * static_cast<double>(window > 0 ? window : kDefaultWindow) / 100;
            const auto total = static_cast<std::uint64_t>(whole);
            if (total > usage.output) {
                usage.input = total - usage.output;
                usage.source = chat::UsageSource::percent;
            }
        }
    }
    if (cached <= usage.input) {
        usage.cache_read = cache_read_.value_or(0);
        usage.cache_write = cache_write_.value_or(0);
    }
    usage.reasoning = std::min(own.reasoning, usage.output);
    return usage;
}

} // namespace kiro::kiro
