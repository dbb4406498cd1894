#include "answer.h"

#include "core/eventstream/crc32.h"
#include "kiro/reply.h"

#include <array>
#include <stdexcept>
#include <utility>

namespace load {
namespace {

using std::string_view;

void put32(std::string &out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        out += static_cast<char>(value >> shift);
    }
}

std::string headers_of(string_view event) {
    std::string out;
    for (const auto &[name, value] : std::array<std::pair<string_view, string_view>, 3>{
             {{":event-type", event}, {":content-type", "application/json"}, {":message-type", "event"}}}) {
        out += static_cast<char>(name.size());
        out += name;
        out += '\x07';
        out += '\0';
        out += static_cast<char>(value.size());
        out += value;
    }
    return out;
}

void put_frame(std::string &out, string_view headers, string_view payload) {
    const std::size_t begin = out.size();
    put32(out, static_cast<std::uint32_t>(headers.size() + payload.size() + 16));
    put32(out, static_cast<std::uint32_t>(headers.size()));
    put32(out, kiro::eventstream::crc32(0, out.data() + begin, 8));
    out += headers;
    out += payload;
    put32(out, kiro::eventstream::crc32(0, out.data() + begin, out.size() - begin));
}

class Frames : public Answer {
public:
    string_view type() const override { return "application/vnd.amazon.eventstream"; }

    void begin(std::string &out, const Plan &plan) const override {
        if (plan.tool) {
            put_frame(out, tool_, R"({"name":"write","toolUseId":"tooluse_load"})");
            put_frame(out, tool_, R"({"name":"write","toolUseId":"tooluse_load","input":"{\"text\":\""})");
        }
    }

    void token(std::string &out, const Plan &plan, std::uint64_t number) const override {
        std::string payload =
            plan.tool ? R"({"name":"write","toolUseId":"tooluse_load","input":")" : R"({"content":")";
        append_token(payload, now(), number, plan.pad);
        payload += "\"}";
        put_frame(out, plan.tool ? tool_ : text_, payload);
    }

    void end(std::string &out, const Plan &plan) const override {
        if (plan.tool) {
            put_frame(out, tool_, R"({"name":"write","toolUseId":"tooluse_load","input":"\"}"})");
            put_frame(out, tool_, R"({"name":"write","toolUseId":"tooluse_load","stop":true})");
        }
        put_frame(out, headers_of("metadataEvent"),
                  plan.tool ? R"({"stopReason":"TOOL_USE"})" : R"({"stopReason":"END_TURN"})");
        put_frame(out, headers_of("contextUsageEvent"), R"({"contextUsagePercentage":1.25})");
        put_frame(out, headers_of("meteringEvent"),
                  R"({"unit":"credit","unitPlural":"credits","usage":0.5})");
    }

private:
    std::string text_ = headers_of("assistantResponseEvent");
    std::string tool_ = headers_of("toolUseEvent");
};

// The gateway's own bytes, made by the core once and cut where the token's text stands.
class Sse : public Answer {
public:
    explicit Sse(kiro_api api) {
        kiro_reply_options opts{};
        opts.api = api;
        opts.stream = 1;
        opts.model = {"claude-sonnet-4.5", 17};
        opts.id = {"Load0000000000000000", 20};
        opts.created = 1'700'000'000;
        const std::unique_ptr<kiro_reply, void (*)(kiro_reply *)> reply(kiro_reply_create(&opts),
                                                                        kiro_reply_free);
        kiro_reply_commit(reply.get());
        const string_view mark = "@MARK;";
        const auto drain = [&] {
            std::string out;
            for (kiro_str piece; kiro_reply_next(reply.get(), &piece) == KIRO_OK;) {
                out.append(piece.data, piece.len);
            }
            return out;
        };
        const auto feed = [&](string_view headers, string_view payload) {
            std::string frame;
            put_frame(frame, headers, payload);
            kiro_reply_feed(reply.get(), frame.data(), frame.size());
            return drain();
        };
        const std::string text = headers_of("assistantResponseEvent");
        head_ = feed(text, R"({"content":"@MARK;"})");
        const std::string event = feed(text, R"({"content":"@MARK;"})");
        const std::size_t at = event.find(mark);
        if (at == event.npos || head_.size() < event.size()) {
            throw std::logic_error("the core's text event is not as expected");
        }
        head_.resize(head_.size() - event.size());
        before_ = event.substr(0, at);
        after_ = event.substr(at + mark.size());
        tail_ = feed(headers_of("metadataEvent"), R"({"stopReason":"END_TURN"})");
        kiro_reply_eof(reply.get());
        tail_ += drain();
    }

    string_view type() const override { return "text/event-stream; charset=utf-8"; }
    void begin(std::string &out, const Plan &) const override { out += head_; }
    void end(std::string &out, const Plan &) const override { out += tail_; }

    void token(std::string &out, const Plan &plan, std::uint64_t number) const override {
        out += before_;
        append_token(out, now(), number, plan.pad);
        out += after_;
    }

private:
    std::string head_, before_, after_, tail_;
};

} // namespace

std::unique_ptr<Answer> make_answer(string_view form) {
    if (form == "openai") {
        return std::make_unique<Sse>(KIRO_API_OPENAI_CHAT);
    }
    if (form == "anthropic") {
        return std::make_unique<Sse>(KIRO_API_ANTHROPIC);
    }
    if (form == "responses") {
        return std::make_unique<Sse>(KIRO_API_OPENAI_RESPONSES);
    }
    return std::make_unique<Frames>();
}

} // namespace load
