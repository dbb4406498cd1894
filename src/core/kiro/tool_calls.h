// Tool calls as they arrive: fragments of escaped JSON, keyed by id.
#pragma once

#include "core/chat/event.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace kiro::kiro {

class ToolCalls {
public:
    // max_bytes: what all unfinished calls together may hold.
    explicit ToolCalls(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}

    // One toolUseEvent. Strings are escaped slices; a fragment is appended verbatim.
    void add(std::string_view id, std::string_view name, std::string_view fragment);

    // The call's end. False: nothing to pass on, as the call is broken or a repetition. What can be repaired
    // without loss is not broken. The strings of call are valid until the next call of any function.
    bool finish(std::string_view id, chat::FinishedCall &call);

    struct Open {
        std::string id;
        std::string name;
        std::string input;    // escaped
        bool broken = false;  // too big
        bool decided = false; // whether it is passed on while it comes
    };

    // The call that was begun and has not ended; nullptr: there is none. Valid until the next add().
    Open *opened(std::string_view id);

    std::size_t finished() const noexcept { return finished_.size() - broken_; }
    bool any_open() const noexcept { return !open_.empty(); }
    bool any_broken() const noexcept { return overflow_ || broken_ > 0; }

    // Tools of the calls that were begun and are not whole, as the upstream calls them: the first ones.
    std::vector<std::string_view> names_open() const;
    std::vector<std::string_view> names_broken() const { return {lost_.begin(), lost_.end()}; }

private:
    Open *find(std::string_view id, std::string_view name);

    std::vector<Open> open_;
    std::unordered_set<std::string> finished_; // broken ones too: what follows them is ignored
    std::vector<std::string> lost_;            // tools of the broken ones
    Open last_;                                // what finish() gave out
    std::string text_;                         // its input, unescaped
    std::size_t bytes_ = 0;
    std::size_t broken_ = 0;
    std::size_t max_bytes_;
    bool overflow_ = false; // a call was not taken at all
};

} // namespace kiro::kiro
