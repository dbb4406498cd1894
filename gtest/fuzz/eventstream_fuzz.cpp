/*
 * Any bytes in any pieces: no crash, and the pieces do not matter. First byte: even, the bytes as they are;
 * odd, the lengths and checksums of what looks like messages are made good first, so that their insides are
 * reached.
 */
#include "core/eventstream/decoder.h"
#include "core/eventstream/header.h"

#include "support/choices.h"
#include "support/frames.h"
#include "support/fuzz_must.h"

#include <string>
#include <vector>

namespace {

using namespace kiro::eventstream;
using test::must;

struct Result {
    std::string frames;
    Fault fault = Fault::none;
    std::size_t pending = 0;

    bool operator==(const Result &) const = default;
};

template <class Next> Result decode(std::string_view bytes, Next next_size) {
    Decoder decoder;
    Result result;
    while (!bytes.empty()) {
        const std::size_t piece = std::min<std::size_t>(next_size(), bytes.size());
        const std::vector<char> exact(bytes.begin(), bytes.begin() + piece);
        bytes.remove_prefix(exact.size());
        decoder.feed({exact.data(), exact.size()});
        for (Frame frame; decoder.next(frame);) {
            must(decoder.fault() == Fault::none);
            HeaderReader reader(frame.headers);
            for (Header header; reader.next(header);) {
                result.frames.append(header.name)
                    .append("=")
                    .append(header.value)
                    .append(std::to_string(header.integer()))
                    .append(";");
            }
            must(!reader.malformed());
            result.frames.append("[").append(frame.payload).append("]");
        }
    }
    result.fault = decoder.fault();
    result.pending = decoder.fault() == Fault::none ? decoder.pending() : 0;
    return result;
}

// Messages of the same headers and payloads, as far as there are any.
std::string repaired(std::string_view bytes) {
    std::string out;
    while (bytes.size() >= 16) {
        const auto at = [bytes](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
        const std::size_t total = std::min<std::size_t>(std::max(at(2) << 8 | at(3), 16), bytes.size());
        const std::size_t headers = std::min<std::size_t>(at(6) << 8 | at(7), total - 16);
        out += test::raw_message(bytes.substr(12, headers), bytes.substr(12 + headers, total - headers - 16));
        bytes.remove_prefix(total);
    }
    return out.append(bytes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    std::string bytes(reinterpret_cast<const char *>(data) + 2, size - 2);
    if (data[0] & 1) {
        bytes = repaired(bytes);
    }
    const Result whole = decode(bytes, [&] { return bytes.size(); });
    must(decode(bytes, [] { return 1; }) == whole);
    must(decode(bytes, [&] { return data[1] + 1u; }) == whole);
    unsigned state = data[0] + 1u;
    must(decode(bytes, [&] { return 1 + ((state = state * 1103515245 + 12345) >> 16) % 64; }) == whole);
    return 0;
}
