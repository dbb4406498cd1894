// Two halves of the input: a signature and a text. What is sealed opens again, and what comes from a client
// never opens by chance or becomes something that is no JSON string.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/json/raw.h"
#include "core/json/validate.h"
#include "core/json/writer.h"
#include "core/kiro/seal.h"

namespace {

using namespace kiro::kiro;

void check(bool holds) {
    if (!holds)
        std::abort();
}

// The input as the inside of a JSON string: as it is if it can stand there, else escaped.
std::string raw_of(std::string_view bytes) {
    std::string quoted;
    kiro::json::append_raw_string(quoted, bytes);
    auto verdict = kiro::json::validate(quoted);
    return verdict && !verdict.lone_surrogates && quoted.size() == bytes.size() + 2
               ? std::string(bytes)
               : kiro::json::escaped(bytes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view input(reinterpret_cast<const char *>(data), size);
    const std::string payload = raw_of(input.substr(0, size / 2)), text = raw_of(input.substr(size / 2));
    const std::string key = seal_key("account", "model");
    const Raw texts[] = {text};

    for (SealKind kind : {SealKind::text, SealKind::placeholder, SealKind::redacted}) {
        SealedText hash;
        hash.add(text);
        const std::string sealed = seal(kind, key, hash, payload);
        const auto opened = open_seal(key, texts, sealed);
        check(opened.has_value() == !payload.empty());
        if (!opened)
            continue;
        check(opened->kind == kind);
        check(kiro::json::unescaped(opened->payload) == kiro::json::unescaped(payload));
        std::string quoted;
        kiro::json::append_raw_string(quoted, opened->payload);
        check(static_cast<bool>(kiro::json::validate(quoted)));
        check(!open_seal(seal_key("account", "other"), texts, sealed));
    }
    check(!open_seal(key, texts, payload));
    check(!open_seal(key, texts, "kr1s" + payload));
    return 0;
}
