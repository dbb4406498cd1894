// The header block of one event-stream message.
#pragma once

#include <cstdint>
#include <string_view>

namespace kiro::eventstream {

enum class HeaderType : std::uint8_t {
    true_value = 0,
    false_value = 1,
    int8 = 2,
    int16 = 3,
    int32 = 4,
    int64 = 5,
    bytes = 6,
    string = 7,
    timestamp = 8, // ms since 1970
    uuid = 9,
};

struct Header {
    std::string_view name;
    HeaderType type = HeaderType::true_value;
    std::string_view value; // the value's bytes, big-endian, without a length

    // For integers and timestamps.
    std::int64_t integer() const noexcept;
};

class HeaderReader {
public:
    explicit HeaderReader(std::string_view block) noexcept : rest_(block) {}

    bool next(Header &header) noexcept; // false: no more, or malformed
    bool malformed() const noexcept { return malformed_; }

private:
    bool fail() noexcept;

    std::string_view rest_;
    bool malformed_ = false;
};

} // namespace kiro::eventstream
