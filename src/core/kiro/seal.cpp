#include "core/kiro/seal.h"

#include "core/json/writer.h"

namespace kiro::kiro {

namespace {

constexpr std::string_view prefix = "kr1";
constexpr size_t check_length = 16;
constexpr size_t head_length = prefix.size() + 1 + check_length + 1; // with kind and "."

using Check = std::array<char, check_length>;

std::string_view view(const std::array<uint8_t, 32> &digest) {
    return {reinterpret_cast<const char *>(digest.data()), digest.size()};
}

// The first 12 bytes in the alphabet of base64url.
Check printable(const std::array<uint8_t, 32> &digest) {
    constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    Check check{};
    for (size_t i = 0; i < check_length / 4; i++) {
        uint32_t three = static_cast<uint32_t>(digest[3 * i]) << 16 |
                         static_cast<uint32_t>(digest[3 * i + 1]) << 8 | digest[3 * i + 2];
        for (size_t j = 0; j < 4; j++)
            check[4 * i + j] = alphabet[three >> (18 - 6 * j) & 63];
    }
    return check;
}

// payload as text: clients may escape it in another way than we did.
Check check_of(SealKind kind, std::string_view key, SealedText &text, std::string_view payload) {
    const char letter = static_cast<char>(kind);
    Sha256 hash;
    hash.add_field("seal").add_field({&letter, 1}).add_field(key);
    if (kind == SealKind::text)
        hash.add_field(view(text.finish()));
    hash.add_field(payload);
    return printable(hash.finish());
}

std::optional<SealKind> kind_of(char letter) {
    for (SealKind kind : {SealKind::text, SealKind::placeholder, SealKind::redacted}) {
        if (letter == static_cast<char>(kind))
            return kind;
    }
    return std::nullopt;
}

} // namespace

std::string seal_key(std::string_view account, std::string_view model) {
    Sha256 hash;
    hash.add_field("seal key").add_field(account).add_field(model);
    return std::string(view(hash.finish()));
}

void SealedText::add(Raw piece) {
    if (!json::has_escapes(piece)) {
        hash.add(piece);
        return;
    }
    plain.clear();
    json::unescape(piece, plain);
    hash.add(plain);
}

std::array<uint8_t, 32> SealedText::finish() {
    return hash.finish();
}

std::string seal(SealKind kind, std::string_view key, SealedText &text, Raw payload) {
    const Check check = check_of(
        kind, key, text, json::has_escapes(payload) ? json::unescaped(payload) : std::string(payload));
    std::string out;
    out.reserve(head_length + payload.size());
    out += prefix;
    out += static_cast<char>(kind);
    out.append(check.data(), check.size());
    out += '.';
    out += payload;
    return out;
}

std::optional<Unsealed> open_seal(std::string_view key, std::span<const Raw> texts, Raw sealed) {
    const std::string plain = json::unescaped(sealed);
    const std::string_view whole = plain;
    if (whole.size() <= head_length || !whole.starts_with(prefix) || whole[head_length - 1] != '.')
        return std::nullopt;
    const auto kind = kind_of(whole[prefix.size()]);
    if (!kind)
        return std::nullopt;
    SealedText text;
    for (Raw piece : texts)
        text.add(piece);
    const std::string_view payload = whole.substr(head_length);
    const Check check = check_of(*kind, key, text, payload);
    if (whole.substr(prefix.size() + 1, check_length) != std::string_view(check.data(), check.size()))
        return std::nullopt;
    return Unsealed{*kind, json::escaped(payload)};
}

} // namespace kiro::kiro
