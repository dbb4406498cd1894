#include "core/chat/image.h"

#include <algorithm>
#include <array>
#include <optional>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace kiro::chat {

namespace {

struct Signature {
    std::string_view base64; // how a file of this format begins
    std::string_view more;   // at the twelfth character
    ImageFormat format;
};

constexpr Signature signatures[] = {
    {"iVBORw0KGgo", {}, ImageFormat::png}, {"/9j/", {}, ImageFormat::jpeg},
    {"R0lGODdh", {}, ImageFormat::gif},    {"R0lGODlh", {}, ImageFormat::gif},
    {"UklGR", "XRUJQ", ImageFormat::webp}, // RIFF, the size, WEBP
};

struct MediaType {
    std::string_view name;
    ImageFormat format;
};

constexpr MediaType media_types[] = {
    {"image/png", ImageFormat::png}, {"image/jpeg", ImageFormat::jpeg}, {"image/jpg", ImageFormat::jpeg},
    {"image/gif", ImageFormat::gif}, {"image/webp", ImageFormat::webp},
};

std::optional<ImageFormat> format_of_media_type(std::string_view name) {
    for (const auto &known : media_types) {
        if (known.name == name)
            return known.format;
    }
    return std::nullopt;
}

// The upstream refuses an image whose bytes are not what its format says, and clients often mislabel them.
std::optional<ImageFormat> format_of_data(std::string_view base64) {
    for (const auto &known : signatures) {
        if (base64.starts_with(known.base64) &&
            base64.substr(std::min<size_t>(11, base64.size())).starts_with(known.more))
            return known.format;
    }
    return std::nullopt;
}

constexpr std::array<bool, 256> make_base64_table() {
    std::array<bool, 256> table{};
    for (int c = '0'; c <= '9'; c++)
        table[static_cast<size_t>(c)] = true;
    for (int c = 'a'; c <= 'z'; c++)
        table[static_cast<size_t>(c)] = true;
    for (int c = 'A'; c <= 'Z'; c++)
        table[static_cast<size_t>(c)] = true;
    table['+'] = table['/'] = true;
    return table;
}

constexpr auto base64_table = make_base64_table();

#if defined(__SSE2__)
// 0xFF for each of 16 bytes that is a digit of base64: an image has millions of them.
__m128i base64_digits(const char *p) {
    __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
    auto within = [](__m128i bytes, char first, char count) { // first <= byte < first + count
        __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
        return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(static_cast<char>(count - 1))), offset);
    };
    __m128i letter = within(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 26);
    __m128i digit = within(x, '/', 11); // and the slash before them
    return _mm_or_si128(_mm_or_si128(letter, digit), _mm_cmpeq_epi8(x, _mm_set1_epi8('+')));
}
#endif

bool is_base64(std::string_view text) {
    if (text.empty() || text.size() % 4 != 0)
        return false;
    for (int padding = 0; padding < 2 && text.ends_with('='); padding++)
        text.remove_suffix(1);
    const char *p = text.data(), *end = p + text.size();
#if defined(__SSE2__)
    __m128i all = _mm_set1_epi8(-1);
    for (; end - p >= 16; p += 16)
        all = _mm_and_si128(all, base64_digits(p));
    if (_mm_movemask_epi8(all) != 0xFFFF)
        return false;
#endif
    bool good = true;
    for (; p != end; p++)
        good &= base64_table[static_cast<unsigned char>(*p)];
    return good;
}

// Some encoders escape every slash, wrap lines, use the alphabet for URLs or leave the padding out.
std::string repaired(Raw data) {
    std::string text;
    for (char c : json::unescaped(data)) {
        if (c == '-')
            c = '+';
        else if (c == '_')
            c = '/';
        if (c != '\n' && c != '\r' && c != ' ' && c != '\t')
            text += c;
    }
    while (text.ends_with('='))
        text.pop_back();
    if (text.size() % 4 != 1)
        text.append((4 - text.size() % 4) % 4, '=');
    return text;
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

} // namespace

std::string_view clean_base64(Raw data, const Path &path, Arena &arena, Rule refusal) {
    if (is_base64(data))
        return data;
    std::string text = repaired(data);
    if (!is_base64(text))
        invalid(path, "the data is not base64", refusal);
    arena.note(Rule::base64_repaired, data);
    return arena.keep(std::move(text));
}

Image image_from_base64(Raw media_type, Raw data, const Path &path, Arena &arena) {
    std::string type = json::unescaped(media_type.substr(0, 64));
    for (char &c : type)
        c = lower(c);
    auto declared = format_of_media_type(type);
    std::string_view base64 = clean_base64(data, path, arena);
    auto format = format_of_data(base64);
    if (!format && !declared && !type.empty()) {
        invalid(path,
                "image type " + quoted(media_type) +
                    " is not supported; use image/png, image/jpeg, image/gif or image/webp",
                Rule::image_data);
    }
    if (!format)
        invalid(path, "the data is no PNG, JPEG, GIF or WebP image", Rule::image_data);
    if (base64.size() / 4 * 3 > max_attachment)
        invalid(path, "the image is larger than 10 MB", Rule::image_data);
    if (declared ? *declared != *format : !type.empty())
        arena.note(Rule::image_format_corrected, data);
    return {*format, base64};
}

Image image_from_url(Raw url, const Path &path, Arena &arena) {
    // The scheme and media type are short; the rest must not be copied to look at it.
    Raw head = url.substr(0, url.find(','));
    std::string prefix = head.size() <= 256 ? json::unescaped(head) : std::string();
    for (char &c : prefix)
        c = lower(c);
    if (!prefix.starts_with("data:")) {
        if (prefix.starts_with("http:") || prefix.starts_with("https:"))
            invalid(path, "images by URL are not fetched; send the image as a data: URL", Rule::image_source);
        invalid(path, "not an image URL; send the image as data:image/png;base64,...", Rule::image_source);
    }
    if (head.size() == url.size() || !prefix.ends_with(";base64"))
        invalid(path, "the data: URL is not base64", Rule::image_data);
    std::string_view type = std::string_view(prefix).substr(5);
    type = type.substr(0, type.find(';'));
    return image_from_base64(type, url.substr(head.size() + 1), path, arena);
}

} // namespace kiro::chat
