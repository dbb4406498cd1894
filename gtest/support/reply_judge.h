/*
 * Plays an answer of the upstream into the core as nginx would, in every dialect and mode and cut in several
 * ways, and throws BadStream when a client would get something illegal, something else than was sent, or
 * something that depends on the cuts.
 */
#pragma once

#include "kiro/reply.h"
#include "kiro/request.h"

#include "support/choices.h"
#include "support/random_reply.h"
#include "support/reply_modes.h"
#include "support/sse.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace test {

// What is asked for, in each dialect's words.
struct Asking {
    const char *name;
    bool exact;                    // what is sent is what is shown
    bool form;                     // the answer is to be JSON: streams are not checked for it
    std::array<bool, 3> reasoning; // is shown, by dialect
    std::string_view chat, messages, responses;
    bool rescue = false; // calls in the text become real ones
};

inline constexpr std::string_view kChatTools =
    R"("stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"mcp.server/tool.with.dots",)"
    R"("parameters":{"type":"object","properties":{}}}},{"type":"function","function":{"name":"get"}}],)";
inline constexpr std::string_view kMessagesTools =
    R"("thinking":{"type":"adaptive"},"tools":[{"name":"mcp.server/tool.with.dots",)"
    R"("input_schema":{"type":"object"}},{"name":"get","input_schema":{"type":"object"}}],)";
inline constexpr std::string_view kResponsesTools =
    R"("include":["reasoning.encrypted_content"],"reasoning":{"effort":"high","summary":"auto"},)"
    R"("tools":[{"type":"function","name":"mcp.server/tool.with.dots","parameters":{"type":"object","properties":{}}},)"
    R"({"type":"function","name":"get","parameters":{"type":"object"}}],)";

inline constexpr Asking kAskings[] = {
    {"nothing", true, false, {true, true, true}, "", "", ""},
    {"tools", true, false, {true, true, true}, kChatTools, kMessagesTools, kResponsesTools},
    {"rescue", false, false, {true, true, true}, kChatTools, kMessagesTools, kResponsesTools, true},
    {"plain",
     true,
     false,
     {},
     R"("reasoning_effort":"none",)",
     R"("thinking":{"type":"disabled"},)",
     R"("reasoning":{"effort":"none"},)"},
    {"stop texts",
     false,
     false,
     {},
     R"("stop":["END","\u00e9"],)",
     R"("stop_sequences":["END","\u00e9"],)",
     R"("instructions":"x",)"},
    {"limit", false, false, {}, R"("max_tokens":5,)", R"("max_tokens":5,)", R"("max_output_tokens":16,)"},
    {"JSON",
     false,
     true,
     {},
     R"("response_format":{"type":"json_object"},)",
     R"("output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},)",
     R"("text":{"format":{"type":"json_object"}},)"},
    {"tags",
     false,
     false,
     {},
     R"("reasoning_effort":"high",)",
     R"("thinking":{"type":"enabled","budget_tokens":2048},)",
     R"("reasoning":{"effort":"high"},)"},
    {"freeform",
     false,
     false,
     {},
     R"("tools":[{"type":"custom","custom":{"name":"patch"}},{"type":"custom","custom":{"name":"f"}}],)",
     R"("thinking":{"type":"enabled","budget_tokens":2048,"display":"omitted"},)",
     R"("tools":[{"type":"custom","name":"patch"},{"type":"namespace","name":"ns","description":"d",)"
     R"("tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}],)"},
    {"legacy",
     false,
     false,
     {},
     R"("functions":[{"name":"f"},{"name":"get"}],)",
     R"("stop_sequences":[],)",
     R"("tool_choice":"none",)"},
};

class AskedRequest {
public:
    AskedRequest(kiro_api api, const Asking &asking) {
        const bool tags = std::string_view(asking.name) == "tags";
        std::string body = "{";
        body += api == KIRO_API_ANTHROPIC     ? asking.messages
                : api == KIRO_API_OPENAI_CHAT ? asking.chat
                                              : asking.responses;
        if (api == KIRO_API_ANTHROPIC && body.find("max_tokens") == body.npos) {
            body += R"("max_tokens":100000,)";
        }
        body += R"("model":"claude-opus-4.6",)";
        body += api == KIRO_API_OPENAI_RESPONSES ? R"("input":"hi","store":false})"
                                                 : R"("messages":[{"role":"user","content":"hi"}]})";
        kiro_request_options opts{};
        opts.api = api;
        opts.account = {"main/arn:x", 10};
        opts.thinking = tags ? KIRO_THINKING_TAGS : KIRO_THINKING_AUTO;
        opts.rescue_tool_calls = asking.rescue;
        request_.reset(kiro_request_create(body.size()));
        std::memcpy(kiro_request_buffer(request_.get()), body.data(), body.size());
        kiro_failure failure{};
        kiro_str upstream{};
        need(kiro_request_parse(request_.get(), &opts, &failure) == KIRO_OK, asking.name, failure.message);
        need(kiro_request_write(request_.get(), KIRO_WIRE_V3, {nullptr, 0}, &upstream, &failure) == KIRO_OK,
             asking.name, failure.message);
        read_names({upstream.data, upstream.len});
    }

    const kiro_request *get() const { return request_.get(); }
    const std::vector<std::pair<std::string, std::string>> &names() const { return names_; }

private:
    // What the upstream was told that the tools are called.
    void read_names(const std::string &body) {
        simdjson::dom::parser parser;
        for (size_t at = 0; (at = body.find("\"toolSpecification\":", at)) != body.npos;) {
            at += 20;
            const size_t from = body.find("\"name\":\"", at) + 8;
            const std::string alias = body.substr(from, body.find('"', from) - from);
            names_.emplace_back(alias, alias == "get" || alias == "f" ? alias : "mcp.server/tool.with.dots");
        }
    }

    std::unique_ptr<kiro_request, decltype(&kiro_request_free)> request_{nullptr, kiro_request_free};
    std::vector<std::pair<std::string, std::string>> names_;
};

inline const AskedRequest &asked_request(kiro_api api, std::size_t index) {
    static const auto all = [] {
        std::vector<std::vector<AskedRequest>> requests(3);
        for (const kiro_api each : {KIRO_API_OPENAI_CHAT, KIRO_API_ANTHROPIC, KIRO_API_OPENAI_RESPONSES}) {
            for (const Asking &asking : kAskings) {
                requests[each].emplace_back(each, asking);
            }
        }
        return requests;
    }();
    return all[api][index];
}

// How an answer comes.
struct Delivery {
    std::vector<std::size_t> pieces; // the last one is repeated
    bool pings = false;
    bool broken = false;      // the connection breaks at the end
    bool incremental = false; // calls are passed on while they come
    bool filtered = false;    // as kiro_filter does it: the headers are out from the start
};

struct Played {
    kiro_gate gate = KIRO_GATE_WAIT;
    kiro_failure failure{};
    kiro_reply_info info{};
    std::string stop, output;
    std::string settled; // what there is when the answer failed and no attempt is left
};

// Bytes of a collected answer are few, so a limit is reached.
inline Played play(const Mode &mode, const kiro_request *request, std::string_view bytes,
                   const Delivery &delivery, std::size_t max_collect = 0) {
    kiro_reply_options opts{};
    opts.api = mode.api;
    opts.stream = mode.stream;
    opts.request = request;
    opts.model = {"m\\u00e9", 7};
    opts.id = {"0123456789abcdef", 16};
    opts.created = 1790000000;
    opts.max_collect = max_collect;
    opts.tool_stream = delivery.incremental ? KIRO_TOOLS_INCREMENTAL : KIRO_TOOLS_COMPLETE;
    const std::unique_ptr<kiro_reply, decltype(&kiro_reply_free)> owner(kiro_reply_create(&opts),
                                                                        kiro_reply_free);
    kiro_reply *const reply = owner.get();
    Played played;
    bool committed = false, done = false;
    const auto drain = [&] {
        const kiro_gate gate = kiro_reply_gate(reply);
        need(!committed || (gate != KIRO_GATE_FAILED && gate != KIRO_GATE_WAIT), "the gate closes again");
        need(!done || kiro_reply_done(reply), "an end is taken back");
        done = kiro_reply_done(reply);
        kiro_str out;
        if (gate == KIRO_GATE_WAIT || gate == KIRO_GATE_FAILED) {
            need(kiro_reply_next(reply, &out) == KIRO_AGAIN, "output in front of the gate");
            return;
        }
        if (!committed) {
            kiro_reply_commit(reply);
            committed = true;
        }
        while (kiro_reply_next(reply, &out) == KIRO_OK) {
            need(out.len > 0, "an empty piece");
            played.output.append(out.data, out.len);
        }
    };
    if (delivery.filtered) {
        kiro_reply_commit(reply);
    }
    std::size_t step = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t size =
            std::max<std::size_t>(delivery.pieces[std::min(step++, delivery.pieces.size() - 1)], 1);
        const std::string_view part = bytes.substr(at, size);
        const std::vector<char> exact(part.begin(), part.end()); // a view kept too long is noticed
        at += part.size();
        need(kiro_reply_feed(reply, exact.data(), exact.size()) == KIRO_OK, "feed");
        if (delivery.pings) {
            kiro_reply_ping(reply);
        }
        drain();
    }
    if (delivery.broken) {
        kiro_failure why;
        kiro_failure_set(&why, KIRO_FAIL_UPSTREAM_TIMEOUT, "late");
        kiro_reply_abort(reply, &why);
    } else {
        kiro_reply_eof(reply);
    }
    drain();
    need(kiro_reply_done(reply), "no end");
    // Nothing may follow.
    const std::string end = played.output;
    kiro_reply_feed(reply, bytes.data(), bytes.size());
    kiro_reply_ping(reply);
    kiro_reply_eof(reply);
    drain();
    need(end == played.output, "something behind the end");
    played.gate = kiro_reply_gate(reply);
    played.failure = *kiro_reply_failure(reply);
    kiro_reply_get_info(reply, &played.info);
    played.stop.assign(played.info.stop_reason.data ? played.info.stop_reason.data : "",
                       played.info.stop_reason.len);
    if (played.gate == KIRO_GATE_FAILED && kiro_reply_settle(reply, &played.failure) == KIRO_OK) {
        for (kiro_str out; kiro_reply_next(reply, &out) == KIRO_OK;) {
            played.settled.append(out.data, out.len);
        }
    }
    need(committed == (played.gate == KIRO_GATE_COMPLETE), "the gate at the end");
    need(std::isfinite(played.info.credits) && played.info.credits >= 0, "credits");
    need(std::isfinite(played.info.context_percent), "context_percent");
    need(played.info.finished == committed, "finished");
    need(!strstr(played.failure.message, "secret") && !strstr(played.failure.message, "arn:"),
         "the upstream's text reaches the client");
    return played;
}

// Without what keeps a connection alive.
inline std::string without_pings(const std::string &output) {
    std::string rest;
    for (size_t at = 0; at < output.size();) {
        const size_t end = std::min(output.find("\n\n", at), output.size() - 2) + 2;
        const std::string_view event = std::string_view(output).substr(at, end - at);
        if (!event.starts_with(":") && !event.starts_with("event: ping\n")) {
            rest += event;
        }
        at = end;
    }
    return rest;
}

// What an answer says of itself, beside what the client gets.
inline void judge_info(const Played &played, const Seen &seen) {
    need((played.info.failed != 0) == seen.error, "failed, but not for the client");
    if (seen.error) {
        need(played.failure.kind != KIRO_FAIL_NONE, "an error without a failure");
        return;
    }
    need(played.stop == seen.stop.substr(0, seen.stop.find('/')), "stop_reason", played.stop);
    if (seen.usage) {
        need(seen.input == played.info.input_tokens && seen.output == played.info.output_tokens, "usage");
    }
}

// Passed on while they come, calls end in another order, and those that broke off are there in part.
inline void judge_streamed_calls(const RandomReply &reply, const Seen &seen, bool whole) {
    for (const SeenTool &call : seen.tools) {
        need(std::find(reply.tools.begin(), reply.tools.end(), call) != reply.tools.end(),
             "a call that nobody made:", call.input);
    }
    need(seen.tools.size() <= reply.tools.size() && (!whole || seen.tools.size() == reply.tools.size()),
         "the number of calls differs");
    for (const SeenTool &call : seen.cut) {
        const auto made = reply.inputs.find(call.id);
        need(made != reply.inputs.end(), "a cut call that nobody made:", call.input);
        const std::string sent = without_halves(without_line_ends(made->second));
        const std::size_t from = std::min(sent.find_first_not_of(" \n"), sent.size());
        need(std::string_view(sent).substr(from).starts_with(without_halves(call.input)),
             "a cut call differs:", call.input);
    }
}

// The client sees what was sent, and no call that was not whole.
inline void judge_content(const RandomReply &reply, const Seen &seen, bool reasoning, bool whole,
                          bool incremental) {
    const std::string text = utf8_of(reply.text), thought = reasoning ? utf8_of(reply.reasoning) : "";
    need(whole ? seen.text == text : text.starts_with(seen.text), "the text differs:", seen.text);
    need(whole ? seen.reasoning == thought : thought.starts_with(seen.reasoning),
         "the reasoning differs:", seen.reasoning);
    if (incremental) {
        judge_streamed_calls(reply, seen, whole);
        return;
    }
    need(whole ? seen.tools.size() == reply.tools.size() : seen.tools.size() <= reply.tools.size(),
         "the number of calls differs");
    for (size_t i = 0; i < seen.tools.size(); ++i) {
        need(seen.tools[i] == reply.tools[i], "the call differs:", seen.tools[i].input);
    }
}

inline bool is_rescued(const SeenTool &call) {
    return call.id.starts_with("tooluse_0123456789abcdef_");
}

// Nothing but calls leaves the text, and they are calls of tools that were declared.
inline void judge_rescued(const RandomReply &reply, const Seen &seen) {
    unsigned rescued = 0;
    for (const SeenTool &call : seen.tools) {
        if (is_rescued(call)) {
            need(call.id.ends_with("_" + std::to_string(++rescued)), "the id of a rescued call", call.id);
            need(call.name == "get" || call.name == "mcp.server/tool.with.dots", "a rescued call of",
                 call.name);
        }
    }
    const std::string sent = utf8_of(reply.text);
    std::size_t at = 0;
    for (const char c : seen.text) {
        at = sent.find(c, at);
        need(at != sent.npos, "text that nobody wrote:", seen.text);
        ++at;
    }
    need(rescued == 0 || seen.text.size() < sent.size(), "a rescued call is in the text, too:", seen.text);
    need(rescued > 0 || seen.error || seen.stop.starts_with("incomplete") || seen.text == sent,
         "text is lost:", seen.text);
}

inline void judge_same(const Seen &a, const Seen &b, const char *what) {
    need(a.text == b.text && a.reasoning == b.reasoning, what, "text");
    need(a.tools == b.tools && a.tool_types == b.tool_types && a.tool_spaces == b.tool_spaces, what, "calls");
    need(a.stop == b.stop && a.stop_text == b.stop_text, what, "stop reason");
    need(a.signature == b.signature && a.opaque == b.opaque, what, "signatures");
    need(a.blocks == b.blocks, what, "blocks");
    need(!a.usage || !b.usage || (a.input == b.input && a.output == b.output), what, "usage");
}

// An object has the whole calls only.
inline void judge_same_incremental(const Seen &stream, const Seen &object) {
    need(stream.text == object.text && stream.reasoning == object.reasoning, "stream and object: text");
    need(stream.stop == object.stop && stream.stop_text == object.stop_text,
         "stream and object: stop reason");
    need(stream.signature == object.signature && stream.opaque == object.opaque,
         "stream and object: signatures");
    for (const SeenTool &call : object.tools) {
        need(std::find(stream.tools.begin(), stream.tools.end(), call) != stream.tools.end(),
             "the stream has no call", call.id);
    }
}

// One mode; nothing: the answer failed before the client got anything.
inline std::optional<Seen> judge_mode(const Mode &mode, const Asking &asking, const kiro_request *request,
                                      std::string_view bytes, const Delivery &delivery,
                                      const RandomReply *sent, std::size_t max_collect) {
    Delivery bytewise;
    bytewise.pieces.assign(2000, 1);
    bytewise.pieces.push_back(7); // of long answers, to have time for more of them
    bytewise.broken = delivery.broken;
    bytewise.incremental = delivery.incremental;
    const Played slow = play(mode, request, bytes, bytewise, max_collect);
    const Played other = play(mode, request, bytes, delivery, max_collect);
    const bool usage = request != nullptr && asking.chat == kChatTools;

    const auto read_it = [&](const Played &played) -> std::optional<Seen> {
        if (played.gate == KIRO_GATE_FAILED) {
            need(played.output.empty() && played.failure.kind != KIRO_FAIL_NONE, "an early failure");
            if (!played.settled.empty()) {
                need(!read(mode, played.settled, usage, delivery.incremental).error, "settled with an error");
            }
            return std::nullopt;
        }
        try {
            Seen seen = read(mode, played.output, usage, delivery.incremental);
            judge_info(played, seen);
            return seen;
        } catch (const BadStream &bad) {
            throw BadStream(std::string(bad.what()) + "\nin " + played.output);
        }
    };
    const std::optional<Seen> seen = read_it(slow), again = read_it(other);
    need(slow.failure.kind == other.failure.kind, "the failure depends on the pieces");
    if (again) {
        need(seen.has_value(), "the pieces decide whether the answer fails");
        need(slow.output == without_pings(other.output), "the answer depends on the pieces");
        need(slow.info.credits == other.info.credits &&
                 slow.info.context_percent == other.info.context_percent && slow.stop == other.stop,
             "what is reported depends on the pieces");
    } else if (seen) {
        // All in one piece, a failure may come before the first content is out.
        need(slow.failure.kind != KIRO_FAIL_NONE, "an early failure from nowhere");
    }
    // The word stands in the generator's exceptions only.
    need(sent == nullptr || slow.output.find("secret") == std::string::npos,
         "the upstream's text reaches the client");
    if (sent == nullptr || !seen) {
        return seen;
    }
    const bool whole = !seen->error && slow.failure.kind != KIRO_FAIL_CONTEXT_OVERFLOW;
    if (asking.exact) {
        judge_content(*sent, *seen, asking.reasoning[mode.api], whole, mode.stream && delivery.incremental);
    }
    if (asking.rescue && whole) {
        judge_rescued(*sent, *seen);
    }
    return seen;
}

// What came out of many answers.
struct Tally {
    unsigned whole = 0, errors = 0, early = 0, calls = 0, reasoning = 0, cut = 0, rescued = 0;

    void add(const std::optional<Seen> &seen) {
        early += !seen;
        if (seen) {
            (seen->error ? errors : whole) += 1;
            calls += !seen->tools.empty();
            reasoning += !seen->reasoning.empty();
            cut += !seen->cut.empty();
            rescued += std::any_of(seen->tools.begin(), seen->tools.end(), is_rescued);
        }
    }
};

// All modes of one answer. sent: what is known of it; api: of one dialect only.
inline void judge(std::string_view bytes, const Delivery &delivery, std::size_t asked,
                  const RandomReply *sent = nullptr, std::size_t max_collect = 0, Tally *tally = nullptr) {
    const Asking &asking = kAskings[asked];
    std::optional<Seen> streamed;
    for (const Mode &mode : kModes) {
        const kiro_request *request = asked == 0 ? nullptr : asked_request(mode.api, asked).get();
        std::optional<Seen> seen;
        try {
            seen = judge_mode(mode, asking, request, bytes, delivery, sent, max_collect);
        } catch (const BadStream &bad) {
            throw BadStream(std::string(mode.name) + ", asked for " + asking.name + ": " + bad.what());
        }
        if (tally != nullptr) {
            tally->add(seen);
        }
        if (mode.stream) {
            streamed = seen;
            continue;
        }
        // Collected, an answer that is not whole fails.
        if (seen && !asking.form && max_collect == 0) {
            const bool fails = !streamed.has_value() || streamed->error;
            if (!delivery.incremental) {
                need(!fails, "only the stream fails, asked for", asking.name);
                judge_same(*streamed, *seen, "stream and object differ:");
            } else {
                // No stop text reaches over a call, and one in parts stands in front of what came meanwhile.
                need(!fails || !seen->stop_text.empty(), "only the incremental stream fails, asked for",
                     asking.name);
                // Where it stands also decides what counts for a limit, or begins a line.
                if (asking.exact) {
                    judge_same_incremental(*streamed, *seen);
                }
            }
        }
    }
}

} // namespace test
