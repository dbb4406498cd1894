// An incremental parser for one HTTP/1.x response of a control-plane call.
#ifndef KIRO_CORE_KIRO_HTTP_RESPONSE_H
#define KIRO_CORE_KIRO_HTTP_RESPONSE_H

#include <string_view>
#include <vector>

#include "core/kiro/secret.h"
#include "kiro/http.h"

namespace kiro::kiro {

class HttpResponse {
public:
    // max: bytes of head, trailers and body together.
    explicit HttpResponse(size_t max) : max_(max) {}

    kiro_status feed(std::string_view data); // throws std::bad_alloc
    kiro_status eof();

    int status() const { return status_; }
    std::string_view body() const { return body_.view(); }
    std::string_view header(std::string_view name) const;

private:
    enum class State {
        status_line,
        header_line,
        body_length,
        body_until_close,
        chunk_size_line,
        chunk_data,
        chunk_end_line,
        trailer_line,
        done,
        broken
    };

    struct Span {
        size_t begin;
        size_t length;
    };

    struct Header {
        Span name; // lower case
        Span value;
    };

    State take_line(std::string_view line);
    State take_status_line(std::string_view line);
    State take_header_line(std::string_view line);
    State end_of_head();
    State take_chunk_size(std::string_view line);
    size_t take_body(std::string_view data);
    bool spend(size_t n);
    std::string_view text(Span span) const { return head_.view().substr(span.begin, span.length); }

    size_t max_;
    size_t used_ = 0;
    State state_ = State::status_line;
    int status_ = 0;
    Secret line_;
    Secret head_; // names and values, one after the other
    std::vector<Header> headers_;
    Secret body_;
    size_t body_left_ = 0; // of the body or of the chunk
};

} // namespace kiro::kiro

#endif
