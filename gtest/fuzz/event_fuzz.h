/*
 * One kind of upstream event through the reader: payloads of known members with values of any form, or of any
 * bytes. What comes out must be whole strings without halves of characters, and what the generator meant.
 */
#pragma once

#include "core/chat/reply_context.h"
#include "core/json/validate.h"
#include "core/json/writer.h"
#include "core/kiro/reply.h"

#include "support/fuzz_must.h"
#include "support/random_json.h"
#include "support/random_reply.h"

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace test {

// A string that may stand between quotes in a client's answer.
inline void must_be_raw(std::string_view raw) {
    std::string quoted = "\"";
    quoted.append(raw).append("\"");
    const kiro::json::Validation validation = kiro::json::validate(quoted);
    must(validation && !validation.lone_surrogates);
}

class EventRun {
public:
    explicit EventRun(const kiro::chat::ReplyContext &context) : reader(context, 4096, false) {}

    void frame(std::string_view type, std::string_view payload) {
        const std::string headers =
            string_header(":message-type", "event") + string_header(":event-type", type);
        frame_of(headers, payload);
    }

    void frame_of(const std::string &headers, std::string_view payload) {
        const std::vector<char> exact(payload.begin(), payload.end());
        see(reader.take({.headers = headers, .payload = {exact.data(), exact.size()}}));
        check();
    }

    void finish() {
        if (reader.failure() == nullptr) {
            see(reader.finish());
        }
        check();
    }

    kiro::kiro::ReplyReader reader;
    std::string text, reasoning, signatures, opaque; // text: not escaped
    std::vector<SeenTool> calls;

private:
    void see(std::span<const kiro::chat::Event> events) {
        for (const kiro::chat::Event &event : events) {
            std::visit([this](const auto &kind) { add(kind); }, event);
        }
    }

    void add(const kiro::chat::TextDelta &event) { add_text(event.text, text); }
    void add(const kiro::chat::ReasoningDelta &event) { add_text(event.text, reasoning); }
    void add(const kiro::chat::ReasoningSignature &event) { add_raw(event.signature, signatures); }
    void add(const kiro::chat::OpaqueReasoning &event) { add_raw(event.data, opaque); }

    void add(const kiro::chat::FinishedCall &event) {
        must_be_raw(event.id);
        must_be_raw(event.name);
        must_be_raw(event.arguments);
        must(!event.id.empty() && !event.name.empty());
        must(kiro::json::unescaped(event.arguments) == event.input);
        const kiro::json::Validation input = kiro::json::validate(event.input);
        must(event.input.starts_with('{') && input && !input.lone_surrogates);
        if (event.freeform) {
            must_be_raw(event.text);
        }
        calls.push_back(
            {kiro::json::unescaped(event.id), kiro::json::unescaped(event.name), std::string(event.input)});
    }

    // Only where they are asked for.
    void add(const kiro::chat::CallStart &) { must(false); }
    void add(const kiro::chat::CallInput &) { must(false); }
    void add(const kiro::chat::CallEnd &) { must(false); }

    static void add_text(std::string_view raw, std::string &to) {
        must(!raw.empty());
        must_be_raw(raw);
        to += kiro::json::unescaped(raw);
    }

    static void add_raw(std::string_view raw, std::string &to) {
        must(!raw.empty());
        must_be_raw(raw);
        to += raw;
    }

    // Whatever came, these are numbers that a client can be told.
    void check() {
        const kiro::chat::Usage usage = reader.usage();
        must(usage.input < 1ull << 62 && usage.output < 1ull << 62);
        must(usage.reasoning <= usage.output && usage.cache_read + usage.cache_write <= usage.input);
        must(std::isfinite(reader.credits()) && reader.credits() >= 0);
        must(std::isfinite(reader.context_percent()));
        if (const kiro_failure *failure = reader.failure()) {
            must(failure->kind != KIRO_FAIL_NONE && failure->message[0] != '\0');
            must(std::memchr(failure->message, '\0', sizeof(failure->message)) != nullptr);
            must(std::strstr(failure->message, "secret") == nullptr);
        }
    }
};

// An object of the given members, some of them with odd values or twice.
inline std::string odd_object(Choices &choices, std::initializer_list<std::string_view> keys) {
    std::string out = "{";
    for (unsigned n = choices.below(8); n > 0; --n) {
        const std::string_view key = *(keys.begin() + choices.below(static_cast<unsigned>(keys.size())));
        out.append(out.size() > 1 ? "," : "").append("\"").append(key).append("\":");
        if (choices.one_in(3)) {
            out.append("\"").append(random_text(choices, 5, true).raw).append("\"");
        } else if (choices.one_in(12)) {
            out.append(choices.line()); // anything
        } else {
            out.append(choices.pick(kOddValues));
        }
    }
    return out + "}";
}

// The bytes as payloads, a line each: what the fuzzer makes of it.
inline void fuzz_lines(std::string_view type, Choices &choices, const kiro::chat::ReplyContext &context) {
    EventRun run(context);
    while (!choices.empty()) {
        run.frame(type, choices.line());
    }
    run.finish();
}

inline kiro::chat::ReplyContext event_context(Choices &choices) {
    static const kiro::chat::ToolAlias aliases[] = {
        {.alias = "f", .name = "mcp.f", .name_space = "ns"},
        {.alias = "patch", .name = "patch", .name_space = "", .freeform = true}};
    kiro::chat::ReplyContext context;
    const unsigned bits = choices.byte();
    context.reasoning = (bits & 1) == 0;
    context.seal_key = bits & 2 ? "0123456789abcdef" : "";
    context.context_window = bits & 4 ? 1000000 : 0;
    if (bits & 8) {
        context.aliases = aliases;
    }
    return context;
}

// even: lines; odd: objects of these members.
inline void fuzz_events(const std::uint8_t *data, std::size_t size, std::string_view type,
                        std::initializer_list<std::string_view> keys) {
    Choices choices({reinterpret_cast<const char *>(data), size});
    const unsigned mode = choices.byte();
    const kiro::chat::ReplyContext context = event_context(choices);
    if ((mode & 1) == 0) {
        fuzz_lines(type, choices, context);
        return;
    }
    EventRun run(context);
    while (!choices.empty()) {
        run.frame(type, odd_object(choices, keys));
    }
    run.finish();
}

} // namespace test
