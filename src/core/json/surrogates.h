// Escaped text that arrives in pieces: a surrogate pair may be split between two of them.
#pragma once

#include <string>
#include <string_view>

namespace kiro::json {

class SurrogateJoiner {
public:
    // The text that can be passed on now: a high surrogate at the end of piece is kept back, halves that
    // have no partner become \ufffd. escapes: piece holds surrogate escapes. The result lives in piece or,
    // until the next call, in the joiner.
    std::string_view join(std::string_view piece, bool escapes);

    // At the end of the text: \ufffd for a half that is still kept, else nothing.
    std::string_view finish() noexcept;

private:
    std::string pending_; // \udXXX or empty
    std::string joined_;
};

} // namespace kiro::json
