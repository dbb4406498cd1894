// The module's own copy of a login, and the lock that goes with it.
#ifndef KIRO_STORE_STATE_H
#define KIRO_STORE_STATE_H

#include <optional>
#include <string_view>

#include "core/kiro/credential.h"
#include "kiro/store.h"

namespace kiro::store {

// Nothing: f is set; its kind is KIRO_FAIL_NONE if there is no state yet.
std::optional<::kiro::kiro::Credential> read_state(const char *dir, const char *account, kiro_failure *f);

bool write_state(const char *dir, const char *account, const ::kiro::kiro::Credential &cred, kiro_failure *f);

// See kiro_store_check_dir() and kiro_store_check_usable().
kiro_status check_dir(const char *dir, int64_t owner, kiro_failure *f);
bool check_usable(const char *dir, kiro_failure *f);

// The account's name becomes a file name, so it must be one.
bool check_account(std::string_view account, kiro_failure *f);

// KIRO_AGAIN: held by somebody else; fd is -1 unless KIRO_OK.
kiro_status lock(const char *dir, const char *account, int &fd, kiro_failure *f);

} // namespace kiro::store

#endif
