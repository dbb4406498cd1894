#include "store/write_plan.h"

#include <utility>

#include "core/kiro/record_update.h"

namespace kiro::store {

using ::kiro::kiro::Credential;

namespace {

bool is_spent(const Credential &stored, const Refresh &refresh) {
    return ::kiro::kiro::spent_for(stored.refresh_token.view(), refresh.used, refresh.fresh);
}

} // namespace

Plan plan_record(std::string_view text, std::optional<kiro_login> expected, const Refresh &refresh,
                 kiro_failure *f) {
    const auto stored = ::kiro::kiro::parse_credential(text, f, expected);
    if (!stored) {
        return {Step::failed, std::nullopt};
    }
    if (stored->refresh_token.view() == refresh.fresh.refresh_token.view() &&
        stored->access_token.view() == refresh.fresh.access_token.view()) {
        return {Step::done, std::nullopt};
    }
    if (!is_spent(*stored, refresh)) {
        return {Step::other_login, std::nullopt};
    }
    auto updated = ::kiro::kiro::update_record(text, refresh.used, refresh.fresh, f);
    return {updated ? Step::done : Step::failed, std::move(updated)};
}

Plan plan_refresh_token(std::string_view text, const Refresh &refresh, kiro_failure *f) {
    const auto stored = ::kiro::kiro::credential_from_refresh_token(text, f);
    if (!stored) {
        return {Step::failed, std::nullopt};
    }
    if (stored->refresh_token.view() == refresh.fresh.refresh_token.view()) {
        return {Step::done, std::nullopt};
    }
    if (!is_spent(*stored, refresh)) {
        return {Step::other_login, std::nullopt};
    }
    return {Step::done, ::kiro::kiro::update_refresh_token(text, refresh.fresh)};
}

} // namespace kiro::store
