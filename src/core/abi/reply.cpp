// The C ABI of kiro/reply.h: decoder, upstream dialect and a client's dialect put together, and the
// commit gate.

#include "kiro/reply.h"

#include "core/anthropic/reply.h"
#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "core/chat/search.h"
#include "core/eventstream/decoder.h"
#include "core/json/raw.h"
#include "core/json/surrogates.h"
#include "core/json/validate.h"
#include "core/json/writer.h"
#include "core/kiro/digest.h"
#include "core/kiro/reply.h"
#include "core/kiro/search.h"
#include "core/openai_chat/reply.h"
#include "core/openai_responses/reply.h"
#include "core/stages/stages.h"

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <string>
#include <variant>

namespace {

using std::string_view;
namespace chat = kiro::chat;

constexpr std::size_t kDefaultCollect = 32 * 1024 * 1024;
constexpr std::size_t kKeptOutput = 256 * 1024; // more is given back when it was drained
constexpr std::size_t kMaxModel = 256;          // every chunk repeats it

using Writer = std::variant<kiro::openai_chat::StreamWriter, kiro::openai_chat::Collector,
                            kiro::anthropic::StreamWriter, kiro::anthropic::Collector,
                            kiro::openai_responses::StreamWriter, kiro::openai_responses::Collector>;

string_view view(kiro_str text) noexcept {
    return {text.data, text.len};
}

// A slice that can stand in every chunk: escaped, and cut between characters if it is long.
std::string shown_model(string_view model) {
    std::string quoted;
    kiro::json::append_raw_string(quoted, model);
    std::string raw(kiro::json::validate(quoted) ? std::string(model) : kiro::json::escaped(model));

    std::size_t size = 0;
    while (size < raw.size()) {
        std::size_t step = 1;
        if (raw[size] == '\\') {
            step = raw[size + 1] == 'u' ? 6 : 2;
        } else {
            step = std::max<std::size_t>(kiro::json::utf8_sequence(string_view(raw).substr(size)), 1);
        }
        if (size + step > kMaxModel) {
            break;
        }
        size += step;
    }
    kiro::json::SurrogateJoiner joiner; // a pair that was cut loses its first half too
    return std::string(joiner.join(string_view(raw).substr(0, size), true));
}

template <class Stream, class Object>
Writer make_either(bool stream, const chat::ReplyHead &head, const chat::ReplyContext &context) {
    if (stream) {
        return Stream(head, context);
    }
    return Object(head, context);
}

Writer make_writer(const kiro_reply_options &opts, const chat::ReplyHead &head,
                   const chat::ReplyContext &context) {
    const bool stream = opts.stream != 0;
    switch (opts.api) {
    case KIRO_API_ANTHROPIC:
        return make_either<kiro::anthropic::StreamWriter, kiro::anthropic::Collector>(stream, head, context);
    case KIRO_API_OPENAI_RESPONSES:
        return make_either<kiro::openai_responses::StreamWriter, kiro::openai_responses::Collector>(
            stream, head, context);
    case KIRO_API_OPENAI_CHAT:
        break;
    }
    return make_either<kiro::openai_chat::StreamWriter, kiro::openai_chat::Collector>(stream, head, context);
}

// Would a client see anything of it?
bool visible(const chat::Event &event) noexcept {
    return std::holds_alternative<chat::TextDelta>(event) ||
           std::holds_alternative<chat::ReasoningDelta>(event) ||
           std::holds_alternative<chat::FinishedCall>(event);
}

// Failures that are the search's own: whoever asks for something else may have luck.
constexpr std::array kSearchFailures{
    KIRO_FAIL_ACCESS_DENIED,    KIRO_FAIL_UPSTREAM_REFUSED, KIRO_FAIL_UPSTREAM_ERROR,
    KIRO_FAIL_UPSTREAM_TIMEOUT, KIRO_FAIL_UPSTREAM_CUT,     KIRO_FAIL_UPSTREAM_PROTOCOL,
    KIRO_FAIL_UPSTREAM_EMPTY,   KIRO_FAIL_UNAVAILABLE,
};

std::string search_id(string_view reply, std::size_t number) {
    kiro::kiro::Sha256 hash;
    std::string id =
        kiro::kiro::uuid_of(hash.add_field("search").add_field(reply).add(std::to_string(number)));
    std::erase(id, '-');
    return id;
}

} // namespace

struct kiro_reply {
    kiro_reply(const kiro_reply_options &opts, const chat::ReplyHead &head,
               const chat::ReplyContext &context_)
        : context(context_), max_collect(opts.max_collect > 0 ? opts.max_collect : kDefaultCollect),
          reader(context_, max_collect), stages(context_, opts.stream != 0),
          writer(make_writer(opts, head, context_)), stream(opts.stream != 0), id(head.id) {
        if (!context.search_query.empty()) {
            search.emplace();
        }
    }

    chat::ReplyContext context;
    std::size_t max_collect;
    kiro::eventstream::Decoder decoder;
    kiro::kiro::ReplyReader reader;
    kiro::stages::Stages stages;
    Writer writer;
    bool stream;
    std::string id;
    std::optional<kiro::kiro::SearchReader> search; // takes the bytes instead of decoder and reader
    kiro::tokens::Characters found;                 // by the search

    std::string ready;  // the piece that was given out
    std::string output; // what is written meanwhile

    kiro_failure failure{};
    std::optional<chat::Stop> stop;
    bool started = false;   // the model answers, be it with reasoning that the client did not ask for
    bool seen = false;      // a client would have something to see
    bool committed = false; // the client's headers are sent
    bool ended = false;     // nothing more will be written
    bool failed = false;

    void feed(string_view data) {
        if (ended) {
            return;
        }
        if (search) {
            if (!search->feed(data)) {
                fail(made(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER,
                          "The search result is larger than the gateway's limit."));
            }
            return;
        }
        decoder.feed(data);
        for (kiro::eventstream::Frame frame; !ended && decoder.next(frame);) {
            write(reader.take(frame));
            if (const auto reason = stages.stop()) {
                finish(*reason);
            } else if (const kiro_failure *refusal = reader.failure()) {
                refuse(*refusal);
            } else if (held() > max_collect) {
                fail(made(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER,
                          "The answer is larger than the gateway's limit."));
            }
        }
        if (!ended && decoder.fault() != kiro::eventstream::Fault::none) {
            fail(made(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_BACKOFF, "Kiro sent a corrupt message."));
        }
    }

    void eof() {
        if (ended) {
            return;
        }
        if (search) {
            finish_search();
            return;
        }
        flush();
        if (const auto reason = stages.stop()) {
            finish(*reason);
            return;
        }
        if (reader.complete()) {
            const chat::Stop reason = reader.stop();
            const bool natural = reason == chat::Stop::end_turn || reason == chat::Stop::tool_use;
            if (!seen && natural && !committed) {
                fail(made(KIRO_FAIL_UPSTREAM_EMPTY, KIRO_RETRY_BACKOFF, "Kiro sent an empty answer."));
            } else if (reason == chat::Stop::end_turn && context.repairable && !stages.problem().empty()) {
                repair(stages.problem());
            } else {
                finish(reason);
            }
            return;
        }
        const bool nothing = !seen && !reader.truncated() && decoder.pending() == 0;
        const kiro_failure cut =
            nothing ? made(KIRO_FAIL_UPSTREAM_EMPTY, KIRO_RETRY_BACKOFF, "Kiro sent an empty answer.")
                    : made(KIRO_FAIL_UPSTREAM_CUT, KIRO_RETRY_BACKOFF,
                           "Kiro's answer ended before it was complete.");
        if (!committed) {
            fail(cut);
            return;
        }
        finish(chat::Stop::max_tokens); // a legal end; the failure is for the log
        failure = cut;
    }

    void abort(const kiro_failure &why) {
        if (ended) {
            return;
        }
        if (!reader.complete()) {
            fail(why);
            return;
        }
        eof(); // the answer is whole, only the connection's end is not
    }

    void finish_search() {
        std::optional<chat::Search> result = search->finish(*context.search);
        if (!result) {
            fail(
                made(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_BACKOFF, "Kiro's search sent no valid answer."));
            return;
        }
        if (result->failed) {
            failure = made(KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_NEVER, "Kiro's search failed.");
        }
        tell(*result);
    }

    // Puts a failure into the answer; false: it has no place there.
    bool settle(const kiro_failure &why) {
        if (!search || committed ||
            std::find(kSearchFailures.begin(), kSearchFailures.end(), why.kind) == kSearchFailures.end()) {
            return false;
        }
        failed = ended = false;
        failure = why;
        chat::Search none;
        none.failed = true;
        tell(none);
        return true;
    }

    void tell(chat::Search result) {
        const std::string name = search_id(id, 0);
        result.id = name;
        result.query = context.search_query;
        const std::string text = chat::render(result);
        found.add(text);
        started = seen = true;
        std::visit(
            [&](auto &dialect) {
                if constexpr (requires { dialect.search(result, output); }) {
                    dialect.search(result, output);
                }
                dialect.write(chat::TextDelta{text}, output);
            },
            writer);
        finish(chat::Stop::end_turn);
    }

    // An exception of the upstream, or nonsense instead of an event.
    void refuse(const kiro_failure &why) {
        if (why.kind == KIRO_FAIL_CONTEXT_OVERFLOW && seen) {
            flush();
            finish(chat::Stop::max_tokens);
            failure = why;
            return;
        }
        fail(why);
    }

    void fail(const kiro_failure &why) {
        failure = why;
        failed = ended = true;
        if (!committed) {
            output.clear();
            return;
        }
        std::visit([&](auto &dialect) { dialect.fail(why, output); }, writer);
    }

    // The answer is not the JSON that was asked for: worth one more request that says so.
    void repair(string_view problem) {
        kiro_failure wrong;
        kiro_failure_set(&wrong, KIRO_FAIL_UPSTREAM_PROTOCOL,
                         "The answer does not match the requested output format: %.*s",
                         static_cast<int>(std::min<std::size_t>(problem.size(), 300)), problem.data());
        wrong.retry = KIRO_RETRY_CHANGED;
        wrong.change = KIRO_CHANGE_REPAIR_OUTPUT;
        fail(wrong);
    }

    // Ends the turn; nothing of the upstream is read any more.
    void finish(chat::Stop reason) {
        stages.finish([this](const chat::Event &event) { show(event); });
        stop = reason;
        ended = true;
        std::visit(
            [&](auto &dialect) {
                if constexpr (requires { dialect.stopped_at(stages.stop_text()); }) {
                    dialect.stopped_at(stages.stop_text());
                }
                dialect.finish(reason, usage(), output);
            },
            writer);
    }

    chat::Usage usage() const {
        chat::Usage all = reader.usage();
        all.output += kiro::tokens::estimate(found);
        if (stages.stop() == chat::Stop::max_tokens) { // the rest was cut
            all.output = std::min(all.output, context.max_tokens);
            all.reasoning = std::min(all.reasoning, all.output);
        }
        return all;
    }

    void write(std::span<const chat::Event> events) {
        for (const chat::Event &event : events) {
            started |= visible(event);
            stages.take(event, [this](const chat::Event &next) { show(next); });
        }
    }

    // What was held back, at the end of the upstream's answer.
    void flush() {
        write(reader.finish());
        if (!stages.stop()) {
            stages.finish([this](const chat::Event &event) { show(event); });
        }
    }

    void show(const chat::Event &event) {
        seen |= visible(event);
        std::visit([&](auto &dialect) { dialect.write(event, output); }, writer);
    }

    // Bytes that cannot go out yet, or that go out again at the end.
    std::size_t held() const noexcept {
        const std::size_t waiting = !stream || committed || seen ? 0 : output.size();
        return waiting + stages.size() +
               std::visit([](const auto &dialect) { return dialect.size(); }, writer);
    }

    kiro_gate gate() const noexcept {
        if (failed && !committed) {
            return KIRO_GATE_FAILED;
        }
        if (ended) {
            return KIRO_GATE_COMPLETE;
        }
        return stream && seen ? KIRO_GATE_COMMIT : KIRO_GATE_WAIT;
    }

    bool next(string_view &piece) {
        if (ready.capacity() > kKeptOutput) {
            ready = std::string();
        }
        ready.clear();
        const kiro_gate now = gate();
        if (output.empty() || (!committed && now != KIRO_GATE_COMMIT && now != KIRO_GATE_COMPLETE)) {
            return false;
        }
        committed = true; // what was given out cannot be taken back
        ready.swap(output);
        piece = ready;
        return true;
    }

    void ping() {
        if (committed && !ended) {
            std::visit([&](auto &dialect) { dialect.ping(output); }, writer);
        }
    }

private:
    static kiro_failure made(kiro_failure_kind kind, kiro_retry retry, const char *message) noexcept {
        kiro_failure result;
        kiro_failure_set(&result, kind, "%s", message);
        result.retry = retry;
        return result;
    }
};

namespace {

// Runs one call of the ABI; allocation is all that can go wrong inside.
template <class Body> kiro_status guarded(Body &&body) noexcept {
    try {
        body();
        return KIRO_OK;
    } catch (...) {
        return KIRO_NOMEM;
    }
}

} // namespace

extern "C" {

kiro_reply *kiro_reply_create(const kiro_reply_options *opts) {
    try {
        const std::string model = shown_model(view(opts->model));
        const chat::ReplyHead head{.id = view(opts->id), .model = model, .created = opts->created};
        const chat::ReplyContext context =
            opts->request != nullptr ? chat::reply_context(*opts->request) : chat::ReplyContext{};
        return new kiro_reply(*opts, head, context);
    } catch (...) {
        return nullptr;
    }
}

void kiro_reply_free(kiro_reply *rep) {
    delete rep;
}

kiro_status kiro_reply_feed(kiro_reply *rep, const char *data, size_t n) {
    return guarded([&] { rep->feed({data, n}); });
}

kiro_status kiro_reply_eof(kiro_reply *rep) {
    return guarded([&] { rep->eof(); });
}

kiro_status kiro_reply_abort(kiro_reply *rep, const kiro_failure *f) {
    return guarded([&] { rep->abort(*f); });
}

kiro_status kiro_reply_settle(kiro_reply *rep, const kiro_failure *f) {
    bool settled = false;
    const kiro_status status = guarded([&] { settled = rep->settle(*f); });
    return status != KIRO_OK || settled ? status : KIRO_ERROR;
}

kiro_gate kiro_reply_gate(const kiro_reply *rep) {
    return rep->gate();
}

void kiro_reply_commit(kiro_reply *rep) {
    if (rep->gate() != KIRO_GATE_FAILED) {
        rep->committed = true;
    }
}

const kiro_failure *kiro_reply_failure(const kiro_reply *rep) {
    return &rep->failure;
}

kiro_status kiro_reply_next(kiro_reply *rep, kiro_str *piece) {
    string_view text;
    if (!rep->next(text)) {
        *piece = {nullptr, 0};
        return KIRO_AGAIN;
    }
    *piece = {text.data(), text.size()};
    return KIRO_OK;
}

kiro_status kiro_reply_ping(kiro_reply *rep) {
    return guarded([&] { rep->ping(); });
}

int kiro_reply_done(const kiro_reply *rep) {
    return rep->ended;
}

void kiro_reply_get_info(const kiro_reply *rep, kiro_reply_info *info) {
    const chat::Usage usage = rep->usage();
    string_view word;
    if (rep->stop) {
        word = std::visit([&](const auto &dialect) { return dialect.stop_word(*rep->stop); }, rep->writer);
    }
    *info = {.input_tokens = usage.input,
             .output_tokens = usage.output,
             .credits = rep->reader.credits(),
             .context_percent = rep->reader.context_percent(),
             .stop_reason = {word.data(), word.size()},
             .started = rep->started,
             .finished = rep->ended && (!rep->failed || rep->committed),
             .failed = rep->failed};
}

} // extern "C"
