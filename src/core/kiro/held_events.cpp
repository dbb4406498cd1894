#include "core/kiro/held_events.h"

#include <array>
#include <variant>

namespace kiro::kiro {
namespace {

using Views = std::array<std::string_view *, 6>; // nullptr: no more

Views views(chat::TextDelta &event) {
    return {&event.text};
}
Views views(chat::ReasoningDelta &event) {
    return {&event.text};
}
Views views(chat::ReasoningSignature &event) {
    return {&event.signature};
}
Views views(chat::OpaqueReasoning &event) {
    return {&event.data};
}
Views views(chat::FinishedCall &event) {
    return {&event.id, &event.name, &event.arguments, &event.input, &event.name_space, &event.text};
}
Views views(chat::CallStart &event) {
    return {&event.id, &event.name, &event.name_space};
}
Views views(chat::CallInput &event) {
    return {&event.text};
}
Views views(chat::CallEnd &) {
    return {};
}

} // namespace

void HeldEvents::add(const chat::Event &event) {
    const auto keep = [this](std::string_view &text) {
        text = texts_.emplace_back(text);
        bytes_ += text.size();
    };
    chat::Event &copy = events_.emplace_back(event);
    std::visit(
        [&](auto &kind) {
            for (std::string_view *text : views(kind)) {
                if (text != nullptr) {
                    keep(*text);
                }
            }
        },
        copy);
    bytes_ += sizeof(chat::Event);
}

void HeldEvents::clear() noexcept {
    events_.clear();
    texts_.clear();
    bytes_ = 0;
}

} // namespace kiro::kiro
