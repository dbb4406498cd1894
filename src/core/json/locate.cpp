#include "core/json/locate.h"

#include <algorithm>
#include <vector>

#include "core/json/raw.h"

namespace kiro::json {

namespace {

constexpr std::string_view ellipsis = "...";

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '$';
}

// Of the raw key: an escape is as good a name as what it stands for, and unescaped text may be long.
std::string step_of_key(Raw key) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    constexpr size_t looked_at = 6 * max_path_key;
    std::string step = ".";
    bool cut = key.size() > looked_at;
    for (char c : unescaped(key.substr(0, looked_at))) {
        if (step.size() > max_path_key) {
            cut = true;
            break;
        }
        const auto byte = static_cast<unsigned char>(c);
        if (is_plain(c)) {
            step += c;
        } else {
            step += '%';
            step += digits[byte >> 4];
            step += digits[byte & 0xF];
        }
    }
    if (cut)
        step += ellipsis;
    return step;
}

class Walk {
public:
    Walk(std::string_view t, const Index &i, size_t o) : text(t), index(i), offset(o) {}

    std::vector<std::string> steps() {
        size_t place = 0;
        while (descend(place)) {
        }
        return std::move(found);
    }

private:
    std::string_view text;
    const Index &index;
    size_t offset;
    std::vector<std::string> found;

    char first(size_t place) const { return text[index[place]]; }
    size_t end(size_t place) const { return index[place + 1]; }
    bool is_container(size_t place) const { return first(place) == '{' || first(place) == '['; }
    size_t behind(size_t place) const { return is_container(place) ? index[place + 2] : place + 2; }

    // To the part of the container that has the offset, if there is one.
    bool descend(size_t &place) {
        if (!is_container(place))
            return false;
        const bool object = first(place) == '{';
        size_t count = 0;
        for (size_t at = place + 3; at != behind(place); count++) {
            const size_t key = at, value = object ? behind(at) : at;
            if (offset < index[key])
                return false;
            if (offset < end(value)) {
                if (object)
                    found.push_back(step_of_key(text.substr(index[key] + 1, end(key) - index[key] - 2)));
                else
                    found.push_back("[" + std::to_string(count) + "]");
                place = value;
                return true;
            }
            at = behind(value);
        }
        return false;
    }
};

} // namespace

std::string path_at(std::string_view text, const Index &index, size_t offset, size_t up) {
    std::vector<std::string> steps = Walk(text, index, offset).steps();
    steps.resize(steps.size() - std::min(up, steps.size()));
    std::string path;
    for (const std::string &step : steps)
        path += step;
    if (path.starts_with('.'))
        path.erase(0, 1);
    if (path.size() > max_path) {
        const size_t half = (max_path - ellipsis.size()) / 2;
        path.replace(half, path.size() - 2 * half, ellipsis);
    }
    return path;
}

} // namespace kiro::json
