#include "core/eventstream/decoder.h"

#include "core/eventstream/crc32.h"
#include "core/eventstream/header.h"

#include <algorithm>

namespace kiro::eventstream {
namespace {

constexpr std::size_t kPrelude = 12;
constexpr std::size_t kLengths = 8; // what the prelude's checksum covers
constexpr std::size_t kChecksum = 4;
constexpr std::size_t kMinMessage = kPrelude + kChecksum;
constexpr std::size_t kKeptBuffer = 64 * 1024; // more is given back
constexpr std::size_t kKeptHeaders = 1024;

std::uint32_t read_u32(const char *data) noexcept {
    const auto *p = reinterpret_cast<const unsigned char *>(data);
    return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

} // namespace

const char *fault_name(Fault fault) noexcept {
    switch (fault) {
    case Fault::none:
        return "none";
    case Fault::length:
        return "length";
    case Fault::prelude_crc:
        return "prelude_crc";
    case Fault::header_length:
        return "header_length";
    case Fault::message_crc:
        return "message_crc";
    case Fault::header:
        return "header";
    }
    return "unknown";
}

bool Decoder::fail(Fault fault) noexcept {
    fault_ = fault;
    input_ = {};
    return false;
}

bool Decoder::read_prelude(const char *prelude) noexcept {
    const std::size_t total = read_u32(prelude);
    const std::size_t headers = read_u32(prelude + 4);
    if (total < kMinMessage || total > kMaxMessage) {
        return fail(Fault::length);
    }
    crc_ = crc32(0, prelude, kLengths);
    if (crc_ != read_u32(prelude + kLengths)) {
        return fail(Fault::prelude_crc);
    }
    if (headers > total - kMinMessage || headers > kMaxHeaders) {
        return fail(Fault::header_length);
    }
    total_ = total;
    header_size_ = headers;
    return true;
}

bool Decoder::open(std::string_view message, Frame &frame) {
    const std::size_t body = message.size() - kChecksum;
    if (crc32(crc_, message.data() + kLengths, body - kLengths) != read_u32(message.data() + body)) {
        return fail(Fault::message_crc);
    }
    frame.headers = message.substr(kPrelude, header_size_);
    frame.payload = message.substr(kPrelude + header_size_, body - kPrelude - header_size_);
    total_ = 0;
    if (frame.headers == good_headers_) {
        return true;
    }
    HeaderReader reader(frame.headers);
    for (Header header; reader.next(header);) {
    }
    if (reader.malformed()) {
        return fail(Fault::header);
    }
    if (frame.headers.size() <= kKeptHeaders) {
        good_headers_.assign(frame.headers);
    }
    return true;
}

void Decoder::take(std::size_t size) {
    const std::size_t missing = std::min(size - buffer_.size(), input_.size());
    buffer_.append(input_.substr(0, missing));
    input_.remove_prefix(missing);
}

bool Decoder::next(Frame &frame) {
    if (fault_ != Fault::none) {
        return false;
    }
    if (delivered_) {
        buffer_.clear();
        if (buffer_.capacity() > kKeptBuffer) {
            buffer_.shrink_to_fit();
        }
        delivered_ = false;
    }
    if (buffer_.empty()) {
        if (input_.size() >= kPrelude) {
            if (!read_prelude(input_.data())) {
                return false;
            }
            if (input_.size() >= total_) {
                const std::string_view message = input_.substr(0, total_);
                input_.remove_prefix(total_);
                return open(message, frame);
            }
        }
        buffer_.assign(input_);
        input_ = {};
        return false;
    }
    if (total_ == 0) {
        take(kPrelude);
        if (buffer_.size() < kPrelude || !read_prelude(buffer_.data())) {
            return false;
        }
    }
    take(total_);
    if (buffer_.size() < total_) {
        return false;
    }
    delivered_ = true;
    return open(buffer_, frame);
}

} // namespace kiro::eventstream
