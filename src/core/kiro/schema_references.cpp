#include "core/kiro/schema_references.h"

#include <algorithm>
#include <utility>

#include "core/json/cursor.h"
#include "core/kiro/schema_value.h"

namespace kiro::kiro {

using json::Cursor;

namespace {

int hex_digit(char c) {
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

// One step of a JSON pointer in a URI fragment: %25, ~1 and ~0 undone.
std::string pointer_step(std::string_view step) {
    std::string out;
    for (size_t i = 0; i < step.size(); i++) {
        char c = step[i];
        if (c == '%' && i + 2 < step.size() && hex_digit(step[i + 1]) >= 0 && hex_digit(step[i + 2]) >= 0) {
            c = static_cast<char>(hex_digit(step[i + 1]) * 16 + hex_digit(step[i + 2]));
            i += 2;
        }
        if (c == '~' && i + 1 < step.size() && (step[i + 1] == '0' || step[i + 1] == '1'))
            c = step[++i] == '0' ? '~' : '/';
        out += c;
    }
    return out;
}

} // namespace

std::string_view References::resolve(json::Raw reference) {
    std::string pointer = json::unescaped(reference);
    if (!pointer.starts_with('#'))
        return {};
    std::string_view found = root, rest = std::string_view(pointer).substr(1);
    while (!rest.empty()) {
        if (rest[0] != '/')
            return {};
        rest.remove_prefix(1);
        const Steps &steps = steps_of(found);
        auto next = steps.find(pointer_step(rest.substr(0, rest.find('/'))));
        if (next == steps.end())
            return {};
        rest.remove_prefix(std::min(rest.size(), rest.find('/')));
        found = next->second;
    }
    return found;
}

const References::Steps &References::steps_of(std::string_view value) {
    auto [entry, added] = known.try_emplace(value.data());
    Steps &steps = entry->second;
    if (added && is_object(value))
        Cursor(value).members(
            [&](json::Raw name, Cursor &member) { steps[json::unescaped(name)] = member.value(); });
    else if (added && is_list(value))
        Cursor(value).items([&](Cursor &item) {
            std::string index = std::to_string(steps.size());
            steps[std::move(index)] = item.value();
        });
    return steps;
}

} // namespace kiro::kiro
