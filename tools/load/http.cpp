#include "http.h"

#include <algorithm>
#include <charconv>
#include <strings.h>

namespace load {

using std::string_view;

string_view header(string_view head, string_view name) {
    for (std::size_t at = head.find("\r\n"); at != head.npos; at = head.find("\r\n", at + 2)) {
        string_view line = head.substr(at + 2);
        line = line.substr(0, line.find("\r\n"));
        if (line.size() > name.size() && line[name.size()] == ':' &&
            strncasecmp(line.data(), name.data(), name.size()) == 0) {
            line.remove_prefix(name.size() + 1);
            line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
            return line;
        }
    }
    return {};
}

// Collects a line into line_, without its end; true: it is whole.
bool ResponseReader::take_line(string_view &bytes) {
    const std::size_t n = bytes.find('\n');
    line_ += bytes.substr(0, n);
    bytes.remove_prefix(n == bytes.npos ? bytes.size() : n + 1);
    if (n != bytes.npos && !line_.empty() && line_.back() == '\r') {
        line_.pop_back();
    }
    return n != bytes.npos;
}

void ResponseReader::take_head(string_view &bytes) {
    const std::size_t before = line_.size();
    line_ += bytes;
    const std::size_t end = line_.find("\r\n\r\n");
    if (end == line_.npos) {
        bytes = {};
        return;
    }
    bytes.remove_prefix(end + 4 - before);
    const string_view head = string_view(line_).substr(0, end + 2);
    if (head.size() < 12 || head.substr(0, 7) != "HTTP/1.") {
        state_ = State::bad;
        return;
    }
    std::from_chars(head.data() + 9, head.data() + 12, status_);
    chunked_ = header(head, "transfer-encoding") == "chunked";
    const string_view length = header(head, "content-length");
    std::from_chars(length.data(), length.data() + length.size(), left_);
    state_ = !chunked_ && left_ == 0 ? State::done : State::body;
    line_.clear();
}

string_view ResponseReader::take(string_view &bytes) {
    if (state_ == State::head) {
        take_head(bytes);
        return {};
    }
    if (chunked_ && !in_chunk_) {
        if (!take_line(bytes)) {
            return {};
        }
        if (last_) {
            state_ = State::done;
        } else if (!line_.empty()) {
            std::from_chars(line_.data(), line_.data() + line_.size(), left_, 16);
            in_chunk_ = left_ > 0;
            last_ = left_ == 0;
        }
        line_.clear();
        return {};
    }
    const string_view piece = bytes.substr(0, left_);
    bytes.remove_prefix(piece.size());
    left_ -= piece.size();
    if (left_ == 0) {
        in_chunk_ = false;
        state_ = chunked_ ? State::body : State::done;
    }
    return piece;
}

} // namespace load
