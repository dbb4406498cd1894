#include "core/kiro/http_response.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace kiro::kiro {

namespace {

constexpr std::string_view blank = " \t";

std::string_view strip(std::string_view text) {
    const size_t first = text.find_first_not_of(blank);
    if (first == text.npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name_char(char c) {
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || others.find(c) != others.npos;
}

bool is_value_char(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

struct Field {
    std::string_view name;
    std::string_view value;
};

std::optional<Field> split_field(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == line.npos || colon == 0) {
        return std::nullopt;
    }
    const Field field{line.substr(0, colon), strip(line.substr(colon + 1))};
    const bool valid = std::all_of(field.name.begin(), field.name.end(), is_name_char) &&
                       std::all_of(field.value.begin(), field.value.end(), is_value_char);
    return valid ? std::optional(field) : std::nullopt;
}

template <int base> std::optional<size_t> parse_size(std::string_view text) {
    size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

} // namespace

// What is kept counts, so max bounds the memory.
bool HttpResponse::spend(size_t n) {
    if (n > max_ - used_) {
        return false;
    }
    used_ += n;
    return true;
}

kiro_status HttpResponse::feed(std::string_view data) {
    while (!data.empty() && state_ != State::done && state_ != State::broken) {
        if (state_ == State::body_length || state_ == State::body_until_close ||
            state_ == State::chunk_data) {
            data.remove_prefix(take_body(data));
            continue;
        }
        const size_t newline = data.find('\n');
        const std::string_view part = data.substr(0, newline);
        // Chunk framing is not kept, but one line of it must not grow for ever.
        constexpr size_t max_chunk_line = 4096;
        const bool framing = state_ == State::chunk_size_line || state_ == State::chunk_end_line;
        const size_t taken = part.size() + (newline != data.npos);
        if (framing ? line_.size() + part.size() > max_chunk_line : !spend(taken)) {
            state_ = State::broken;
            break;
        }
        line_.append(part);
        data.remove_prefix(taken);
        if (newline == data.npos) {
            break;
        }
        std::string_view line = line_.view();
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        state_ = take_line(line);
        line_.clear();
    }
    return state_ == State::done ? KIRO_OK : state_ == State::broken ? KIRO_ERROR : KIRO_AGAIN;
}

kiro_status HttpResponse::eof() {
    if (state_ == State::body_until_close) {
        state_ = State::done;
    }
    if (state_ != State::done) {
        state_ = State::broken;
    }
    return state_ == State::done ? KIRO_OK : KIRO_ERROR;
}

std::string_view HttpResponse::header(std::string_view name) const {
    for (const Header &header : headers_) {
        if (text(header.name) == name) {
            return text(header.value);
        }
    }
    return {};
}

HttpResponse::State HttpResponse::take_line(std::string_view line) {
    switch (state_) {
    case State::status_line:
        return take_status_line(line);
    case State::header_line:
        return line.empty() ? end_of_head() : take_header_line(line);
    case State::chunk_size_line:
        return take_chunk_size(line);
    case State::chunk_end_line:
        return line.empty() ? State::chunk_size_line : State::broken;
    case State::trailer_line:
        // Trailers are checked and dropped.
        return line.empty() ? State::done : split_field(line) ? State::trailer_line : State::broken;
    default:
        return State::broken;
    }
}

HttpResponse::State HttpResponse::take_status_line(std::string_view line) {
    constexpr std::string_view version = "HTTP/1.x 200";
    const bool valid = line.size() >= version.size() && line.starts_with("HTTP/1.") && is_digit(line[7]) &&
                       line[8] == ' ' && line[9] >= '1' && line[9] <= '5' && is_digit(line[10]) &&
                       is_digit(line[11]) && (line.size() == version.size() || line[12] == ' ') &&
                       std::all_of(line.begin(), line.end(), is_value_char);
    if (!valid) {
        return State::broken;
    }
    status_ = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    return State::header_line;
}

HttpResponse::State HttpResponse::take_header_line(std::string_view line) {
    constexpr size_t max_headers = 256;
    // A folded line starts with a blank, which no name does.
    const auto field = split_field(line);
    if (!field || headers_.size() == max_headers) {
        return State::broken;
    }
    const Header header{{head_.size(), field->name.size()},
                        {head_.size() + field->name.size(), field->value.size()}};
    for (char c : field->name) {
        head_.push_back(lower(c));
    }
    head_.append(field->value);
    headers_.push_back(header);
    return State::header_line;
}

HttpResponse::State HttpResponse::end_of_head() {
    constexpr int switching_protocols = 101;
    if (status_ == switching_protocols) {
        return State::broken;
    }
    if (status_ < 200) {
        head_.clear();
        headers_.clear();
        status_ = 0;
        return State::status_line;
    }
    std::optional<size_t> length;
    bool chunked = false;
    for (const Header &header : headers_) {
        const std::string_view name = text(header.name);
        const std::string_view value = text(header.value);
        if (name == "content-length") {
            const auto parsed = parse_size<10>(value);
            if (!parsed || (length && *length != *parsed)) {
                return State::broken;
            }
            length = parsed;
        } else if (name == "transfer-encoding") {
            if (chunked || !equals_ignoring_case(value, "chunked")) {
                return State::broken;
            }
            chunked = true;
        }
    }
    if (chunked && length) {
        return State::broken;
    }
    if (status_ == 204 || status_ == 304 || length == size_t{0}) {
        return State::done;
    }
    if (chunked) {
        return State::chunk_size_line;
    }
    if (!length) {
        return State::body_until_close;
    }
    if (*length > max_ - used_) {
        return State::broken;
    }
    body_left_ = *length;
    body_.reserve(*length);
    return State::body_length;
}

HttpResponse::State HttpResponse::take_chunk_size(std::string_view line) {
    const auto size = parse_size<16>(strip(line.substr(0, line.find(';'))));
    if (!size || *size > max_ - used_ || line.starts_with(' ') || line.starts_with('\t') ||
        !std::all_of(line.begin(), line.end(), is_value_char)) {
        return State::broken;
    }
    body_left_ = *size;
    return *size == 0 ? State::trailer_line : State::chunk_data;
}

size_t HttpResponse::take_body(std::string_view data) {
    const size_t n = state_ == State::body_until_close ? data.size() : std::min(data.size(), body_left_);
    if (!spend(n)) {
        state_ = State::broken;
        return n;
    }
    body_.append(data.substr(0, n));
    if (state_ == State::body_until_close) {
        return n;
    }
    body_left_ -= n;
    if (body_left_ == 0) {
        state_ = state_ == State::body_length ? State::done : State::chunk_end_line;
    }
    return n;
}

} // namespace kiro::kiro

struct kiro_http {
    kiro::kiro::HttpResponse response;
};

namespace {

kiro_str str_of(std::string_view text) {
    return {text.data(), text.size()};
}

} // namespace

extern "C" {

kiro_http *kiro_http_create(size_t max) {
    try {
        return new kiro_http{kiro::kiro::HttpResponse(max)};
    } catch (...) {
        return nullptr;
    }
}

void kiro_http_free(kiro_http *http) {
    delete http;
}

kiro_status kiro_http_feed(kiro_http *http, const char *data, size_t n) {
    try {
        return http->response.feed(n == 0 ? std::string_view() : std::string_view(data, n));
    } catch (...) {
        return KIRO_NOMEM;
    }
}

kiro_status kiro_http_eof(kiro_http *http) {
    return http->response.eof();
}

int kiro_http_status(const kiro_http *http) {
    return http->response.status();
}

kiro_str kiro_http_body(const kiro_http *http) {
    return str_of(http->response.body());
}

kiro_str kiro_http_header(const kiro_http *http, const char *name) {
    return str_of(http->response.header(name));
}

} // extern "C"
