// Any bytes in any pieces: no crash, and the pieces do not matter.

#include "core/eventstream/decoder.h"
#include "core/eventstream/header.h"

#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace kiro::eventstream;

struct Result {
    std::string frames;
    Fault fault = Fault::none;
    std::size_t pending = 0;

    bool operator==(const Result &) const = default;
};

Result decode(std::string_view bytes, std::size_t piece) {
    Decoder decoder;
    Result result;
    while (!bytes.empty()) {
        const std::vector<char> exact(bytes.begin(), bytes.begin() + std::min(piece, bytes.size()));
        bytes.remove_prefix(exact.size());
        decoder.feed({exact.data(), exact.size()});
        for (Frame frame; decoder.next(frame);) {
            HeaderReader reader(frame.headers);
            for (Header header; reader.next(header);) {
                result.frames.append(header.name)
                    .append(header.value)
                    .append(std::to_string(header.integer()));
            }
            if (reader.malformed()) {
                std::abort();
            }
            result.frames.append(frame.payload);
        }
    }
    result.fault = decoder.fault();
    result.pending = decoder.fault() == Fault::none ? decoder.pending() : 0;
    return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view bytes(reinterpret_cast<const char *>(data) + 1, size - 1);
    const Result whole = decode(bytes, bytes.size() + 1);
    if (!(decode(bytes, 1) == whole) || !(decode(bytes, data[0] + 1u) == whole)) {
        std::abort();
    }
    return 0;
}
