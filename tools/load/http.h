// As much of HTTP/1.1 as a load needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace load {

// The value of a header in a head that begins with its first line; "" if it is not there.
std::string_view header(std::string_view head, std::string_view name);

// Takes the bytes of a response, gives those of its body.
class ResponseReader {
public:
    enum class State : std::uint8_t { head, body, done, bad };

    template <typename F> State feed(std::string_view bytes, F &&body) {
        while (!bytes.empty() && (state_ == State::head || state_ == State::body)) {
            const std::string_view piece = take(bytes);
            if (!piece.empty()) {
                body(piece);
            }
        }
        return state_;
    }

    int status() const { return status_; }
    State state() const { return state_; }

private:
    std::string_view take(std::string_view &bytes);
    void take_head(std::string_view &bytes);
    bool take_line(std::string_view &bytes);

    State state_ = State::head;
    std::string line_; // a head or a chunk's line that is not whole yet
    int status_ = 0;
    bool chunked_ = false;
    bool last_ = false; // the chunk of size 0 came
    bool in_chunk_ = false;
    std::size_t left_ = 0; // of the chunk, or of the body
};

} // namespace load
