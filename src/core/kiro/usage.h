/*
 * What an answer cost. The service may tell it in three ways, of which the first that is usable counts:
 *
 *   tokenUsage               numbers, of which some may be missing or zero
 *   contextUsagePercentage   prompt and answer together, in percent of the model's window
 *   nothing                  the gateway's own counts
 */
#pragma once

#include "core/chat/event.h"
#include "core/chat/reply_context.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace kiro::kiro {

// What the gateway counted itself.
struct OwnCount {
    std::uint64_t input = 0;  // 0: unknown
    std::uint64_t output = 0; // with reasoning
    std::uint64_t reasoning = 0;
};

class UsageReader {
public:
    // tokenUsage: an object that is known to be valid.
    void take_tokens(std::string_view object);

    void take_percent(double percent) noexcept;
    void take_credits(double credits) noexcept; // add up

    // window: of the model, 0: unknown. The parts never exceed the whole.
    chat::Usage usage(const OwnCount &own, std::uint64_t window) const noexcept;

    double credits() const noexcept { return credits_; }
    double percent() const noexcept { return percent_; } // < 0: not reported

private:
    using Count = std::optional<std::uint64_t>;

    Count uncached_, output_, total_, cache_read_, cache_write_;
    double percent_ = -1;
    double credits_ = 0;
};

} // namespace kiro::kiro
