#include "core/kiro/profile_arn.h"

#include <algorithm>
#include <array>

namespace kiro::kiro {

bool is_region(std::string_view text) {
    constexpr size_t max_region = 32;
    return !text.empty() && text.size() <= max_region && text.front() != '-' && text.back() != '-' &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::optional<std::string_view> arn_region(std::string_view arn) {
    constexpr size_t max_arn = 256;
    enum { prefix, partition, service, region, account, resource, fields };

    // Visible ASCII without what would need care in JSON or a header.
    const bool clean = std::all_of(arn.begin(), arn.end(),
                                   [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
    if (arn.size() > max_arn || !clean) {
        return std::nullopt;
    }
    std::array<std::string_view, fields> field;
    for (size_t i = 0; i < resource; ++i) {
        const size_t colon = arn.find(':');
        if (colon == std::string_view::npos) {
            return std::nullopt;
        }
        field[i] = arn.substr(0, colon);
        arn.remove_prefix(colon + 1);
    }
    field[resource] = arn;
    if (field[prefix] != "arn" || !field[partition].starts_with("aws") || field[service].empty() ||
        !is_region(field[region]) || field[account].empty() || field[resource].empty()) {
        return std::nullopt;
    }
    return field[region];
}

} // namespace kiro::kiro
