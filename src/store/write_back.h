// A refreshed login goes back to where it was read.
#ifndef KIRO_STORE_WRITE_BACK_H
#define KIRO_STORE_WRITE_BACK_H

#include <optional>

#include "core/kiro/credential.h"
#include "kiro/store.h"

namespace kiro::store {

// KIRO_AGAIN: somebody else has put another login there; it is in found.
kiro_status write_back(const kiro_source &source, const ::kiro::kiro::Credential &used,
                       const ::kiro::kiro::Credential &fresh, std::optional<::kiro::kiro::Credential> &found,
                       kiro_failure *f);

} // namespace kiro::store

#endif
