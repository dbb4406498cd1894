// Where a stage puts its events: a callable that outlives the call, without owning or allocating.
#pragma once

#include <memory>
#include <type_traits>

#include "core/chat/event.h"

namespace kiro::stages {

class Sink {
public:
    template <class Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, Sink>)
        // NOLINTNEXTLINE(google-explicit-constructor): lambdas are passed where a Sink is wanted
        Sink(Callable &&callable)
        : self_(const_cast<void *>(static_cast<const void *>(std::addressof(callable)))),
          call_([](void *self, const chat::Event &event) {
              (*static_cast<std::remove_reference_t<Callable> *>(self))(event);
          }) {}

    void operator()(const chat::Event &event) const { call_(self_, event); }

    void text(std::string_view text) const {
        if (!text.empty())
            call_(self_, chat::TextDelta{text});
    }
    void reasoning(std::string_view text) const {
        if (!text.empty())
            call_(self_, chat::ReasoningDelta{text});
    }

private:
    void *self_;
    void (*call_)(void *, const chat::Event &);
};

} // namespace kiro::stages
