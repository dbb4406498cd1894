#include "core/capture/needles.h"

#include <algorithm>
#include <string>

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
    for (size_t i = 0; i < size(); ++i) {
        if ((*this)[i] == secret) {
            return true;
        }
    }
    return false;
}

void SecretList::add(std::string_view secret) {
    if (secret.size() < shortest_secret || has(secret)) {
        return;
    }
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
    first_.resize(65536);
    next_.resize(forms_.size());
    for (size_t i = 0; i < forms_.size(); ++i) {
        auto &first = first_[pair_at(forms_[i], 0)];
        next_[i] = first;
        first = static_cast<std::uint32_t>(i + 1);
    }
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

Needles::Match Needles::at(std::string_view text, size_t position) const {
    Match best{0, false};
    if (position + shortest_secret > text.size()) {
        return best;
    }
    for (std::uint32_t n = first_[pair_at(text, position)]; n != 0; n = next_[n - 1]) {
        const std::string_view form = forms_[n - 1];
        if (form.size() > best.length && text.substr(position).starts_with(form)) {
            best = {form.size(), n > plain_};
        }
    }
    return best;
}

size_t Needles::beginning_at_end(std::string_view text) const {
    size_t most = 0;
    for (size_t i = 0; i < forms_.size(); ++i) {
        const std::string_view form = forms_[i];
        for (size_t n = std::min(form.size() - 1, text.size()); n >= shortest_secret && n > most; --n) {
            if (text.ends_with(form.substr(0, n))) {
                most = n;
            }
        }
    }
    return most;
}

} // namespace kiro::capture
