#include "core/turn/turn.h"

#include "core/chat/search.h"
#include "core/kiro/digest.h"

#include <algorithm>
#include <array>
#include <variant>

namespace kiro::turn {
namespace {

using std::string_view;

constexpr std::size_t kDefaultCollect = 32 * 1024 * 1024;
constexpr std::size_t kKeptOutput = 256 * 1024; // more is given back when it was drained

// Would a client see anything of it?
bool visible(const chat::Event &event) noexcept {
    return std::holds_alternative<chat::TextDelta>(event) ||
           std::holds_alternative<chat::ReasoningDelta>(event) ||
           std::holds_alternative<chat::FinishedCall>(event) ||
           std::holds_alternative<chat::CallStart>(event);
}

// Failures that are the search's own: whoever asks for something else may have luck.
constexpr std::array kSearchFailures{
    KIRO_FAIL_ACCESS_DENIED,    KIRO_FAIL_UPSTREAM_REFUSED, KIRO_FAIL_UPSTREAM_ERROR,
    KIRO_FAIL_UPSTREAM_TIMEOUT, KIRO_FAIL_UPSTREAM_CUT,     KIRO_FAIL_UPSTREAM_PROTOCOL,
    KIRO_FAIL_UPSTREAM_EMPTY,   KIRO_FAIL_UNAVAILABLE,
};

// In the order of chat::UsageSource.
constexpr std::array<string_view, 3> kSources{"estimate", "percent", "upstream"};

kiro_failure made(kiro_failure_kind kind, kiro_retry retry, const char *message) noexcept {
    kiro_failure result;
    kiro_failure_set(&result, kind, "%s", message);
    result.retry = retry;
    return result;
}

kiro_failure empty() noexcept {
    return made(KIRO_FAIL_UPSTREAM_EMPTY, KIRO_RETRY_BACKOFF, "Kiro sent an empty answer.");
}

std::string search_id(string_view reply, std::size_t number) {
    kiro::Sha256 hash;
    std::string id = kiro::uuid_of(hash.add_field("search").add_field(reply).add(std::to_string(number)));
    std::erase(id, '-');
    return id;
}

} // namespace

Turn::Turn(const kiro_reply_options &opts, const chat::ReplyHead &head, const chat::ReplyContext &context)
    : context_(context), max_collect_(opts.max_collect > 0 ? opts.max_collect : kDefaultCollect),
      stream_(opts.stream != 0), id_(head.id), now_(head.created),
      reader_(context_, max_collect_, stream_ && opts.tool_stream == KIRO_TOOLS_INCREMENTAL),
      stages_(context_, stream_, id_), writer_(make_writer(opts.api, stream_, head, context_)) {
    if (!context_.search_query.empty()) {
        search_.emplace();
    }
}

void Turn::feed(string_view bytes) {
    if (done()) {
        return;
    }
    if (search_) {
        alive_ = true;
        if (!search_->feed(bytes)) {
            fail(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER,
                 "The search result is larger than the gateway's limit.");
        }
        return;
    }
    decoder_.feed(bytes);
    for (eventstream::Frame frame; !done() && decoder_.next(frame);) {
        alive_ = true;
        write(reader_.take(frame));
        if (const auto reason = stages_.stop()) {
            finish(*reason);
        } else if (const kiro_failure *refusal = reader_.failure()) {
            refuse(*refusal);
        } else if (held() > max_collect_) {
            fail(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER,
                 "The answer is larger than the gateway's limit.");
        }
    }
    if (!done() && decoder_.fault() != eventstream::Fault::none) {
        if (reader_.complete()) { // nothing that a client would see is missing
            eof();
        } else if (!release()) {
            fail(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_BACKOFF, "Kiro sent a corrupt message.");
        }
    }
}

void Turn::eof() {
    if (done()) {
        return;
    }
    if (search_) {
        finish_search();
        return;
    }
    flush();
    if (const auto reason = stages_.stop()) {
        finish(*reason);
    } else if (reader_.complete()) {
        finish_whole();
    } else {
        finish_cut();
    }
}

// The upstream said that nothing is missing.
void Turn::finish_whole() {
    chat::Stop reason = reader_.stop();
    if (reason == chat::Stop::end_turn && stages_.rescued() > 0) {
        reason = chat::Stop::tool_use;
    }
    const bool natural = reason == chat::Stop::end_turn || reason == chat::Stop::tool_use;
    const bool nothing = state_ == State::waiting && !committed_;
    if (nothing && reader_.truncated()) {
        fallback_ = chat::Stop::max_tokens;
        fail(KIRO_FAIL_UPSTREAM_CUT, KIRO_RETRY_BACKOFF, "Kiro's answer is a tool call that is not whole.");
    } else if (nothing && natural) {
        fail(empty());
    } else if (reason == chat::Stop::end_turn && context_.repairable && !stages_.problem().empty()) {
        repair(stages_.problem());
    } else {
        finish(reason);
    }
}

void Turn::finish_cut() {
    const bool nothing = state_ == State::waiting && !reader_.truncated() && decoder_.pending() == 0;
    // A clean end without the tail may be the service's habit: asking again costs as much as the answer.
    const bool clean = decoder_.pending() == 0;
    const kiro_failure cut = nothing
                                 ? empty()
                                 : made(KIRO_FAIL_UPSTREAM_CUT, clean ? KIRO_RETRY_ONCE : KIRO_RETRY_BACKOFF,
                                        "Kiro's answer ended before it was complete.");
    if (!committed_) {
        if (reader_.truncated()) {
            fallback_ = chat::Stop::max_tokens;
        }
        fail(cut);
        return;
    }
    finish(chat::Stop::max_tokens); // a legal end; the failure is for the log
    failure_ = cut;
}

void Turn::abort(const kiro_failure &why) {
    if (done()) {
        return;
    }
    if (!reader_.complete()) {
        if (!release()) {
            fail(why);
        }
        return;
    }
    eof(); // the answer is whole, only the connection's end is not
}

void Turn::finish_search() {
    std::optional<chat::Search> result = search_->finish(*context_.search);
    if (!result) {
        fail(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_BACKOFF, "Kiro's search sent no valid answer.");
        return;
    }
    if (result->failed) {
        failure_ = made(KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_NEVER, "Kiro's search failed.");
    }
    tell(*result);
}

bool Turn::settle(const kiro_failure &why) {
    if (fallback_ && state_ == State::failed && !committed_) {
        finish(*fallback_);
        failure_ = why;
        return true;
    }
    if (!search_ || committed_ ||
        std::find(kSearchFailures.begin(), kSearchFailures.end(), why.kind) == kSearchFailures.end()) {
        return false;
    }
    failure_ = why;
    chat::Search none;
    none.failed = true;
    tell(none);
    return true;
}

void Turn::give_up(const kiro_failure &why) {
    if (state_ == State::failed && !committed_) {
        state_ = State::waiting;
        output_.clear();
    }
    if (!done()) {
        committed_ = true;
        fail(why);
    }
}

void Turn::tell(chat::Search result) {
    const std::string name = search_id(id_, 0);
    result.id = name;
    result.query = context_.search_query;
    const std::string text = chat::render(result);
    found_.add(text);
    started_ = true;
    state_ = State::answering;
    std::visit(
        [&](auto &dialect) {
            if constexpr (requires { dialect.search(result, output_); }) {
                dialect.search(result, output_);
            }
            dialect.write(chat::TextDelta{text}, output_);
        },
        writer_);
    finish(chat::Stop::end_turn);
}

// An exception of the upstream, or nonsense instead of an event.
void Turn::refuse(const kiro_failure &why) {
    if (reader_.complete() && state_ == State::answering) {
        eof(); // the answer was whole before
        return;
    }
    if (why.kind == KIRO_FAIL_CONTEXT_OVERFLOW && state_ == State::answering) {
        flush();
        finish(chat::Stop::max_tokens);
        failure_ = why;
        return;
    }
    if (!release()) {
        fail(why);
    }
}

// What waits for the end of a call that is passed on came before a failure does. True: it ended the turn.
bool Turn::release() {
    if (reader_.held() == 0) {
        return false;
    }
    write(reader_.finish());
    if (const auto reason = stages_.stop()) {
        finish(*reason);
        return true;
    }
    return false;
}

void Turn::fail(kiro_failure_kind kind, kiro_retry retry, const char *message) {
    fail(made(kind, retry, message));
}

void Turn::fail(const kiro_failure &why) {
    failure_ = why;
    state_ = State::failed;
    lost_ = reader_.lost_calls(false);
    if (!committed_) {
        if (!fallback_) {
            output_.clear();
        }
        return;
    }
    std::visit([&](auto &dialect) { dialect.fail(why, output_); }, writer_);
}

// The answer is not the JSON that was asked for: worth one more request that says so.
void Turn::repair(string_view problem) {
    kiro_failure wrong;
    kiro_failure_set(&wrong, KIRO_FAIL_UPSTREAM_PROTOCOL,
                     "The answer does not match the requested output format: %.*s",
                     static_cast<int>(std::min<std::size_t>(problem.size(), 300)), problem.data());
    wrong.retry = KIRO_RETRY_CHANGED;
    wrong.change = KIRO_CHANGE_REPAIR_OUTPUT;
    fallback_ = chat::Stop::end_turn;
    fail(wrong);
}

// Ends the turn; nothing of the upstream is read any more.
void Turn::finish(chat::Stop reason) {
    stages_.finish([this](const chat::Event &event) { show(event); });
    if (broke_off_) { // whatever ended the text: nobody may run that call
        reason = chat::Stop::max_tokens;
    }
    stop_ = reason;
    state_ = State::finished;
    lost_ = reader_.lost_calls(stages_.stop().has_value());
    const chat::TurnEnd end{
        .stop = reason, .stop_text = stages_.stop_text(), .category = reader_.refusal(), .time = now_};
    std::visit([&](auto &dialect) { dialect.finish(end, usage(), output_); }, writer_);
}

chat::Usage Turn::usage() const {
    chat::Usage all = reader_.usage();
    all.output += tokens::estimate(found_);
    all.reasoning = std::min(all.reasoning + tokens::estimate(stages_.tagged_reasoning()), all.output);
    if (stages_.stop() == chat::Stop::max_tokens) { // the rest was cut
        all.output = std::min(all.output, context_.max_tokens);
        all.reasoning = std::min(all.reasoning, all.output);
    }
    return all;
}

void Turn::write(std::span<const chat::Event> events) {
    for (const chat::Event &event : events) {
        started_ |= visible(event);
        stages_.take(event, [this](const chat::Event &next) { show(next); });
    }
}

// What was held back, at the end of the upstream's answer.
void Turn::flush() {
    write(reader_.finish());
    if (!stages_.stop()) {
        stages_.finish([this](const chat::Event &event) { show(event); });
    }
}

void Turn::show(const chat::Event &event) {
    if (visible(event)) {
        state_ = State::answering;
    }
    if (const auto *end = std::get_if<chat::CallEnd>(&event); end != nullptr && !end->whole) {
        broke_off_ = true;
    }
    std::visit([&](auto &dialect) { dialect.write(event, output_); }, writer_);
}

// Bytes that cannot go out yet, or that go out again at the end.
std::size_t Turn::held() const noexcept {
    const bool waits = stream_ && !committed_ && state_ == State::waiting;
    return (waits ? output_.size() : 0) + reader_.held() + stages_.size() +
           std::visit([](const auto &dialect) { return dialect.size(); }, writer_);
}

kiro_gate Turn::gate() const noexcept {
    switch (state_) {
    case State::waiting:
        return KIRO_GATE_WAIT;
    case State::answering:
        return stream_ ? KIRO_GATE_COMMIT : KIRO_GATE_WAIT;
    case State::finished:
        return KIRO_GATE_COMPLETE;
    case State::failed:
        break;
    }
    return committed_ ? KIRO_GATE_COMPLETE : KIRO_GATE_FAILED;
}

void Turn::commit() noexcept {
    if (gate() != KIRO_GATE_FAILED) {
        committed_ = true;
    }
}

bool Turn::next(string_view &piece) {
    if (ready_.capacity() > kKeptOutput) {
        ready_ = std::string();
    }
    ready_.clear();
    const kiro_gate now = gate();
    if (output_.empty() || (!committed_ && now != KIRO_GATE_COMMIT && now != KIRO_GATE_COMPLETE)) {
        return false;
    }
    committed_ = true; // what was given out cannot be taken back
    ready_.swap(output_);
    piece = ready_;
    return true;
}

void Turn::ping() {
    if (committed_ && !done()) {
        std::visit([&](auto &dialect) { dialect.ping(output_); }, writer_);
    }
}

kiro_reply_info Turn::info() const {
    const chat::Usage all = usage();
    const string_view source = kSources[static_cast<std::size_t>(all.source)];
    string_view word;
    if (stop_) {
        word = std::visit([&](const auto &dialect) { return dialect.stop_word(*stop_); }, writer_);
    }
    return {.input_tokens = all.input,
            .output_tokens = all.output,
            .reasoning_tokens = all.reasoning,
            .cache_read_tokens = all.cache_read,
            .cache_write_tokens = all.cache_write,
            .usage_source = {source.data(), source.size()},
            .credits = reader_.credits(),
            .context_percent = reader_.context_percent(),
            .stop_reason = {word.data(), word.size()},
            .alive = alive_,
            .started = started_,
            .finished = gate() == KIRO_GATE_COMPLETE,
            .failed = state_ == State::failed,
            .lost_call = lost_.any,
            .lost_calls = {lost_.names.data(), lost_.names.size()}};
}

} // namespace kiro::turn
