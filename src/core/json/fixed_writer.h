// Writes JSON into a buffer of fixed size without allocating: error bodies must
// work when memory is short.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace kiro::json {

class FixedWriter {
public:
    explicit FixedWriter(std::span<char> out) noexcept : out_(out) {}

    FixedWriter &raw(std::string_view text) noexcept {
        if (text.size() > out_.size() - used_) {
            overflow_ = true;
            return *this;
        }
        std::copy(text.begin(), text.end(), out_.begin() + static_cast<std::ptrdiff_t>(used_));
        used_ += text.size();
        return *this;
    }

    // Escaped; control characters become spaces, so at most two bytes a byte.
    FixedWriter &text(std::string_view text) noexcept {
        for (char c : text) {
            if (c == '"' || c == '\\') {
                raw("\\");
            }
            const char plain = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
            raw({&plain, 1});
        }
        return *this;
    }

    // "text" in quotes, null for an empty one.
    FixedWriter &text_or_null(std::string_view value) noexcept {
        return value.empty() ? raw("null") : raw("\"").text(value).raw("\"");
    }

    // 0 if something did not fit.
    std::size_t size() const noexcept { return overflow_ ? 0 : used_; }

private:
    std::span<char> out_;
    std::size_t used_ = 0;
    bool overflow_ = false;
};

} // namespace kiro::json
