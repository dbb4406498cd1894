#include "core/json/character.h"

#include "core/json/utf8.h"
#include <algorithm>

namespace kiro::json {

namespace {

constexpr uint32_t replacement = 0xFFFD;

char letter_escape(char letter) {
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter; // a quote, a slash
    }
}

void put(Character &character, uint32_t cp) {
    character.size = static_cast<uint8_t>(encode_utf8(cp, character.utf8.data()));
}

uint32_t unit_at(Raw raw, size_t at) {
    return raw.size() >= at + 6 && raw[at] == '\\' && raw[at + 1] == 'u' ? hex4(raw.data() + at + 2)
                                                                         : 0xFFFFFFFF;
}

} // namespace

Character first_character(Raw raw) {
    Character character;
    const auto lead = static_cast<unsigned char>(raw[0]);
    if (lead != '\\' || raw.size() < 2) {
        size_t size = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
        size = std::min(size, raw.size());
        std::copy_n(raw.data(), size, character.utf8.data());
        character.size = character.raw = static_cast<uint8_t>(size);
        return character;
    }
    if (raw[1] != 'u') {
        character.utf8[0] = letter_escape(raw[1]);
        character.size = 1;
        character.raw = 2;
        return character;
    }
    uint32_t unit = unit_at(raw, 0);
    character.raw = static_cast<uint8_t>(std::min<size_t>(6, raw.size()));
    if (is_high_surrogate(unit)) {
        const uint32_t low = unit_at(raw, 6);
        if (low <= 0xFFFF && is_low_surrogate(low)) {
            put(character, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
            character.raw = 12;
            return character;
        }
    }
    put(character, unit > 0xFFFF || (unit >= 0xD800 && unit <= 0xDFFF) ? replacement : unit);
    return character;
}

Raw slice(Raw raw, size_t bytes) {
    if (raw.size() <= bytes)
        return raw;
    const Raw head = raw.substr(0, bytes);
    size_t plain = 0; // behind the last escape
    for (size_t at = head.find('\\'); at != Raw::npos; at = head.find('\\', plain)) {
        plain = at + first_character(raw.substr(at)).raw;
        if (plain > bytes)
            return raw.substr(0, at);
    }
    size_t end = bytes;
    while (end > plain && (static_cast<unsigned char>(raw[end]) & 0xC0) == 0x80)
        end--;
    return raw.substr(0, end);
}

} // namespace kiro::json
