// Counting takes any bytes; escaped or not, the same text has the same tokens.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/json/writer.h"
#include "core/tokens/counter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static kiro::tokens::Counter counter; // with what the texts before left in it
    std::string_view bytes(reinterpret_cast<const char *>(data), size);
    if (counter.count(bytes) > size)
        std::abort();

    std::string escaped = kiro::json::escaped(bytes); // makes it UTF-8
    std::string text;
    if (!kiro::json::unescape(escaped, text))
        std::abort();
    uint64_t tokens = counter.count(text);
    if (counter.count_raw(escaped) != tokens || kiro::tokens::Counter().count(text) != tokens)
        std::abort();

    std::string units; // every character of ASCII as \u00XX
    for (char c : text) {
        constexpr char digits[] = "0123456789abcdef";
        auto byte = static_cast<uint8_t>(c);
        if (byte < 128)
            units.append("\\u00").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
        else
            units += c;
    }
    if (counter.count_raw(units) != tokens)
        std::abort();
    return 0;
}
