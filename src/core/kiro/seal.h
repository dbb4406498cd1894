/*
 * What a client keeps of reasoning is worth something only to the account and model that it came from, and
 * only as long as nobody changed it: the service refuses a whole request for one foreign signature. So what
 * we give out is sealed:
 *
 *   "kr1" kind check "." payload
 *
 * kind is a letter, payload what the upstream gave, check 16 characters of a hash over kind, account, model,
 * the text of the reasoning and the payload. It is no secret: the service looks at the payload itself, and
 * who forges a seal gains a refusal, which costs one retry.
 */
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/json/raw.h"
#include "core/kiro/digest.h"

namespace kiro::kiro {

using json::Raw;

enum class SealKind : char {
    text = 's',        // a signature for readable reasoning
    placeholder = 'p', // a signature that is the reasoning, for the text "..."
    redacted = 'r',    // redactedContent
};

// What seals are bound to: bytes.
std::string seal_key(std::string_view account, std::string_view model);

// The text that a signature is for, in pieces that are whole characters.
class SealedText {
public:
    void add(Raw piece);
    std::array<uint8_t, 32> finish();

private:
    Sha256 hash;
    std::string plain;
};

// payload and result are raw. The text counts for SealKind::text only.
std::string seal(SealKind kind, std::string_view key, SealedText &text, Raw payload);

struct Unsealed {
    SealKind kind;
    std::string payload; // raw
};

// The reverse; nothing for what is foreign, altered or no seal at all. texts are the pieces of the text.
std::optional<Unsealed> open_seal(std::string_view key, std::span<const Raw> texts, Raw sealed);

} // namespace kiro::kiro
