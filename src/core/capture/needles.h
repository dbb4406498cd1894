// Secrets in the forms in which they may stand in a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/kiro/secret.h"

namespace kiro::capture {

constexpr size_t shortest_secret = 6;

// Texts one after the other in memory that is wiped.
class SecretList {
public:
    // Each once; those that are too short would be found everywhere.
    void add(std::string_view secret);

    void reserve(size_t bytes) { text_.reserve(bytes); }
    size_t size() const { return ends_.size(); }
    size_t bytes() const { return text_.size(); }
    std::string_view operator[](size_t i) const;
    bool has(std::string_view secret) const;

private:
    kiro::Secret text_;
    std::vector<size_t> ends_;
    std::unordered_multimap<size_t, size_t> numbers_; // by hash
};

// The secrets as they are, and in base64 with anything in front of them.
class Needles {
public:
    explicit Needles(const SecretList &secrets);

    struct Match {
        size_t length;
        bool base64;
    };
    // The longest one that begins here; length 0: none.
    Match at(std::string_view text, size_t position) const;

    // How many bytes at the end of text are the beginning of a secret, if that is enough of it to matter.
    size_t beginning_at_end(std::string_view text) const;

private:
    void add_without_backslashes(std::string_view secret);
    void add_base64(std::string_view secret);

    void sort();
    // Those that begin with the two bytes at position and are not greater than what begins there: the place
    // behind the last in sorted_, or the first of all that begin so; and the place behind these.
    std::pair<size_t, size_t> not_greater(std::string_view text, size_t position) const;

    SecretList forms_;
    size_t plain_ = 0; // the first ones of forms_
    size_t longest_ = 0;
    std::vector<std::uint32_t> sorted_; // numbers of forms_ in the order of their bytes
    std::vector<std::uint32_t> inner_;  // place + 1 of the longest other that this one begins with
    std::vector<std::uint32_t> first_; // by two bytes: place of the first that begins with them, or with more
};

} // namespace kiro::capture
