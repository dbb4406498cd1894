#include "core/capture/needles.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace kiro::capture {
namespace {

constexpr size_t shortest_base64 = 8;

size_t pair_at(std::string_view text, size_t i) {
    return size_t{static_cast<unsigned char>(text[i])} << 8 | static_cast<unsigned char>(text[i + 1]);
}

} // namespace

std::string_view SecretList::operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return text_.view().substr(begin, ends_[i] - begin);
}

bool SecretList::has(std::string_view secret) const {
    const auto [first, last] = numbers_.equal_range(std::hash<std::string_view>()(secret));
    return std::any_of(first, last, [&](const auto &entry) { return (*this)[entry.second] == secret; });
}

void SecretList::add(std::string_view secret) {
    if (secret.size() < shortest_secret || has(secret)) {
        return;
    }
    numbers_.emplace(std::hash<std::string_view>()(secret), size());
    text_.append(secret);
    ends_.push_back(text_.size());
}

Needles::Needles(const SecretList &secrets) {
    forms_.reserve(secrets.bytes() * 10); // six times a third more, and two
    for (size_t i = 0; i < secrets.size(); ++i) {
        forms_.add(secrets[i]);
        add_without_backslashes(secrets[i]);
    }
    plain_ = forms_.size();
    for (size_t i = 0; i < secrets.size(); ++i) {
        add_base64(secrets[i]);
    }
    sort();
}

// A client may send thousands that begin alike: the time of a look-up must not grow with them.
void Needles::sort() {
    constexpr size_t pairs = 65536;
    sorted_.resize(forms_.size());
    std::iota(sorted_.begin(), sorted_.end(), 0U);
    std::sort(sorted_.begin(), sorted_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return forms_[a] < forms_[b]; });
    inner_.resize(sorted_.size());
    first_.resize(pairs + 1);
    std::vector<std::uint32_t> around; // those that the present one begins with, the longest last
    for (size_t i = 0; i < sorted_.size(); ++i) {
        const std::string_view form = forms_[sorted_[i]];
        longest_ = std::max(longest_, form.size());
        while (!around.empty() && !form.starts_with(forms_[sorted_[around.back() - 1]])) {
            around.pop_back();
        }
        inner_[i] = around.empty() ? 0 : around.back();
        around.push_back(static_cast<std::uint32_t>(i + 1));
        ++first_[pair_at(form, 0) + 1];
    }
    std::partial_sum(first_.begin(), first_.end(), first_.begin());
}

// As without_escapes() shows it.
void Needles::add_without_backslashes(std::string_view secret) {
    if (secret.find('\\') == secret.npos) {
        return;
    }
    kiro::Secret form;
    form.reserve(secret.size());
    for (const char c : secret) {
        if (c != '\\') {
            form.push_back(c);
        }
    }
    forms_.add(form.view());
}

// What does not depend on the bytes around the secret, with 0, 1 or 2 of them in its first group.
void Needles::add_base64(std::string_view secret) {
    kiro::Secret form;
    form.reserve(secret.size() / 3 * 4);
    for (const std::string_view digits :
         {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"}) {
        for (size_t skip = 0; skip < 3; ++skip) {
            form.clear();
            for (size_t i = skip; i + 3 <= secret.size(); i += 3) {
                const auto byte = [&](size_t k) {
                    return std::uint32_t{static_cast<unsigned char>(secret[i + k])};
                };
                const std::uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
                for (int shift = 18; shift >= 0; shift -= 6) {
                    form.push_back(digits[group >> shift & 63]);
                }
            }
            if (form.size() >= shortest_base64) {
                forms_.add(form.view());
            }
        }
    }
}

std::pair<size_t, size_t> Needles::not_greater(std::string_view text, size_t position) const {
    const size_t pair = pair_at(text, position);
    const size_t last = first_[pair + 1];
    const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(last);
    const auto place = std::upper_bound(
        sorted_.begin() + static_cast<std::ptrdiff_t>(first_[pair]), end, text.substr(position),
        [&](std::string_view rest, std::uint32_t n) { return rest < forms_[n]; });
    return {static_cast<size_t>(place - sorted_.begin()), last};
}

Needles::Match Needles::at(std::string_view text, size_t position) const {
    if (position + shortest_secret > text.size()) {
        return {0, false};
    }
    const size_t pair = pair_at(text, position);
    if (first_[pair] == first_[pair + 1]) {
        return {0, false};
    }
    const std::string_view rest = text.substr(position);
    size_t place = not_greater(text, position).first;
    if (place == first_[pair]) {
        return {0, false};
    }
    // Whatever the rest begins with, the greatest that is not greater begins with, too.
    for (; place != 0; place = inner_[place - 1]) {
        const std::uint32_t n = sorted_[place - 1];
        if (rest.starts_with(forms_[n])) {
            return {forms_[n].size(), n >= plain_};
        }
    }
    return {0, false};
}

size_t Needles::beginning_at_end(std::string_view text) const {
    for (size_t i = text.size() - std::min(text.size(), longest_); i + shortest_secret <= text.size(); ++i) {
        const auto [place, last] = not_greater(text, i);
        if (place < last && forms_[sorted_[place]].starts_with(text.substr(i))) {
            return text.size() - i;
        }
    }
    return 0;
}

} // namespace kiro::capture
