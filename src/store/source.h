#ifndef KIRO_STORE_SOURCE_H
#define KIRO_STORE_SOURCE_H

#include <optional>

#include "core/kiro/credential.h"
#include "kiro/store.h"

namespace kiro::store {

// The kind that the content says: a database may be given as a credentials file.
kiro_source_kind detect(const kiro_source &source);

// Nothing: f is set, with the path in its message.
std::optional<::kiro::kiro::Credential> read_source(const kiro_source &source, kiro_failure *f);

} // namespace kiro::store

#endif
