// A forward cursor over text that validate() accepted, for slices that are looked into only when they are
// written: tool schemas and arguments. They have no index of their own. On unproved text the results are
// meaningless but stay inside the text.

#pragma once

#include <string_view>

#include "core/json/raw.h"

namespace kiro::json {

class Cursor {
public:
    explicit Cursor(std::string_view text) : p(text.data()), end(p + text.size()) { skip_space(); }

    // The first byte of the value in front, 0 at the end.
    char peek() const { return p == end ? '\0' : *p; }

    bool is_object() const { return peek() == '{'; }
    bool is_array() const { return peek() == '['; }
    bool is_string() const { return peek() == '"'; }
    bool is_null() const { return peek() == 'n'; }

    // Each takes the value in front.
    Raw string();
    std::string_view value();

    // The visitor gets (key, *this) with the value in front and must take it.
    template <class Visitor> void members(Visitor &&visit) {
        if (!enter('{'))
            return;
        while (peek() == '"') {
            Raw key = string();
            enter(':');
            visit(key, *this);
            enter(',');
        }
        enter('}');
    }

    template <class Visitor> void items(Visitor &&visit) {
        if (!enter('['))
            return;
        while (peek() != ']' && p != end) {
            visit(*this);
            enter(',');
        }
        enter(']');
    }

private:
    const char *p;
    const char *end;

    void skip_space();
    void skip_string();
    bool enter(char c);
};

} // namespace kiro::json
