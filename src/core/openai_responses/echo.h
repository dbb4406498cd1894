// What a response repeats of its request.
#pragma once

#include <string>
#include <string_view>

#include "core/json/reader.h"

namespace kiro::openai_responses {

// The members that an answer without a request has.
std::string default_echo();

// Collects them from a request; the last one of a key wins.
class Echo {
public:
    // False: the answer does not repeat this member. raw is its value.
    bool take(std::string_view key, std::string_view raw);

    // `"instructions":...,` and so on, each with a comma behind it, without white space.
    std::string text() const;

private:
    static constexpr size_t kMembers = 19;
    std::string_view given_[kMembers];
};

} // namespace kiro::openai_responses
