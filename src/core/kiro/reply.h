// The upstream's answer: frames in, neutral events out.
#pragma once

#include "core/chat/event.h"
#include "core/chat/reply_context.h"
#include "core/eventstream/decoder.h"
#include "core/json/surrogates.h"
#include "core/kiro/call_stream.h"
#include "core/kiro/held_events.h"
#include "core/kiro/lost_calls.h"
#include "core/kiro/seal.h"
#include "core/kiro/tool_calls.h"
#include "core/kiro/usage.h"
#include "core/tokens/estimate.h"
#include "kiro/kiro.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiro::kiro {

class ReplyReader {
public:
    // max_tool_bytes: what unfinished tool calls may hold. stream_calls: one call at a time is passed on
    // while it comes.
    ReplyReader(const chat::ReplyContext &context, std::size_t max_tool_bytes, bool stream_calls) noexcept
        : context_(context), tools_(max_tool_bytes), stream_(stream_calls) {}

    // What the frame means for a client, often nothing. Valid until the next call. After an exception or a
    // bad payload failure() is set and nothing more is taken.
    std::span<const chat::Event> take(const eventstream::Frame &frame);

    // What was kept back, once, at the end of the answer however it came.
    std::span<const chat::Event> finish();

    // An exception of the upstream, or a payload that is none; nullptr: all is well.
    const kiro_failure *failure() const noexcept { return failed_ ? &failure_ : nullptr; }

    // The upstream said that the answer is whole.
    bool complete() const noexcept { return metadata_ || metered_; }

    // ... and its last event was there: nothing is missing but the end of the body.
    bool ended() const noexcept { return metered_; }

    // A tool call came in part only.
    bool truncated() const noexcept { return tools_.any_open() || tools_.any_broken(); }

    // The calls that a client never gets. stopped: the answer was ended here, so what is open is no loss.
    LostCalls lost_calls(bool stopped) const;

    // For a turn that ends now.
    chat::Stop stop() const noexcept;
    chat::Usage usage() const noexcept;

    // What a refusal is about; raw, may be empty.
    std::string_view refusal() const noexcept { return refusal_; }

    // Bytes that wait for the end of a call that is passed on.
    std::size_t held() const noexcept { return stream_.begun() ? held_.bytes() : 0; }

    double credits() const noexcept { return usage_.credits(); }
    double context_percent() const noexcept { return usage_.percent(); } // < 0: not reported

private:
    enum class Type : std::uint8_t {
        text,
        reasoning,
        tool,
        metadata,
        context_usage,
        metering,
        invalid_state,
        ignored,
        exception,
        error,
        unknown, // no message type: not of this protocol
    };
    struct TypeName;

    Type classify(std::string_view headers);
    static bool content(Type type) noexcept;
    void begin();
    void emit(const chat::Event &event);
    const chat::ToolAlias *alias_of(std::string_view name) const noexcept;
    void stream_call(std::string_view id, std::string_view fragment);
    void begin_call();
    void end_call(bool whole);
    void flush_signature();
    void emit_reasoning(std::string_view text);
    std::string_view given(SealKind kind, std::string_view signature);
    void fail(kiro_failure_kind kind, kiro_retry retry, const char *message) noexcept;

    void take_text(std::string_view payload);
    void take_reasoning(std::string_view payload);
    void take_tool(std::string_view payload);
    void take_metadata(std::string_view payload);
    void take_number(std::string_view payload, std::string_view key, std::optional<double> &value);
    void take_exception(const eventstream::Frame &frame);
    bool good(bool valid) noexcept;

    chat::ReplyContext context_;
    ToolCalls tools_;

    std::string headers_; // of the frame classified last: most repeat
    Type type_ = Type::unknown;

    std::vector<chat::Event> events_;

    CallStream stream_;
    HeldEvents held_;   // what came while a call was passed on
    std::string value_; // an input that is no string

    json::SurrogateJoiner text_;
    json::SurrogateJoiner reasoning_;
    std::optional<SealedText> sealed_; // the text that the next signature is for
    std::string signature_;            // parts so far
    std::array<std::string, 3> given_; // signatures that this call's events point to
    std::size_t given_count_ = 0;

    tokens::Characters output_; // without reasoning
    tokens::Characters thought_;

    std::string stop_reason_;
    std::string refusal_;
    UsageReader usage_;
    bool metadata_ = false;
    bool metered_ = false;

    bool failed_ = false;
    kiro_failure failure_{};
};

} // namespace kiro::kiro
