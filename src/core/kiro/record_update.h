// A stored login brought up to date within its own text.
#ifndef KIRO_CORE_KIRO_RECORD_UPDATE_H
#define KIRO_CORE_KIRO_RECORD_UPDATE_H

#include <optional>
#include <string_view>

#include "core/kiro/credential.h"

namespace kiro::kiro {

// The JSON record with the tokens and the expiry of fresh, and its profile ARN where the
// refresh of used brought another one and the record has one. Members are replaced, never
// added; all other bytes, and the form of the expiry, stay as they are. Nothing: f is set.
std::optional<Secret> update_record(std::string_view text, const Credential &used, const Credential &fresh,
                                    kiro_failure *f);

// The same for a bare refresh token.
Secret update_refresh_token(std::string_view text, const Credential &fresh);

// Whether this refresh token was spent on the way to fresh: nobody but us replaced it.
bool spent_for(std::string_view refresh_token, const Credential &used, const Credential &fresh);

} // namespace kiro::kiro

#endif
