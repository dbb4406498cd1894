// Events that have to wait, with copies of their texts.
#pragma once

#include "core/chat/event.h"

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <vector>

namespace kiro::kiro {

class HeldEvents {
public:
    void add(const chat::Event &event);
    void clear() noexcept;

    std::span<const chat::Event> events() const noexcept { return events_; }
    std::size_t bytes() const noexcept { return bytes_; }

private:
    std::vector<chat::Event> events_;
    std::deque<std::string> texts_; // what the events point to
    std::size_t bytes_ = 0;
};

} // namespace kiro::kiro
