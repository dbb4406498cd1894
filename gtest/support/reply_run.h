// Drives a kiro_reply as nginx does.
#pragma once

#include "kiro/reply.h"

#include "support/reply_modes.h"

#include <algorithm>
#include <cstdint>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace test {

using Reply = std::unique_ptr<kiro_reply, decltype(&kiro_reply_free)>;

inline kiro_reply_options reply_options(const Mode &mode, const kiro_request *request = nullptr) {
    kiro_reply_options opts{};
    opts.request = request;
    opts.api = mode.api;
    opts.stream = mode.stream;
    opts.model = {"claude-sonnet-4.5", 17};
    opts.id = {"0123456789abcdef", 16};
    opts.created = 1790000000;
    return opts;
}

inline Reply make_reply(const kiro_reply_options &opts) {
    return Reply(kiro_reply_create(&opts), kiro_reply_free);
}

inline Reply make_reply(const Mode &mode) {
    return make_reply(reply_options(mode));
}

// What a client gets of these bytes.
inline std::string answer(const kiro_reply_options &opts, std::string_view bytes, size_t piece = SIZE_MAX) {
    const Reply reply = make_reply(opts);
    std::string output;
    const auto drain = [&] {
        for (kiro_str out; kiro_reply_next(reply.get(), &out) == KIRO_OK;) {
            output.append(out.data, out.len);
        }
    };
    for (size_t at = 0; at < bytes.size(); at += std::min(piece, bytes.size() - at)) {
        const std::string_view part = bytes.substr(at, piece);
        EXPECT_EQ(kiro_reply_feed(reply.get(), part.data(), part.size()), KIRO_OK);
        drain();
    }
    EXPECT_EQ(kiro_reply_eof(reply.get()), KIRO_OK);
    drain();
    return output;
}

struct Outcome {
    kiro_gate gate = KIRO_GATE_WAIT;
    bool early = false; // failed before anything was given out
    kiro_failure failure{};
    kiro_reply_info info{};
    std::string stop;
    std::string output;
    std::string settled; // what the client gets of a failed reply if no attempt is left
};

class Run {
public:
    explicit Run(const Mode &mode, size_t max_collect = 0, const kiro_request *request = nullptr)
        : reply_(nullptr, kiro_reply_free) {
        kiro_reply_options opts = reply_options(mode, request);
        opts.max_collect = max_collect;
        reply_ = make_reply(opts);
    }

    kiro_reply *get() { return reply_.get(); }

    void feed(std::string_view bytes) {
        const std::vector<char> piece(bytes.begin(), bytes.end()); // so that a view kept too long is noticed
        EXPECT_EQ(kiro_reply_feed(reply_.get(), piece.data(), piece.size()), KIRO_OK);
        // What was given out before must not have moved.
        EXPECT_EQ(std::string_view(given_.data, given_.len), copy_);
        drain();
    }

    void drain() {
        const kiro_gate gate = kiro_reply_gate(reply_.get());
        if (!committed_) {
            if (gate == KIRO_GATE_WAIT || gate == KIRO_GATE_FAILED) {
                kiro_str none;
                EXPECT_EQ(kiro_reply_next(reply_.get(), &none), KIRO_AGAIN);
                return;
            }
            kiro_reply_commit(reply_.get());
            committed_ = true;
        }
        if (kiro_reply_next(reply_.get(), &given_) != KIRO_OK) {
            copy_.clear();
            return;
        }
        copy_.assign(given_.data, given_.len);
        output_ += copy_;
        if (!kiro_reply_done(reply_.get())) {
            return; // the rest after the next feed, as under back-pressure
        }
        while (kiro_reply_next(reply_.get(), &given_) == KIRO_OK) {
            output_.append(given_.data, given_.len);
        }
        copy_.clear();
        given_ = {};
    }

    Outcome eof() {
        EXPECT_EQ(kiro_reply_eof(reply_.get()), KIRO_OK);
        return end();
    }

    Outcome end() {
        drain();
        for (kiro_str rest; committed_ && kiro_reply_next(reply_.get(), &rest) == KIRO_OK;) {
            output_.append(rest.data, rest.len);
        }
        EXPECT_TRUE(kiro_reply_done(reply_.get()));
        Outcome outcome;
        outcome.gate = kiro_reply_gate(reply_.get());
        outcome.early = outcome.gate == KIRO_GATE_FAILED;
        outcome.failure = *kiro_reply_failure(reply_.get());
        kiro_reply_get_info(reply_.get(), &outcome.info);
        outcome.stop.assign(outcome.info.stop_reason.data ? outcome.info.stop_reason.data : "",
                            outcome.info.stop_reason.len);
        outcome.output = output_;
        if (outcome.early && kiro_reply_settle(reply_.get(), &outcome.failure) == KIRO_OK) {
            EXPECT_EQ(kiro_reply_gate(reply_.get()), KIRO_GATE_COMPLETE);
            for (kiro_str rest; kiro_reply_next(reply_.get(), &rest) == KIRO_OK;) {
                outcome.settled.append(rest.data, rest.len);
            }
        }
        return outcome;
    }

private:
    Reply reply_;
    bool committed_ = false;
    kiro_str given_{};
    std::string copy_;
    std::string output_;
};

inline Outcome run(const Mode &mode, std::string_view bytes, const std::vector<size_t> &plan,
                   const kiro_request *request = nullptr) {
    Run run(mode, 0, request);
    size_t at = 0;
    for (size_t n : plan) {
        run.feed(bytes.substr(at, n));
        at += n;
    }
    return run.eof();
}

inline Outcome run(const Mode &mode, std::string_view bytes) {
    return run(mode, bytes, {bytes.size()});
}

inline Outcome run_bytes(const Mode &mode, std::string_view bytes) {
    return run(mode, bytes, std::vector<size_t>(bytes.size(), 1));
}

} // namespace test
