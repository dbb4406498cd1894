#include "core/json/surrogates.h"

#include "core/json/raw.h"

namespace kiro::json {
namespace {

constexpr std::size_t kEscape = 6; // \uXXXX
constexpr std::string_view kReplacement = "\\ufffd";

// The code unit of the \u escape at this place, 0 if there is none.
std::uint32_t unit_at(std::string_view text, std::size_t at) noexcept {
    return text.size() - at >= kEscape && text[at] == '\\' && text[at + 1] == 'u' ? hex4(text.data() + at + 2)
                                                                                  : 0;
}

} // namespace

std::string_view SurrogateJoiner::join(std::string_view piece, bool escapes) {
    if (piece.empty() || (!escapes && pending_.empty())) {
        return piece;
    }
    joined_.assign(pending_);
    joined_.append(piece);
    pending_.clear();

    // Replacing keeps the length, so it is done in place.
    for (std::size_t at = 0; at < joined_.size();) {
        if (joined_[at] != '\\') {
            ++at;
            continue;
        }
        const std::uint32_t unit = unit_at(joined_, at);
        if (is_high_surrogate(unit)) {
            if (at + kEscape == joined_.size()) {
                pending_.assign(joined_, at, kEscape);
                joined_.resize(at);
                break;
            }
            if (is_low_surrogate(unit_at(joined_, at + kEscape))) {
                at += 2 * kEscape;
                continue;
            }
            joined_.replace(at, kEscape, kReplacement);
        } else if (is_low_surrogate(unit)) {
            joined_.replace(at, kEscape, kReplacement);
        }
        at += 2; // the character behind the backslash is no backslash of its own
    }
    return joined_;
}

std::string_view SurrogateJoiner::finish() noexcept {
    if (pending_.empty()) {
        return {};
    }
    pending_.clear();
    return kReplacement;
}

} // namespace kiro::json
