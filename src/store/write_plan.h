// What a refresh makes of a login that is stored somewhere.
#ifndef KIRO_STORE_WRITE_PLAN_H
#define KIRO_STORE_WRITE_PLAN_H

#include <optional>
#include <string_view>

#include "core/kiro/credential.h"
#include "kiro/store.h"

namespace kiro::store {

enum class Step { done, other_login, failed, once_more };

struct Refresh {
    const ::kiro::kiro::Credential &used;
    const ::kiro::kiro::Credential &fresh;
};

// done without a text: it is up to date already. failed: f says what is wrong with the text.
struct Plan {
    Step step;
    std::optional<::kiro::kiro::Secret> text;
};

Plan plan_record(std::string_view text, std::optional<kiro_login> expected, const Refresh &refresh,
                 kiro_failure *f);
Plan plan_refresh_token(std::string_view text, const Refresh &refresh, kiro_failure *f);

} // namespace kiro::store

#endif
