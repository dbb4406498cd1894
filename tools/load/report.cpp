#include "report.h"

#include <algorithm>
#include <cstdio>

namespace load {

std::uint32_t percentile(std::vector<std::uint32_t> &values, double p) {
    if (values.empty()) {
        return 0;
    }
    const auto at = static_cast<std::size_t>(p * static_cast<double>(values.size() - 1) + 0.5);
    return values[std::min(at, values.size() - 1)];
}

void print_header() {
    std::printf("%-18s %7s %7s %6s %9s %9s | %8s %8s | %7s %7s %7s %7s %8s %6s %8s\n", "ms", "streams",
                "calls", "broken", "tokens", "tokens/s", "first50", "first99", "p50", "p90", "p99", "p99.9",
                "max", ">100", "gap");
}

void print_row(const std::string &label, std::size_t streams, Measured &m) {
    std::sort(m.late.begin(), m.late.end());
    std::sort(m.first.begin(), m.first.end());
    std::size_t broken = 0;
    for (const auto &[why, n] : m.broken) {
        broken += n;
    }
    const auto over = m.late.end() - std::upper_bound(m.late.begin(), m.late.end(), 100'000u);
    const auto ms = [](std::uint32_t micros) { return micros / 1000.0; };
    const double seconds = static_cast<double>(std::max<Micros>(m.end - m.begin, 1)) / 1e6;
    std::printf("%-18s %7zu %7zu %6zu %9zu %9.0f | %8.2f %8.2f | %7.2f %7.2f %7.2f %7.2f %8.2f %6td %8.2f\n",
                label.c_str(), streams, m.calls, broken, m.late.size(),
                static_cast<double>(m.late.size()) / seconds, ms(percentile(m.first, 0.5)),
                ms(percentile(m.first, 0.99)), ms(percentile(m.late, 0.5)), ms(percentile(m.late, 0.9)),
                ms(percentile(m.late, 0.99)), ms(percentile(m.late, 0.999)), ms(percentile(m.late, 1)), over,
                ms(m.gap));
    for (const auto &[why, n] : m.broken) {
        std::printf("broken: %zu x %s\n", n, why.c_str());
    }
    std::fflush(stdout);
}

} // namespace load
