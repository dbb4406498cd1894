// Secrets out of what a request leaves.
#pragma once

#include <string>
#include <string_view>

#include "core/capture/needles.h"

namespace kiro::capture {

// The secrets' bytes become '*', so that lengths and offsets stay what they were. Messages of an event stream
// whose checksum was good get one that is good again.
void mask(std::string &text, const Needles &needles);

// The texts in a login's JSON that are secret.
void add_login_secrets(SecretList &secrets, std::string_view json);

// Account and profile of an ARN.
void add_arn_secrets(SecretList &secrets, std::string_view arn);

} // namespace kiro::capture
