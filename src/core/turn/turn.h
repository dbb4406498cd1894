/*
 * One attempt's answer: frames of the upstream in, the client's bytes out.
 *
 *              content a client sees          the turn ends
 *   waiting --------------------> answering ---------------> finished
 *      |                              |
 *      +------------------------------+--------------------> failed
 *              an exception, a cut, nonsense
 *
 * Until the client's headers are sent a failure writes nothing, so that the request can be tried again or be
 * answered with a true status; after that it takes the dialect's own form.
 */
#pragma once

#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "core/eventstream/decoder.h"
#include "core/kiro/reply.h"
#include "core/kiro/search.h"
#include "core/stages/stages.h"
#include "core/tokens/estimate.h"
#include "core/turn/writer.h"
#include "kiro/reply.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kiro::turn {

class Turn {
public:
    Turn(const kiro_reply_options &opts, const chat::ReplyHead &head, const chat::ReplyContext &context);

    void feed(std::string_view bytes);
    void eof();
    void abort(const kiro_failure &why);

    // After the last attempt: makes an answer of what there is, if it has a place for the failure; false: it
    // has none.
    bool settle(const kiro_failure &why);

    // Ends an answer whose headers are out although it has no content.
    void give_up(const kiro_failure &why);

    kiro_gate gate() const noexcept;
    void commit() noexcept;

    void set_time(std::int64_t now) noexcept { now_ = now; }

    // The pending output, valid until the next call; false: there is none.
    bool next(std::string_view &piece);

    void ping();

    bool done() const noexcept { return state_ >= State::finished; }
    bool whole() const noexcept { return done() || reader_.ended(); }
    const kiro_failure &failure() const noexcept { return failure_; }
    kiro_reply_info info() const;

private:
    enum class State : std::uint8_t { waiting, answering, finished, failed };

    void write(std::span<const chat::Event> events);
    void show(const chat::Event &event);
    void flush();
    bool release();
    void refuse(const kiro_failure &why);
    void fail(const kiro_failure &why);
    void fail(kiro_failure_kind kind, kiro_retry retry, const char *message);
    void repair(std::string_view problem);
    void finish(chat::Stop reason);
    void finish_whole();
    void finish_cut();
    void finish_search();
    void tell(chat::Search result);
    chat::Usage usage() const;
    std::size_t held() const noexcept;

    chat::ReplyContext context_;
    std::size_t max_collect_;
    bool stream_;
    std::string id_;
    std::int64_t now_; // Unix seconds

    eventstream::Decoder decoder_;
    kiro::ReplyReader reader_;
    stages::Stages stages_;
    Writer writer_;
    std::optional<kiro::SearchReader> search_; // takes the bytes instead of decoder and reader
    tokens::Characters found_;                 // by the search

    std::string ready_;  // the piece that was given out
    std::string output_; // what is written meanwhile

    State state_ = State::waiting;
    bool alive_ = false;     // a frame came
    bool broke_off_ = false; // a call that the client saw coming
    bool started_ = false;   // the model answers, be it with reasoning that the client did not ask for
    bool committed_ = false; // the client's headers are sent
    std::optional<chat::Stop> stop_;
    kiro::LostCalls lost_;               // known when the turn is over
    std::optional<chat::Stop> fallback_; // failed: what is there would still do as an answer that ends so
    kiro_failure failure_{};
};

} // namespace kiro::turn
