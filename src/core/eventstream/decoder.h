// Incremental decoder of AWS event-stream messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kiro::eventstream {

constexpr std::size_t kMaxMessage = 16 * 1024 * 1024;
constexpr std::size_t kMaxHeaders = 128 * 1024;

// One whole message whose checksums and headers are good.
struct Frame {
    std::string_view headers; // for HeaderReader
    std::string_view payload;
};

enum class Fault : std::uint8_t { none, length, prelude_crc, header_length, message_crc, header };

const char *fault_name(Fault fault) noexcept;

/*
 * feed(), then next() until it gives false. Messages that lie within one piece
 * of input are decoded in place; only an unfinished one is copied. A frame is
 * valid until the next call. After a fault the stream cannot be resynchronised
 * and nothing more is taken.
 */
class Decoder {
public:
    // Only when next() gave false. The input must stay until next() does so again.
    void feed(std::string_view input) noexcept { input_ = input; }

    bool next(Frame &frame);

    Fault fault() const noexcept { return fault_; }

    // Bytes of a message that is not whole yet.
    std::size_t pending() const noexcept { return delivered_ ? 0 : buffer_.size(); }

private:
    bool fail(Fault fault) noexcept;
    bool read_prelude(const char *prelude) noexcept;
    bool open(std::string_view message, Frame &frame);
    void take(std::size_t size);

    std::string_view input_;
    std::string buffer_;       // the unfinished message
    std::string good_headers_; // the block checked last: most repeat
    std::size_t total_ = 0;    // of the message in front, 0: prelude not read
    std::size_t header_size_ = 0;
    std::uint32_t crc_ = 0; // over the prelude's lengths
    Fault fault_ = Fault::none;
    bool delivered_ = false; // the buffer holds a frame that was given out
};

} // namespace kiro::eventstream
