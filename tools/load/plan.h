// What a stream is: the client writes it into the prompt, the upstream reads it there.
#pragma once

#include "loop.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace load {

struct Plan {
    std::uint64_t id = 0;
    std::uint64_t tokens = 100;
    std::uint64_t interval = 0; // microseconds between two tokens; 0: as fast as they go
    std::uint64_t first = 0;    // microseconds before the first one
    std::uint64_t pad = 0;      // more bytes of text in each token
    std::uint64_t batch = 1;    // tokens in an HTTP chunk
    std::uint64_t tool = 0;     // 1: the tokens are the input of one tool call
};

std::string write_plan(const Plan &plan);
std::optional<Plan> find_plan(std::string_view body);

// The text of a token says when it was sent, and which one it is.
void append_token(std::string &out, Micros sent, std::uint64_t number, std::uint64_t pad);

// Finds tokens in any dialect's bytes, wherever they are cut.
class TokenScanner {
public:
    template <typename F> void feed(std::string_view bytes, F &&token) {
        while (!bytes.empty()) {
            Micros sent;
            std::uint64_t number;
            if (take(bytes, sent, number)) {
                token(sent, number);
            }
        }
    }

private:
    bool take(std::string_view &bytes, Micros &sent, std::uint64_t &number);

    std::string text_; // a token that is not whole yet
};

// Finds a word, wherever it is cut.
class WordFinder {
public:
    explicit WordFinder(std::string_view word) : word_(word) {}
    void feed(std::string_view bytes);
    bool found() const { return found_; }

private:
    std::string_view word_;
    std::string end_; // of what was fed
    bool found_ = false;
};

} // namespace load
