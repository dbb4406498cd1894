// A time written the way another one was.
#ifndef KIRO_CORE_KIRO_EXPIRY_FORM_H
#define KIRO_CORE_KIRO_EXPIRY_FORM_H

#include <cstdint>
#include <string>
#include <string_view>

namespace kiro::kiro {

// at is in Unix ms; what the form has no room for is cut off, so the result is never later.

// sample is the text of a string: ISO-8601 in any form that parse_iso8601() reads, or digits.
// Anything else gives 2026-10-01T12:00:00.000Z.
std::string expiry_like_text(std::string_view sample, int64_t at);

// sample is a JSON number: seconds or milliseconds, with or without a fraction.
std::string expiry_like_number(std::string_view sample, int64_t at);

} // namespace kiro::kiro

#endif
