// The call that is passed on while it comes: one at a time.
#pragma once

#include <string>
#include <string_view>

#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "core/kiro/argument_text.h"
#include "core/kiro/tool_calls.h"

namespace kiro::kiro {

class CallStream {
public:
    explicit CallStream(bool on) noexcept : on_(on) {}

    // The client knows of it.
    bool begun() const noexcept { return begun_; }
    bool is(std::string_view id) const noexcept { return open_ && id_ == id; }

    // Decides once for each call whether it becomes the one. fragment: what came last of its input. alias:
    // of its tool, may be nullptr.
    bool choose(ToolCalls::Open &call, std::string_view fragment, const chat::ToolAlias *alias);

    // What a client gets of the input; the first text that is not empty begins the call, as one that breaks
    // off before it never was, and none looks like one that takes no arguments. Valid until the next call.
    std::string_view take(std::string_view fragment);

    // The end, of none perhaps. Without a text before, and not whole: it never was.
    std::string_view end(bool whole);

    // Views of this object.
    const chat::CallStart &start() const noexcept { return start_; }

private:
    bool on_;
    bool open_ = false;
    bool begun_ = false;
    chat::CallStart start_;
    std::string id_;
    std::string name_;
    ArgumentText input_;
};

} // namespace kiro::kiro
