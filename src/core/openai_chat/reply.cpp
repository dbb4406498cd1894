#include "core/openai_chat/reply.h"

#include "core/chat/slices.h"
#include "core/json/writer.h"
#include "core/openai_chat/error.h"

#include <array>
#include <variant>

namespace kiro::openai_chat {
namespace {

using std::string_view;

constexpr string_view kEndOfDelta = R"(,"logprobs":null,"finish_reason":null}]})"
                                    "\n\n";

// In the order of chat::Stop.
constexpr std::array<string_view, chat::kStops> kStopWords{"stop",   "tool_calls",     "stop", "length",
                                                           "length", "content_filter", "stop"};

// Everything of a chunk or an answer up to what is its own.
std::string envelope(string_view start, const chat::ReplyHead &head, string_view object) {
    std::string text(start);
    text.append(R"({"id":"chatcmpl-)").append(head.id);
    text.append(R"(","object":")").append(object).append(R"(","created":)");
    json::append_int(text, head.created);
    text.append(R"(,"model":")").append(head.model);
    text.append(R"(","system_fingerprint":"fp_kiro","choices":[)");
    return text;
}

void append_usage(std::string &out, const chat::Usage &usage) {
    out += R"("usage":{"prompt_tokens":)";
    json::append_uint(out, usage.input);
    out += R"(,"completion_tokens":)";
    json::append_uint(out, usage.output);
    out += R"(,"total_tokens":)";
    json::append_uint(out, usage.input + usage.output);
    out += R"(,"prompt_tokens_details":{"cached_tokens":)";
    json::append_uint(out, usage.cache_read);
    out += R"(,"cache_write_tokens":)";
    json::append_uint(out, usage.cache_write);
    out += R"(,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":)";
    json::append_uint(out, usage.reasoning);
    out += R"(,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}})";
}

// How a call is told: of a function by its arguments, of a freeform tool by its text.
struct CallWords {
    string_view type, input;
};

CallWords words_of(bool freeform) noexcept {
    return freeform ? CallWords{"custom", "input"} : CallWords{"function", "arguments"};
}

} // namespace

string_view stop_word(chat::Stop stop, bool legacy_functions) noexcept {
    if (legacy_functions && stop == chat::Stop::tool_use) {
        return "function_call";
    }
    return kStopWords[static_cast<std::size_t>(stop)];
}

StreamWriter::StreamWriter(const chat::ReplyHead &head, const chat::ReplyContext &context)
    : prefix_(envelope("data: ", head, "chat.completion.chunk")), delta_(prefix_ + R"({"index":0,"delta":)"),
      text_(delta_ + R"({"content":")"), reasoning_(delta_ + R"({"reasoning_content":")"),
      include_usage_(context.include_usage), legacy_functions_(context.legacy_functions),
      functions_only_(context.functions_only) {}

string_view StreamWriter::stop_word(chat::Stop stop) const noexcept {
    return openai_chat::stop_word(stop, legacy_functions_);
}

// The role goes out once, in a chunk of its own.
void StreamWriter::begin(bool call, std::string &out) {
    if (!begun_) {
        begun_ = true;
        out.append(delta_).append(R"({"role":"assistant","content":)").append(call ? "null" : R"("")");
        out.append(R"(,"refusal":null})").append(kEndOfDelta);
    }
}

void StreamWriter::add(const chat::TextDelta &event, std::string &out) {
    begin(false, out);
    out.append(text_).append(event.text).append("\"}").append(kEndOfDelta);
}

void StreamWriter::add(const chat::ReasoningDelta &event, std::string &out) {
    begin(false, out);
    out.append(reasoning_).append(event.text).append("\"}").append(kEndOfDelta);
}

// The call's head with an empty input; what comes after has its index and the input only.
void StreamWriter::add(const chat::CallStart &event, std::string &out) {
    const std::uint64_t index = calls_++;
    begin(true, out);
    if (legacy_functions_) {
        input_.clear();
        if (index == 0) { // there is no place for a second one
            out.append(delta_).append(R"({"function_call":{"name":")").append(event.name);
            out.append(R"(","arguments":""}})").append(kEndOfDelta);
            input_.append(delta_).append(R"({"function_call":{"arguments":")");
        }
        return;
    }
    const CallWords words = words_of(event.freeform && !functions_only_);
    input_.assign(delta_).append(R"({"tool_calls":[{"index":)");
    json::append_uint(input_, index);
    out.append(input_).append(R"(,"id":")").append(event.id).append(R"(","type":")").append(words.type);
    out.append(R"(",")").append(words.type).append(R"(":{"name":")").append(event.name);
    out.append(R"(",")").append(words.input).append(R"(":""}}]})").append(kEndOfDelta);
    input_.append(R"(,")").append(words.type).append(R"(":{")").append(words.input).append(R"(":")");
}

void StreamWriter::input(string_view text, std::string &out) {
    if (input_.empty()) {
        return;
    }
    chat::in_slices(text, [&](string_view piece) {
        out.append(input_).append(piece).append(legacy_functions_ ? "\"}}" : "\"}}]}").append(kEndOfDelta);
    });
}

void StreamWriter::add(const chat::FinishedCall &event, std::string &out) {
    add(chat::start_of(event), out);
    input(chat::input_of(event), out);
}

void StreamWriter::write(const chat::Event &event, std::string &out) {
    std::visit([&](const auto &kind) { add(kind, out); }, event);
}

void StreamWriter::finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out) {
    begin(false, out);
    out.append(delta_)
        .append(R"({},"logprobs":null,"finish_reason":")")
        .append(stop_word(end.stop))
        .append("\"}]}\n\n");
    if (include_usage_) {
        out.append(prefix_).append("],");
        append_usage(out, usage);
        out.append("}\n\n");
    }
    out.append("data: [DONE]\n\n");
}

void StreamWriter::fail(const kiro_failure &failure, std::string &out) {
    std::array<char, 2048> body;
    out.append("data: ").append(body.data(), error_body(failure, {}, body)).append("\n\n");
}

void StreamWriter::ping(std::string &out) {
    out.append(": keep-alive\n\n");
}

Collector::Collector(const chat::ReplyHead &head, const chat::ReplyContext &context)
    : prefix_(envelope("", head, "chat.completion")), legacy_functions_(context.legacy_functions),
      functions_only_(context.functions_only) {}

string_view Collector::stop_word(chat::Stop stop) const noexcept {
    return openai_chat::stop_word(stop, legacy_functions_);
}

void Collector::add(const chat::FinishedCall &event) {
    if (legacy_functions_) {
        if (calls_.empty()) {
            calls_.append(R"({"name":")").append(event.name);
            calls_.append(R"(","arguments":")").append(event.arguments).append("\"}");
        }
        return;
    }
    const CallWords words = words_of(event.freeform && !functions_only_);
    calls_.append(calls_.empty() ? "" : ",").append(R"({"id":")").append(event.id);
    calls_.append(R"(","type":")").append(words.type).append(R"(",")").append(words.type);
    calls_.append(R"(":{"name":")").append(event.name).append(R"(",")").append(words.input);
    calls_.append(R"(":")").append(chat::input_of(event)).append("\"}}");
}

void Collector::write(const chat::Event &event, std::string &) {
    std::visit([&](const auto &kind) { add(kind); }, event);
}

void Collector::finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out) {
    out.reserve(out.size() + prefix_.size() + size() + 1024);
    out.append(prefix_).append(R"({"index":0,"message":{"role":"assistant","content":)");
    if (text_.empty() && !calls_.empty()) {
        out.append("null");
    } else {
        json::append_raw_string(out, text_);
    }
    out.append(R"(,"refusal":null,"annotations":[])");
    if (!reasoning_.empty()) {
        out.append(R"(,"reasoning_content":)");
        json::append_raw_string(out, reasoning_);
    }
    if (!calls_.empty()) {
        if (legacy_functions_) {
            out.append(R"(,"function_call":)").append(calls_);
        } else {
            out.append(R"(,"tool_calls":[)").append(calls_).append("]");
        }
    }
    out.append(R"(},"logprobs":null,"finish_reason":")").append(stop_word(end.stop)).append("\"}],");
    append_usage(out, usage);
    out.append(R"(,"service_tier":"default"})");
}

void Collector::fail(const kiro_failure &failure, std::string &out) {
    std::array<char, 2048> body;
    out.append(body.data(), error_body(failure, {}, body));
}

} // namespace kiro::openai_chat
