#include "core/capture/capture.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "core/capture/mask.h"
#include "core/json/writer.h"

namespace kiro::capture {
namespace {

constexpr size_t most_attempts = 4;

void take_file(std::vector<File> &files, std::string name, Excerpt &&excerpt, const Needles &needles,
               size_t limit) {
    if (!excerpt.empty()) {
        files.push_back({std::move(name), std::move(excerpt).take(needles, limit)});
    }
}

} // namespace

void Excerpt::add(std::string_view piece, size_t limit) {
    const size_t room = limit - std::min(text_.size(), limit);
    const std::string_view taken = piece.substr(0, left_out_ == 0 && !incomplete_ ? room : 0);
    text_ += taken;
    left_out_ += piece.size() - taken.size();
}

std::string Excerpt::take(const Needles &needles, size_t limit) && {
    mask(text_, needles);
    if (incomplete_) {
        text_ += "\n[cut here: there was no memory for the rest]\n";
    } else if (left_out_ != 0) {
        text_ += "\n[cut here: " + std::to_string(left_out_) + " bytes more, the limit is " +
                 std::to_string(limit) + "]\n";
    }
    return std::move(text_);
}

Excerpt *Capture::part_of(kiro_capture_part part) noexcept {
    switch (part) {
    case KIRO_CAPTURE_REQUEST:
        return &request_;
    case KIRO_CAPTURE_KIRO_REQUEST:
        return attempts_.empty() ? nullptr : &attempts_.back().request;
    case KIRO_CAPTURE_RAW:
        return attempts_.empty() ? nullptr : &attempts_.back().raw;
    case KIRO_CAPTURE_CLIENT:
        return &client_;
    case KIRO_CAPTURE_LOG:
        return &log_;
    }
    return nullptr;
}

void Capture::add(kiro_capture_part part, std::string_view piece) {
    if (part == KIRO_CAPTURE_RAW && attempts_.empty()) {
        attempts_.emplace_back(); // kiro_filter: somebody else asked
    }
    Excerpt *excerpt = part_of(part);
    if (excerpt == nullptr) {
        return;
    }
    excerpt->add(piece, limit_);
    if (part == KIRO_CAPTURE_KIRO_REQUEST) {
        share_request();
    }
}

void Capture::lost(kiro_capture_part part) noexcept {
    if (Excerpt *excerpt = part_of(part)) {
        excerpt->lost();
    }
}

// Most retries send the same once more.
void Capture::share_request() {
    if (attempts_.size() < 2) {
        return;
    }
    Attempt &before = attempts_[attempts_.size() - 2];
    if (before.request == attempts_.back().request) { // it comes in one piece
        before.request = Excerpt();
    }
}

void Capture::begin_attempt(unsigned number) {
    if (!attempts_.empty() && attempts_.back().number == number) {
        attempts_.pop_back();
    }
    if (attempts_.size() == most_attempts) {
        attempts_.erase(attempts_.begin() + 1);
    }
    attempts_.emplace_back().number = number;
}

size_t Capture::size() const {
    size_t sum = request_.size() + client_.size() + log_.size() + error_.size() + secrets_.bytes();
    for (const Attempt &attempt : attempts_) {
        sum += attempt.request.size() + attempt.raw.size();
    }
    return sum;
}

std::vector<File> Capture::take_files() {
    std::vector<File> files;
    if (unsafe_) {
        throw std::runtime_error("there was no memory for a secret that is to be masked");
    }
    const Needles needles(secrets_);
    take_file(files, "request_body.json", std::move(request_), needles, limit_);
    for (Attempt &attempt : attempts_) {
        const bool last = &attempt == &attempts_.back();
        const std::string number = last ? "" : "." + std::to_string(attempt.number);
        take_file(files, "kiro_request_body" + number + ".json", std::move(attempt.request), needles, limit_);
        take_file(files, "response_stream_raw" + number + ".txt", std::move(attempt.raw), needles, limit_);
    }
    attempts_.clear();
    take_file(files, "response_stream_modified.txt", std::move(client_), needles, limit_);
    take_file(files, "app_logs.txt", std::move(log_), needles, limit_);
    if (!error_.empty()) {
        mask(error_, needles);
        files.push_back({"error_info.json", std::move(error_)});
    }
    return files;
}

std::string error_json(const kiro_capture_outcome &outcome) {
    struct Text {
        std::string_view name;
        kiro_str value;
    };
    struct Number {
        std::string_view name;
        unsigned value;
    };
    const std::array<Text, 9> texts{{{"request_id", outcome.request_id},
                                     {"time", outcome.time},
                                     {"api", outcome.api},
                                     {"model", outcome.model},
                                     {"client", outcome.client},
                                     {"account", outcome.account},
                                     {"error", outcome.error},
                                     {"message", outcome.message},
                                     {"retry_reason", outcome.retry_reason}}};
    const std::array<Number, 3> numbers{{{"status_code", outcome.status},
                                         {"upstream_status", outcome.upstream_status},
                                         {"attempts", outcome.attempts}}};
    std::string out = "{";
    const auto name = [&](std::string_view text) {
        out += out.size() == 1 ? "\n  " : ",\n  ";
        json::append_string(out, text);
        out += ": ";
    };
    for (const Text &text : texts) {
        if (text.value.len != 0) {
            name(text.name);
            json::append_string(out, {text.value.data, text.value.len});
        }
    }
    for (const Number &number : numbers) {
        if (number.value != 0) {
            name(number.name);
            json::append_uint(out, number.value);
        }
    }
    return out + "\n}\n";
}

} // namespace kiro::capture
