#include "core/eventstream/header.h"

#include <algorithm>
#include <array>
#include <simdjson.h>

namespace kiro::eventstream {
namespace {

constexpr int kCounted = -1; // a 16-bit length stands in front of the value
constexpr std::array<int, 10> kSizes{0, 0, 1, 2, 4, 8, kCounted, kCounted, 8, 16};

bool is_utf8(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; }) ||
           simdjson::validate_utf8(text.data(), text.size());
}

} // namespace

std::int64_t Header::integer() const noexcept {
    if (value.empty()) {
        return 0;
    }
    std::uint64_t bits = static_cast<unsigned char>(value.front()) >= 0x80 ? ~std::uint64_t{0} : 0;
    for (char c : value) {
        bits = bits << 8 | static_cast<unsigned char>(c);
    }
    return static_cast<std::int64_t>(bits);
}

bool HeaderReader::fail() noexcept {
    malformed_ = true;
    return false;
}

bool HeaderReader::next(Header &header) noexcept {
    if (malformed_ || rest_.empty()) {
        return false;
    }
    const auto byte = [this](std::size_t at) { return static_cast<unsigned char>(rest_[at]); };

    const std::size_t name = byte(0);
    if (rest_.size() < name + 2) {
        return fail();
    }
    header.name = rest_.substr(1, name);
    const std::size_t type = byte(1 + name);
    if (type >= kSizes.size()) {
        return fail();
    }
    header.type = static_cast<HeaderType>(type);
    rest_.remove_prefix(name + 2);

    std::size_t size = 0;
    if (kSizes[type] == kCounted) {
        if (rest_.size() < 2) {
            return fail();
        }
        size = static_cast<std::size_t>(byte(0)) << 8 | byte(1);
        rest_.remove_prefix(2);
    } else {
        size = static_cast<std::size_t>(kSizes[type]);
    }
    if (rest_.size() < size) {
        return fail();
    }
    header.value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    if (!is_utf8(header.name) || (header.type == HeaderType::string && !is_utf8(header.value))) {
        return fail();
    }
    return true;
}

} // namespace kiro::eventstream
