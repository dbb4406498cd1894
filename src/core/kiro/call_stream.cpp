#include "core/kiro/call_stream.h"

namespace kiro::kiro {

bool CallStream::choose(ToolCalls::Open &call, std::string_view fragment, const chat::ToolAlias *alias) {
    if (!on_ || call.decided || call.name.empty()) {
        return false;
    }
    call.decided = true;
    if (open_ || call.id.empty() || call.broken || call.input.size() > fragment.size() ||
        (alias != nullptr && alias->freeform)) {
        return false;
    }
    open_ = true;
    id_ = call.id;
    name_ = call.name;
    start_ = {id_, name_};
    if (alias != nullptr) {
        start_.name = alias->name;
        start_.name_space = alias->name_space;
    }
    return true;
}

std::string_view CallStream::take(std::string_view fragment) {
    const std::string_view text = input_.take(fragment);
    if (input_.hopeless()) {
        end(false);
        return {};
    }
    begun_ = begun_ || !text.empty();
    return text;
}

std::string_view CallStream::end(bool whole) {
    open_ = begun_ = false;
    return input_.finish(whole);
}

} // namespace kiro::kiro
