// What the service said about the profile of a login, kept beside the state file.
#ifndef KIRO_STORE_PROFILE_H
#define KIRO_STORE_PROFILE_H

#include <optional>
#include <string>
#include <string_view>

#include "kiro/store.h"

namespace kiro::store {

bool write_profile(const char *dir, const char *account, std::string_view fingerprint, std::string_view arn,
                   kiro_failure *f);

// Nothing: f is set; its kind is KIRO_FAIL_NONE if nothing is known of this login.
std::optional<std::string> read_profile(const char *dir, const char *account, std::string_view fingerprint,
                                        kiro_failure *f);

} // namespace kiro::store

#endif
