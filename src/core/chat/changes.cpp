#include "core/chat/changes.h"

#include <functional>

#include "core/json/locate.h"

namespace kiro::chat {

namespace {

constexpr std::size_t room_for_more = 24; // ", more;n=123"

} // namespace

void Changes::begin(std::string_view body, const json::Index &index) {
    body_ = body;
    index_ = &index;
}

void Changes::end() {
    index_ = nullptr;
}

void Changes::add(Rule rule, std::string_view at, std::size_t count) {
    Entry &entry = entry_of(rule);
    const bool first = entry.count == 0;
    entry.count += count;
    // A slice of something else may have any address: std::less orders those too.
    constexpr std::less<const char *> before;
    const char *begin = body_.data();
    if (!first || index_ == nullptr || at.data() == nullptr || before(at.data(), begin) ||
        !before(at.data(), begin + body_.size()))
        return;
    entry.path = json::path_at(body_, *index_, static_cast<std::size_t>(at.data() - begin), levels_up(rule));
}

template <class Describe> std::string Changes::joined(std::size_t limit, Describe &&describe) const {
    std::string out;
    std::size_t left_out = 0;
    for (std::size_t i = 0; i < entries_.size(); i++) {
        if (entries_[i].count == 0)
            continue;
        std::string item = out.empty() ? "" : ", ";
        item += describe(row_of(static_cast<Rule>(i)).name, entries_[i]);
        if (left_out > 0 || out.size() + item.size() + room_for_more > limit)
            left_out++;
        else
            out += item;
    }
    if (left_out > 0 && limit >= room_for_more)
        out += (out.empty() ? "more;n=" : ", more;n=") + std::to_string(left_out);
    return out;
}

std::string Changes::list(std::size_t limit) const {
    return joined(limit, [](std::string item, const Entry &entry) {
        if (entry.count > 1)
            item += ";n=" + std::to_string(entry.count);
        if (!entry.path.empty())
            item += ";path=\"" + entry.path + "\"";
        return item;
    });
}

std::string Changes::names(std::size_t limit) const {
    return joined(limit, [](const char *name, const Entry &) { return std::string(name); });
}

} // namespace kiro::chat
