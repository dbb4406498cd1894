// What was changed of a client's request, for who wants to know: how often each rule had to be kept, and
// where first. There is none of these where nobody asks.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "core/chat/rules.h"
#include "core/json/validate.h"

namespace kiro::chat {

class Changes {
public:
    // As long as body and index are there, places in the body become paths.
    void begin(std::string_view body, const json::Index &index);
    void end();

    // at: a slice of the body where it happened; another one, or none, is no place.
    void add(Rule rule, std::string_view at, std::size_t count);

    // What is not done in the end.
    void forget(Rule rule) { entry_of(rule) = {}; }

    std::size_t count(Rule rule) const { return entries_[static_cast<std::size_t>(rule)].count; }

    // A structured field, at most limit bytes: kiro_request_changes().
    std::string list(std::size_t limit) const;

    // The names alone, for a sentence.
    std::string names(std::size_t limit) const;

private:
    struct Entry {
        std::size_t count = 0;
        std::string path; // of the first place; may be empty
    };

    Entry &entry_of(Rule rule) { return entries_[static_cast<std::size_t>(rule)]; }
    template <class Describe> std::string joined(std::size_t limit, Describe &&describe) const;

    std::array<Entry, rule_count> entries_;
    std::string_view body_;
    const json::Index *index_ = nullptr;
};

} // namespace kiro::chat
