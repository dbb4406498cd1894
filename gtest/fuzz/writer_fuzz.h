/*
 * Any neutral events through the writers of one dialect, streamed and collected: what is written is legal by
 * the strict readers, says what the events said, and does not depend on when it is fetched.
 */
#pragma once

#include "core/chat/event.h"
#include "core/chat/search.h"
#include "core/json/character.h"
#include "core/json/writer.h"
#include "core/turn/writer.h"

#include "support/fuzz_must.h"
#include "support/random_json.h"
#include "support/reply_modes.h"

#include <deque>
#include <string>
#include <variant>
#include <vector>

namespace test {

// Strings live as long as this.
class RandomEvents {
public:
    RandomEvents(Choices &choices, kiro_api api) : choices_(choices), messages_(api == KIRO_API_ANTHROPIC) {
        context.include_usage = choices_.one_in(2);
        context.legacy_functions = choices_.one_in(8);
        context.input_tokens.estimate = choices_.below(1000);
        while (!choices_.empty() && items.size() < 200) {
            step();
        }
        static constexpr kiro::chat::Stop kStops[] = {
            kiro::chat::Stop::end_turn, kiro::chat::Stop::stop_sequence,  kiro::chat::Stop::max_tokens,
            kiro::chat::Stop::refusal,  kiro::chat::Stop::context_window, kiro::chat::Stop::pause,
            kiro::chat::Stop::end_turn};
        stop = calls > 0 && choices_.one_in(2) ? kiro::chat::Stop::tool_use : choices_.pick(kStops);
        usage.input = choices_.below(100000);
        usage.cache_read = usage.input / (1 + choices_.below(9)) / 2;
        usage.cache_write = choices_.one_in(3) ? usage.input / 4 : 0;
        usage.output = choices_.below(100000);
        usage.reasoning = usage.output / (1 + choices_.below(9));
        category = choices_.one_in(2) ? R"(cyber \"\u00e9)" : "";
        kiro_failure_set(&failure, static_cast<kiro_failure_kind>(1 + choices_.below(KIRO_FAIL_MAX - 1)),
                         "%s", utf8_of(random_text(choices_, 20, true).units).c_str());
        if (failure.message[0] == '\0') {
            kiro_failure_set(&failure, failure.kind, "x");
        }
        failure.retry_after_ms = choices_.one_in(2) ? choices_.below(5000) : 0;
    }

    // What comes in pieces when it is streamed; else it comes whole.
    struct Call {
        kiro::chat::FinishedCall whole;
        std::vector<kiro::chat::Event> pieces;
    };
    using Item = std::variant<kiro::chat::Event, Call, kiro::chat::Search>;
    std::vector<Item> items;
    kiro::chat::ReplyContext context;
    kiro::chat::Stop stop;
    kiro::chat::Usage usage;
    kiro_failure failure;
    std::string text, reasoning, stop_text = R"(\n\nEND \"\u00e9)";
    std::string_view category;
    std::vector<SeenTool> tools;
    std::size_t calls = 0, searches = 0;

private:
    std::string_view keep(std::string value) { return kept_.emplace_back(std::move(value)); }

    // Not empty, whole characters.
    Text some(unsigned longest) {
        Text some = random_text(choices_, longest, false);
        return some.raw.empty() ? Text{"x", u"x"} : some;
    }

    void step() {
        using namespace kiro::chat;
        switch (choices_.below(16)) {
        case 8:
        case 9:
        case 10: {
            const Text piece = some(6);
            reasoning += utf8_of(piece.units);
            items.emplace_back(Event(ReasoningDelta{keep(piece.raw)}));
            break;
        }
        case 11:
            items.emplace_back(Event(ReasoningSignature{keep(some(3).raw)}));
            break;
        case 12:
            items.emplace_back(Event(OpaqueReasoning{keep(some(3).raw)}));
            break;
        case 13:
        case 14:
            call();
            break;
        case 15:
            if (messages_) {
                search();
            }
            break;
        default: {
            const Text said = some(6);
            text += utf8_of(said.units);
            items.emplace_back(Event(TextDelta{keep(said.raw)}));
        }
        }
    }

    void call() {
        static constexpr std::string_view kInputs[] = {
            "{}", R"({"a":1})", R"( {"a" : [1, {"b":null}],"c":"\u00e9\ud83d\ude42\n"} )",
            "{\"x\":\"\u65e5\\\\\\\"\"}"};
        kiro::chat::FinishedCall call;
        call.id = keep("call" + std::to_string(calls++) + some(2).raw);
        call.name = keep(some(3).raw);
        call.input = choices_.pick(kInputs);
        call.arguments = keep(kiro::json::escaped(call.input));
        call.freeform = !context.legacy_functions && !messages_ && choices_.one_in(4);
        if (choices_.one_in(4)) {
            call.name_space = keep(some(2).raw);
        }
        if (call.freeform) {
            call.text = keep(random_text(choices_, 6, false).raw);
        }
        if (choices_.one_in(2)) {
            items.emplace_back(Call{call, in_pieces(call)});
        } else {
            items.emplace_back(kiro::chat::Event(call));
        }
        if (context.legacy_functions && calls > 1) {
            return; // Chat has no place for it; others do not know these
        }
        tools.push_back(
            {kiro::json::unescaped(call.id), kiro::json::unescaped(call.name),
             call.freeform ? kiro::json::unescaped(call.text) : minified_object(std::string(call.input))});
    }

    // The call as it comes while the model still writes it.
    std::vector<kiro::chat::Event> in_pieces(const kiro::chat::FinishedCall &call) {
        using namespace kiro::chat;
        std::vector<Event> pieces{start_of(call)};
        for (std::string_view rest = input_of(call); !rest.empty();) {
            std::size_t size = 0;
            for (unsigned n = choices_.below(9) + 1; n > 0 && size < rest.size(); --n) {
                size += kiro::json::first_character(rest.substr(size)).raw;
            }
            pieces.emplace_back(CallInput{rest.substr(0, size)});
            rest.remove_prefix(size);
        }
        pieces.emplace_back(CallEnd{true});
        return pieces;
    }

    void search() {
        std::vector<kiro::chat::SearchHit> &hits = hits_.emplace_back();
        for (unsigned n = choices_.below(4); n > 0; --n) {
            hits.push_back({keep(some(3).raw), keep(some(3).raw), keep(random_text(choices_, 5, false).raw),
                            choices_.one_in(2) ? std::optional<int64_t>(choices_.below(65000) * 86400000ll)
                                               : std::nullopt});
        }
        kiro::chat::Search search;
        search.id = keep("0123abcd" + std::to_string(searches++));
        search.query = keep(some(4).raw);
        search.failed = choices_.one_in(3);
        if (!search.failed) {
            search.hits = hits;
        }
        items.emplace_back(search);
    }

    Choices &choices_;
    bool messages_; // no freeform tools, but searches
    std::deque<std::string> kept_;
    std::deque<std::vector<kiro::chat::SearchHit>> hits_;
};

enum class Ending { finish, fail, fail_early };

inline std::string write_all(const Mode &mode, const RandomEvents &events, Ending ending, bool pings) {
    const kiro::chat::ReplyHead head{.id = "0123456789", .model = R"(m\"x)", .created = 1790000000};
    kiro::turn::Writer writer = kiro::turn::make_writer(mode.api, mode.stream, head, events.context);
    std::string output;
    std::visit(
        [&](auto &dialect) {
            const auto fetch = [&](std::string &piece) {
                output += piece;
                piece = std::string(); // not where it was
            };
            std::string piece;
            if (ending == Ending::fail_early) {
                dialect.fail(events.failure, piece);
                fetch(piece);
                return;
            }
            for (const RandomEvents::Item &item : events.items) {
                if (const auto *event = std::get_if<kiro::chat::Event>(&item)) {
                    dialect.write(*event, piece);
                } else if (const auto *call = std::get_if<RandomEvents::Call>(&item)) {
                    if (!mode.stream) {
                        dialect.write(call->whole, piece);
                    }
                    for (std::size_t i = 0; mode.stream && i < call->pieces.size(); ++i) {
                        dialect.write(call->pieces[i], piece);
                        if (pings) {
                            dialect.ping(piece);
                        }
                    }
                } else if constexpr (requires {
                                         dialect.search(std::get<kiro::chat::Search>(item), piece);
                                     }) {
                    dialect.search(std::get<kiro::chat::Search>(item), piece);
                }
                if (pings) {
                    dialect.ping(piece);
                    fetch(piece);
                }
            }
            if (ending == Ending::fail) {
                dialect.fail(events.failure, piece);
            } else {
                dialect.finish({.stop = events.stop,
                                .stop_text = events.stop_text,
                                .category = events.category,
                                .time = 1790000009},
                               events.usage, piece);
            }
            fetch(piece);
        },
        writer);
    return output;
}

inline void same_content(const RandomEvents &events, const Seen &seen) {
    need(seen.text == events.text, "text", seen.text);
    need(seen.reasoning == events.reasoning, "reasoning", seen.reasoning);
    const bool legacy = events.context.legacy_functions;
    need(legacy || seen.tools.size() == events.tools.size(), "calls");
    for (std::size_t i = 0; i < std::min(seen.tools.size(), events.tools.size()); ++i) {
        const SeenTool &got = seen.tools[i], &sent = events.tools[i];
        need(got.name == sent.name && (got.id.empty() ? legacy : got.id == sent.id), "call", got.id);
        need(got.input == sent.input, "input", got.input);
    }
}

inline void fuzz_writer(kiro_api api, const std::uint8_t *data, std::size_t size) {
    or_abort([&] {
        Choices choices({reinterpret_cast<const char *>(data), size});
        const unsigned options = choices.byte();
        const RandomEvents events(choices, api);
        const bool usage = events.context.include_usage;
        const Mode streamed{api, true, "stream"}, collected{api, false, "object"};

        const std::string stream = write_all(streamed, events, Ending::finish, false);
        const Seen seen = read(streamed, stream, usage);
        same_content(events, seen);
        const Seen object = read(collected, write_all(collected, events, Ending::finish, options & 1));
        same_content(events, object);
        need(object.stop == seen.stop && object.stop_text == seen.stop_text, "stop");
        need(object.blocks == seen.blocks && object.signature == seen.signature &&
                 object.opaque == seen.opaque,
             "blocks");
        need(!seen.usage || (object.input == seen.input && object.output == seen.output), "usage");
        need(object.input == events.usage.input && object.output == events.usage.output, "usage");
        need(api != KIRO_API_ANTHROPIC || seen.searches.size() == events.searches, "searches");

        const Seen pinged = read(streamed, write_all(streamed, events, Ending::finish, true), usage);
        need(pinged.text == seen.text && pinged.tools == seen.tools, "pings change the answer");
        for (const Ending ending : {Ending::fail, Ending::fail_early}) {
            const Seen failed = read(streamed, write_all(streamed, events, ending, options & 2), usage);
            need(failed.error && !failed.error_type.empty(), "no error");
            write_all(collected, events, ending, false);
        }
    });
}

} // namespace test
