// How a request that cannot be served is reported from deep inside the dialects: by throwing Invalid, which
// the C ABI turns into a kiro_failure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/chat/rules.h"
#include "core/json/raw.h"
#include "core/json/reader.h"
#include "kiro/kiro.h"

namespace kiro::chat {

struct Invalid {
    kiro_failure_kind kind;
    std::string param;
    std::string message;
    Rule rule = Rule::none; // what its kind stands for
};

// Where in the body we are: a chain on the stack that costs nothing until it is printed. A Path points to the
// one it was made from.
class Path {
public:
    Path() = default;
    Path operator[](const char *member) const { return Path(this, member, 0); }
    Path operator[](size_t element) const { return Path(this, nullptr, element); }

    std::string str() const; // messages[2].content[0].type

private:
    Path(const Path *p, const char *k, size_t i) : parent(p), key(k), index(i) {}

    const Path *parent = nullptr;
    const char *key = nullptr;
    size_t index = 0;
};

// The message is "<path>: <what>".
[[noreturn]] void invalid(const Path &path, std::string_view what,
                          kiro_failure_kind kind = KIRO_FAIL_INVALID_REQUEST);
[[noreturn]] void invalid(const Path &path, std::string_view what, Rule rule);
[[noreturn]] void unsupported(const Path &path, std::string_view what, Rule rule = Rule::supported_feature);
[[noreturn]] void missing(const Path &path);
[[noreturn]] void wrong_type(const Path &path, std::string_view expected, json::Type actual);

// A client's value inside a message: unescaped, cut, quoted.
std::string quoted(json::Raw raw);

} // namespace kiro::chat
