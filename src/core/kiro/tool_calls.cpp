#include "core/kiro/tool_calls.h"

#include "core/json/raw.h"
#include "core/json/space.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

#include <algorithm>

namespace kiro::kiro {
namespace {

// Far above what a model does; keeps a hostile stream from holding memory and time.
constexpr std::size_t kMaxOpen = 256;
constexpr std::size_t kMaxCalls = 4096;
constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kMaxLost = 16; // names of lost calls

// Cuts white space around the text.
void trim(std::string &text) {
    text.erase(text.find_last_not_of(json::white_space) + 1);
    text.erase(0, text.find_first_not_of(json::white_space));
}

// Models leave line ends and tabs in strings as they are, which JSON forbids: escapes them. Nothing else is
// repaired, as all else would be a guess. False: there was none.
bool escape_controls(std::string &text) {
    std::string out;
    bool inside = false; // of a string
    bool behind = false; // a backslash
    for (const char c : text) {
        const bool control = static_cast<unsigned char>(c) < 0x20;
        if (inside && control && !behind) {
            json::append_escaped(out, {&c, 1});
            continue;
        }
        out.push_back(c);
        if (!behind && c == '"') {
            inside = !inside;
        }
        behind = inside && !behind && c == '\\';
    }
    const bool changed = out.size() != text.size();
    text.swap(out);
    return changed;
}

} // namespace

ToolCalls::Open *ToolCalls::opened(std::string_view id) {
    const auto known =
        std::find_if(open_.begin(), open_.end(), [id](const Open &call) { return call.id == id; });
    return known == open_.end() ? nullptr : &*known;
}

ToolCalls::Open *ToolCalls::find(std::string_view id, std::string_view name) {
    if (id.size() > kMaxName || name.size() > kMaxName) {
        overflow_ = true;
        return nullptr;
    }
    if (Open *known = opened(id)) {
        if (known->name.empty()) {
            known->name = name;
        }
        return known;
    }
    std::string key(id);
    if (finished_.contains(key)) {
        return nullptr;
    }
    if (open_.size() >= kMaxOpen || finished_.size() >= kMaxCalls) {
        overflow_ = true;
        return nullptr;
    }
    return &open_.emplace_back(Open{std::move(key), std::string(name), {}});
}

void ToolCalls::add(std::string_view id, std::string_view name, std::string_view fragment) {
    Open *call = find(id, name);
    if (call == nullptr || call->broken) {
        return;
    }
    if (fragment.size() > max_bytes_ - bytes_) {
        bytes_ -= call->input.size();
        call->input = {};
        call->broken = true;
        return;
    }
    call->input.append(fragment);
    bytes_ += fragment.size();
}

bool ToolCalls::finish(std::string_view id, chat::FinishedCall &call) {
    Open *known = opened(id);
    if (known == nullptr) {
        return false;
    }
    bytes_ -= known->input.size();
    last_ = std::move(*known);
    open_.erase(open_.begin() + (known - open_.data()));
    finished_.insert(last_.id);

    text_.clear();
    bool good =
        !last_.broken && !last_.name.empty() && !last_.id.empty() && json::unescape(last_.input, text_);
    if (good) {
        trim(text_);
        if (text_.empty()) {
            text_ = "{}";
        }
        json::Validation validation = json::validate(text_);
        if (!validation && text_.front() == '{' && escape_controls(text_)) {
            validation = json::validate(text_);
        }
        good = text_.front() == '{' && validation;
        if (good && validation.lone_surrogates) {
            json::replace_lone_surrogates(text_.data(), text_.size());
        }
    }
    if (!good) {
        ++broken_;
        if (lost_.size() < kMaxLost) {
            lost_.push_back(last_.name);
        }
        return false;
    }
    last_.input.clear();
    json::append_escaped(last_.input, text_);
    call = {.id = last_.id, .name = last_.name, .arguments = last_.input, .input = text_};
    return true;
}

std::vector<std::string_view> ToolCalls::names_open() const {
    std::vector<std::string_view> names;
    for (const Open &call : open_) {
        if (names.size() < kMaxLost) {
            names.push_back(call.name);
        }
    }
    return names;
}

} // namespace kiro::kiro
