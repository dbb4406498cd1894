// A text as it reads behind its encoding, and where each of its bytes stands in the source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kiro::capture {

struct View {
    std::string text;
    std::vector<std::uint32_t> from; // of each byte: where it begins in the source,
    std::vector<std::uint32_t> to;   // and ends

    void reserve(size_t n) {
        text.reserve(n);
        from.reserve(n);
        to.reserve(n);
    }
    void shrink(size_t n) {
        text.resize(n);
        from.resize(n);
        to.resize(n);
    }
    void add(char c, size_t begin, size_t end) {
        text.push_back(c);
        from.push_back(static_cast<std::uint32_t>(begin));
        to.push_back(static_cast<std::uint32_t>(end));
    }
};

// The string values of each JSON member, one after the other in the order in which they come, whatever
// stands between them: the deltas of a stream become the text again. Keys and other strings are views, too.
std::vector<View> json_strings(std::string_view source);

// Everything without the backslashes of JSON, however deep it is in JSON of JSON, and with \uXXXX decoded;
// also outside of what looks like a string, as quotes in a text may be odd. Empty if there are none.
View without_escapes(std::string_view source);

// Everything with %XX decoded; empty if nothing is.
View percent_decoded(std::string_view source);

} // namespace kiro::capture
