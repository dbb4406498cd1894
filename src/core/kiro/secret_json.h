// A JSON object with secrets in it, read whole and wiped afterwards.
#ifndef KIRO_CORE_KIRO_SECRET_JSON_H
#define KIRO_CORE_KIRO_SECRET_JSON_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

#include "core/kiro/secret.h"

namespace kiro::kiro {

class SecretJson {
public:
    enum class Status { ok, empty, invalid, not_object };

    SecretJson() = default;
    SecretJson(const SecretJson &) = delete;
    SecretJson &operator=(const SecretJson &) = delete;
    ~SecretJson();

    // Throws std::bad_alloc. A byte order mark is skipped.
    Status parse(std::string_view text);

    // Nothing for an absent or null member.
    std::optional<simdjson::dom::element> find(std::string_view name) const;

private:
    Secret padded_;
    simdjson::dom::document document_;
    simdjson::dom::object root_;
};

// Writes one flat object; no buffer with a secret in it is freed unwiped.
class SecretJsonWriter {
public:
    SecretJsonWriter() = default;
    SecretJsonWriter(const SecretJsonWriter &) = delete;
    SecretJsonWriter &operator=(const SecretJsonWriter &) = delete;
    ~SecretJsonWriter();

    // An empty text is left out.
    void member(std::string_view name, std::string_view text);
    void member(std::string_view name, int64_t number);
    void member(std::string_view name, const std::vector<std::string> &texts);
    Secret finish();

private:
    void begin_member(std::string_view name, size_t value_size);

    std::string out_ = "{";
};

// The text without white space at both ends and without a byte order mark.
std::string_view trim(std::string_view text);

} // namespace kiro::kiro

#endif
