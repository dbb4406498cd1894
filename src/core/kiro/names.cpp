#include "core/kiro/names.h"

#include <algorithm>

#include "core/kiro/digest.h"

namespace kiro::kiro {

namespace {

constexpr size_t max_name = 63;
constexpr size_t max_id = 64;
constexpr size_t suffix = 9; // '_' and a short hash

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_word(char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool all_words(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_word);
}

bool is_legal_name(std::string_view name) {
    return !name.empty() && name.size() <= max_name && is_letter(name[0]) && all_words(name);
}

bool is_legal_id(std::string_view id) {
    return !id.empty() && id.size() <= max_id && all_words(id);
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char &c : out) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c + 32);
    }
    return out;
}

// What can stay of a text that must be words.
std::string stem_of(std::string_view text, size_t limit) {
    std::string stem(text.substr(0, limit));
    for (char &c : stem) {
        if (!is_word(c))
            c = '_';
    }
    return stem;
}

std::string hashed(std::string_view stem, const std::string &seed) {
    std::string out(stem);
    out += '_';
    out += short_hash(seed);
    return out;
}

} // namespace

Raw ToolNames::alias_of(Raw name) {
    std::string plain = json::unescaped(name);
    if (auto known = by_name.find(plain); known != by_name.end())
        return known->second;
    Raw alias;
    // A legal name can have escapes; its alias is the text without them.
    if (is_legal_name(plain) && taken.insert(lower(plain)).second) {
        alias = plain == name ? name : arena.keep(plain);
    } else {
        std::string stem = stem_of(plain, max_name - suffix);
        if (stem.empty() || !is_letter(stem[0]))
            stem = ("t_" + stem).substr(0, max_name - suffix);
        std::string seed = plain;
        std::string made = hashed(stem, seed);
        while (!taken.insert(lower(made)).second) {
            seed += '\n';
            made = hashed(stem, seed);
        }
        alias = arena.keep(std::move(made));
        changed.push_back({alias, name, {}, false});
    }
    by_name.emplace(std::move(plain), alias);
    return alias;
}

Raw ToolNames::alias_of(const chat::Tool &tool) {
    Raw alias = alias_of(tool.name);
    if (!tool.freeform && tool.name_space.empty())
        return alias;
    if (!changed.empty() && changed.back().alias == alias) // of that name just now
        changed.pop_back();
    changed.push_back(
        {alias, tool.name_space.empty() ? tool.name : tool.local_name, tool.name_space, tool.freeform});
    return alias;
}

bool ToolNames::knows(Raw name) const {
    return by_name.count(json::unescaped(name)) != 0;
}

Raw CallIds::next(Raw client_id) {
    if (is_legal_id(client_id) && used.insert(client_id).second)
        return client_id;
    std::string plain = json::unescaped(client_id);
    std::string stem = stem_of(plain, max_id - suffix);
    if (stem.empty())
        stem = "call";
    // The count makes each round's seed new, so this ends at once but for chance.
    std::string made;
    do
        made = hashed(stem, plain + "\n" + std::to_string(repeats[client_id]++));
    while (used.count(made) != 0);
    Raw id = arena.keep(std::move(made));
    used.insert(id);
    return id;
}

} // namespace kiro::kiro
