#include "plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace load {
namespace {

using std::string_view;

constexpr string_view kOpen = "[[load:";
constexpr string_view kClose = "]]";
constexpr std::size_t kLongestToken = 48;

constexpr std::array<std::pair<string_view, std::uint64_t Plan::*>, 7> kMembers{{
    {"id", &Plan::id},
    {"tokens", &Plan::tokens},
    {"interval", &Plan::interval},
    {"first", &Plan::first},
    {"pad", &Plan::pad},
    {"batch", &Plan::batch},
    {"tool", &Plan::tool},
}};

template <typename T> string_view number(string_view text, T &value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() ? text.substr(static_cast<std::size_t>(end - text.data())) : string_view();
}

} // namespace

std::string write_plan(const Plan &plan) {
    std::string out(kOpen);
    for (const auto &[name, member] : kMembers) {
        out += name;
        out += '=';
        out += std::to_string(plan.*member);
        out += ' ';
    }
    out += kClose;
    return out;
}

std::optional<Plan> find_plan(string_view body) {
    const std::size_t begin = body.rfind(kOpen);
    if (begin == body.npos) {
        return {};
    }
    string_view text = body.substr(begin + kOpen.size());
    text = text.substr(0, text.find(kClose));
    Plan plan;
    for (const auto &[name, member] : kMembers) {
        const std::size_t at = text.find(std::string(name) + '=');
        if (at != text.npos) {
            number(text.substr(at + name.size() + 1), plan.*member);
        }
    }
    plan.batch = std::max<std::uint64_t>(plan.batch, 1);
    return plan;
}

void append_token(std::string &out, Micros sent, std::uint64_t number, std::uint64_t pad) {
    out += '@';
    out += std::to_string(sent);
    out += '#';
    out += std::to_string(number);
    out += ';';
    out.append(pad, 'x');
}

bool TokenScanner::take(string_view &bytes, Micros &sent, std::uint64_t &number_of) {
    if (text_.empty()) {
        bytes.remove_prefix(std::min(bytes.find('@'), bytes.size()));
    }
    string_view piece = bytes.substr(0, kLongestToken);
    const std::size_t end = piece.find(';');
    piece = piece.substr(0, end);
    bytes.remove_prefix(piece.size());
    if (end == piece.npos && text_.size() + piece.size() < kLongestToken) {
        text_ += piece;
        return false;
    }
    std::string whole; // only where it was cut
    if (!text_.empty()) {
        whole = std::exchange(text_, {}).append(piece);
        piece = whole;
    }
    if (piece.size() < 2) {
        return false;
    }
    const string_view rest = number(piece.substr(1), sent);
    return rest.size() > 1 && rest[0] == '#' && number(rest.substr(1), number_of).data() != nullptr;
}

void WordFinder::feed(string_view bytes) {
    if (found_) {
        return;
    }
    std::string seam = end_;
    seam += bytes.substr(0, word_.size() - 1);
    found_ = seam.find(word_) != seam.npos || bytes.find(word_) != bytes.npos;
    const std::size_t keep = word_.size() - 1;
    end_ = bytes.size() >= keep ? bytes.substr(bytes.size() - keep) : end_.append(bytes);
    end_.erase(0, end_.size() - std::min(end_.size(), keep));
}

} // namespace load
