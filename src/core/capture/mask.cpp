#include "core/capture/mask.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "core/capture/patterns.h"
#include "core/capture/view.h"
#include "core/eventstream/crc32.h"
#include "core/eventstream/decoder.h"

namespace kiro::capture {
namespace {

// The bytes to be masked, by place.
class Marks {
public:
    explicit Marks(size_t size) : bytes_(size, false) {}

    void add(size_t begin, size_t end) {
        any_ = any_ || begin < end;
        std::fill(bytes_.begin() + static_cast<std::ptrdiff_t>(begin),
                  bytes_.begin() + static_cast<std::ptrdiff_t>(end), true);
    }
    bool any() const { return any_; }
    bool at(size_t i) const { return bytes_[i]; }
    bool any_in(size_t begin, size_t end) const {
        const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(begin);
        const auto to = bytes_.begin() + static_cast<std::ptrdiff_t>(end);
        return std::find(from, to, true) != to;
    }

private:
    std::vector<bool> bytes_;
    bool any_ = false;
};

bool is_base64(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '-' || c == '_';
}

// What the end of the text has cut, or of a line: nginx's log does so with long ones.
template <class Found> void find_cut(std::string_view text, const Needles &needles, Found found) {
    constexpr size_t long_line = 500;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        if (end == text.size() || end - begin >= long_line) {
            if (const size_t n = needles.beginning_at_end(text.substr(0, end)); n > 0) {
                found(end - n, end);
            }
        }
        begin = end + 1;
    }
}

template <class Found> void find_needles(std::string_view text, const Needles &needles, Found found) {
    size_t told = 0; // up to where: secrets may overlap at every byte
    for (size_t i = 0; i + 1 < text.size(); ++i) {
        const auto match = needles.at(text, i);
        if (match.length == 0) {
            continue;
        }
        size_t begin = i;
        size_t end = i + match.length;
        if (match.base64) {
            // The digits beside it have some bits of the secret.
            for (int n = 0; n < 2 && begin > 0 && is_base64(text[begin - 1]); ++n) {
                --begin;
            }
            for (int n = 0; n < 3 && end < text.size() && is_base64(text[end]); ++n) {
                ++end;
            }
        }
        found(begin, i);
        found(std::max(i, std::min(told, end)), end);
        told = std::max(told, end);
    }
    find_cut(text, needles, found);
}

template <class Found> void find_secrets(std::string_view text, const Needles &needles, Found found) {
    find_needles(text, needles, found);
    find_patterns(text, found);
}

// The encodings of a text, from the outside to the inside.
enum class Layer { source, strings, escapes, percents };

struct Inner {
    View view;
    Layer layer;
};

// What is behind the layers that are still to come.
std::vector<Inner> decoded(std::string_view text, Layer layer) {
    std::vector<Inner> out;
    const auto add = [&](View view, Layer inner) {
        if (!view.text.empty()) {
            out.push_back({std::move(view), inner});
        }
    };
    if (layer < Layer::strings) {
        for (View &view : json_strings(text)) {
            add(std::move(view), Layer::strings);
        }
    }
    if (layer < Layer::escapes) {
        add(without_escapes(text), Layer::escapes);
    }
    if (layer < Layer::percents) {
        add(percent_decoded(text), Layer::percents);
    }
    return out;
}

// In a text, and in what it encodes. One byte of that may stand for some that lie far from each other, so
// each layer tells the one around it which of its bytes are meant.
void look_at(std::string_view text, const Needles &needles, Layer layer,
             const std::function<void(size_t, size_t)> &found) {
    find_secrets(text, needles, found);
    for (const Inner &inner : decoded(text, layer)) {
        look_at(inner.view.text, needles, inner.layer, [&](size_t begin, size_t end) {
            for (size_t i = begin; i < end; ++i) {
                found(inner.view.from[i], inner.view.to[i]);
            }
        });
    }
}

constexpr size_t prelude_size = 12;
constexpr size_t crc_size = 4;

std::uint32_t number_at(std::string_view text, size_t i) {
    std::uint32_t value = 0;
    for (size_t k = 0; k < 4; ++k) {
        value = value << 8 | static_cast<unsigned char>(text[i + k]);
    }
    return value;
}

// The message that begins at i; 0: there is none.
size_t message_at(std::string_view text, size_t i) {
    if (text.size() - i < prelude_size + crc_size) {
        return 0;
    }
    const size_t size = number_at(text, i);
    if (size < prelude_size + crc_size || size > text.size() - i ||
        eventstream::crc32(0, text.data() + i, prelude_size - crc_size) !=
            number_at(text, i + prelude_size - crc_size)) {
        return 0;
    }
    return size;
}

void write_crc(std::string &text, size_t begin, size_t size) {
    const std::uint32_t crc = eventstream::crc32(0, text.data() + begin, size - crc_size);
    for (size_t k = 0; k < crc_size; ++k) {
        text[begin + size - crc_size + k] = static_cast<char>(crc >> (24 - 8 * k));
    }
}

} // namespace

void mask(std::string &text, const Needles &needles) {
    Marks marks(text.size());
    look_at(text, needles, Layer::source, [&](size_t begin, size_t end) { marks.add(begin, end); });
    if (!marks.any()) {
        return;
    }

    // Checksums that are wrong stay wrong: they may be what was wrong.
    std::vector<std::pair<size_t, size_t>> messages;
    for (size_t i = 0; i < text.size();) {
        const size_t size = message_at(text, i);
        if (size == 0) {
            break;
        }
        if (marks.any_in(i, i + size) &&
            eventstream::crc32(0, text.data() + i, size - crc_size) == number_at(text, i + size - crc_size)) {
            messages.emplace_back(i, size);
        }
        i += size;
    }
    for (size_t i = 0; i < text.size(); ++i) {
        if (marks.at(i)) {
            text[i] = '*';
        }
    }
    for (const auto &[begin, size] : messages) {
        write_crc(text, begin, size);
    }
}

void add_login_secrets(SecretList &secrets, std::string_view json) {
    // A member's value, as one view has it: each on its own.
    for (size_t i = 0; (i = json.find('"', i)) != json.npos;) {
        const size_t end = json.find('"', i + 1);
        if (end == json.npos) {
            return;
        }
        const std::string_view name = json.substr(i + 1, end - i - 1);
        i = end + 1;
        if (!names_secret(name)) {
            continue;
        }
        size_t value = json.find_first_not_of(" \t\r\n:", i);
        if (value == json.npos || json[value] != '"') {
            continue;
        }
        const size_t last = json.find('"', value + 1);
        if (last == json.npos) {
            return;
        }
        secrets.add(json.substr(value + 1, last - value - 1));
        i = last + 1;
    }
}

void add_arn_secrets(SecretList &secrets, std::string_view arn) {
    find_patterns(arn, [&](size_t begin, size_t end) { secrets.add(arn.substr(begin, end - begin)); });
}

} // namespace kiro::capture
