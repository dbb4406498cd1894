#include "core/chat/image_size.h"

#include <array>
#include <cstddef>

namespace kiro::chat {

namespace {

constexpr std::array<int8_t, 256> make_digits() {
    std::array<int8_t, 256> digits{};
    digits.fill(-1);
    int8_t value = 0;
    for (char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
        digits[static_cast<unsigned char>(c)] = value++;
    return digits;
}

constexpr auto digits = make_digits();

// The bytes behind base64, any of them.
class File {
public:
    explicit File(std::string_view text) : base64(text) {}

    // Outside of the file: zero, and it is broken from then on.
    uint32_t byte(size_t at) {
        size_t quad = at / 3 * 4, first = quad + at % 3;
        if (quad + 4 > base64.size()) {
            broken = true;
            return 0;
        }
        int high = digit(first), low = digit(first + 1);
        if (high < 0 || low < 0) {
            broken = true;
            return 0;
        }
        auto bits = static_cast<uint32_t>(high << 6 | low);
        return bits >> (4 - at % 3 * 2) & 0xFF;
    }

    uint32_t big(size_t at, size_t bytes) {
        uint32_t value = 0;
        for (size_t i = 0; i < bytes; i++)
            value = value << 8 | byte(at + i);
        return value;
    }
    uint32_t little(size_t at, size_t bytes) {
        uint32_t value = 0;
        for (size_t i = 0; i < bytes; i++)
            value |= byte(at + i) << 8 * i;
        return value;
    }

    bool broken = false;

private:
    std::string_view base64;

    int digit(size_t at) const { return digits[static_cast<unsigned char>(base64[at])]; }
};

ImageSize png(File &file) {
    return {file.big(16, 4), file.big(20, 4)}; // IHDR comes first
}

ImageSize gif(File &file) {
    return {file.little(6, 2), file.little(8, 2)};
}

ImageSize webp(File &file) {
    switch (file.byte(15)) { // the last character of the chunk's name
    case 'X':
        return {file.little(24, 3) + 1, file.little(27, 3) + 1};
    case 'L': {
        uint32_t bits = file.little(21, 4);
        return {(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1};
    }
    default:
        return {file.little(26, 2) & 0x3FFF, file.little(28, 2) & 0x3FFF};
    }
}

// From segment to segment to the frame header.
ImageSize jpeg(File &file) {
    size_t at = 2;
    for (int segments = 0; segments < 200 && !file.broken; segments++) {
        if (file.byte(at) != 0xFF)
            break;
        uint32_t marker = file.byte(at + 1);
        bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        if (frame)
            return {file.big(at + 7, 2), file.big(at + 5, 2)};
        at += marker == 0xFF ? 1 : 2 + file.big(at + 2, 2);
    }
    return {0, 0};
}

ImageSize read(ImageFormat format, File &file) {
    switch (format) {
    case ImageFormat::png:
        return png(file);
    case ImageFormat::jpeg:
        return jpeg(file);
    case ImageFormat::gif:
        return gif(file);
    case ImageFormat::webp:
        return webp(file);
    }
    return {0, 0};
}

} // namespace

std::optional<ImageSize> image_size(const Image &image) {
    File file(image.base64);
    ImageSize size = read(image.format, file);
    if (file.broken || size.width == 0 || size.height == 0)
        return std::nullopt;
    return size;
}

} // namespace kiro::chat
