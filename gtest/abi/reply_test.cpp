#include "kiro/reply.h"

#include "support/frames.h"
#include "support/reply_run.h"
#include "support/vectors.h"

#include <map>
#include <random>

namespace {

using test::event;
using test::text_event;
using test::tool_event;

constexpr test::Mode kOpenAiStream = test::kModes[0];
constexpr test::Mode kOpenAiObject = test::kModes[1];
constexpr test::Mode kAnthropicStream = test::kModes[2];
constexpr test::Mode kAnthropicObject = test::kModes[3];

// Responses tells the same as Chat Completions, by other words.
std::string stop_word(const test::Mode &mode, const std::string &openai, const std::string &anthropic) {
    if (mode.api == KIRO_API_ANTHROPIC) {
        return anthropic;
    }
    if (mode.api == KIRO_API_OPENAI_CHAT) {
        return openai;
    }
    return openai == "length"           ? "incomplete/max_output_tokens"
           : openai == "content_filter" ? "incomplete/content_filter"
                                        : "completed";
}

std::string whole_tool(std::string_view id, std::string_view name, std::string_view escaped_input) {
    return test::tool_input(id, name, escaped_input) + test::tool_stop(id, name);
}

TEST(ReplyCreate, OptionsAreCopied) {
    std::string model = "m-1", id = "abcdefgh01";
    kiro_reply_options opts{};
    opts.api = KIRO_API_OPENAI_CHAT;
    opts.model = {model.data(), model.size()};
    opts.id = {id.data(), id.size()};
    test::Reply reply(kiro_reply_create(&opts), kiro_reply_free);
    model.assign("XXX");
    id.assign("XXXXXXXXXX");
    const std::string bytes = text_event("x") + test::tail();
    kiro_reply_feed(reply.get(), bytes.data(), bytes.size());
    kiro_reply_eof(reply.get());
    kiro_str piece;
    ASSERT_EQ(kiro_reply_next(reply.get(), &piece), KIRO_OK);
    const std::string text(piece.data, piece.len);
    EXPECT_NE(text.find("\"model\":\"m-1\""), text.npos);
    EXPECT_NE(text.find("chatcmpl-abcdefgh01"), text.npos);
}

TEST(ReplyCreate, AModelThatBreaksNothing) {
    std::string hearts;
    for (int i = 0; i < 100; ++i) {
        hearts += "\\ud83d\\ude42";
    }
    for (const std::string &model :
         {std::string("a\"b"), std::string("a\\"), std::string("\xff\xfe"), std::string(5000, 'm'), hearts,
          std::string(255, 'x') + "\xe2\x82\xac", std::string("line\nbreak")}) {
        kiro_reply_options opts = test::reply_options(kOpenAiObject);
        opts.model = {model.data(), model.size()};
        const test::Reply reply = test::make_reply(opts);
        const std::string bytes = text_event("x") + test::tail();
        kiro_reply_feed(reply.get(), bytes.data(), bytes.size());
        kiro_reply_eof(reply.get());
        kiro_str piece;
        ASSERT_EQ(kiro_reply_next(reply.get(), &piece), KIRO_OK);
        EXPECT_LT(piece.len, 1500u);
        EXPECT_NO_THROW(test::read_openai_object({piece.data, piece.len})) << model;
    }
}

TEST(ReplyGate, OpensWithTheFirstThingAClientSees) {
    struct Row {
        std::string frame;
        bool visible;
    };
    const Row rows[] = {
        {event("initial-response", "{}"), false},
        {text_event(""), false},
        {text_event("a"), true},
        {event("reasoningContentEvent", R"({"text":"t"})"), true},
        {event("reasoningContentEvent", R"({"text":""})"), false},
        {event("reasoningContentEvent", R"({"signature":"c2ln"})"), false},
        {event("reasoningContentEvent", R"({"redactedContent":"AAEC"})"), false},
        {tool_event("t1", "f", ""), false},
        {tool_event("t1", "f", R"(,"input":"{}")"), false},
        {tool_event("t1", "f", R"(,"input":"{}","stop":true)"), true},
        {tool_event("t1", "f", R"(,"input":"{","stop":true)"), false},
        {event("someFutureEvent", R"({"content":"x"})"), false},
        {event("metadataEvent", R"({"stopReason":"END_TURN"})"), false},
        {text_event(R"(\ud83d)"), false},
    };
    for (const Row &row : rows) {
        for (const test::Mode &mode : test::kModes) {
            test::Reply reply = test::make_reply(mode);
            kiro_reply_feed(reply.get(), row.frame.data(), row.frame.size());
            EXPECT_EQ(kiro_reply_gate(reply.get()),
                      mode.stream && row.visible ? KIRO_GATE_COMMIT : KIRO_GATE_WAIT)
                << row.frame << mode.name;
            EXPECT_FALSE(kiro_reply_done(reply.get()));
        }
    }
}

TEST(ReplyGate, EmptyAnswersAreRetried) {
    const std::string answers[] = {
        "",
        test::tail(),
        event("initial-response", "{}") + text_event("") + test::tail(),
        event("reasoningContentEvent", R"({"signature":"c2ln"})") + test::tail(),
        event("initial-response", "{}"),
    };
    for (const std::string &bytes : answers) {
        for (const test::Mode &mode : test::kModes) {
            const test::Outcome o = test::run(mode, bytes);
            EXPECT_EQ(o.gate, KIRO_GATE_FAILED);
            EXPECT_EQ(o.failure.kind, KIRO_FAIL_UPSTREAM_EMPTY) << mode.name;
            EXPECT_EQ(o.failure.retry, KIRO_RETRY_BACKOFF);
            EXPECT_EQ(o.output, "");
            EXPECT_FALSE(o.info.finished);
            EXPECT_TRUE(o.info.failed);
        }
    }
}

TEST(ReplyGate, AnEmptyAnswerWithAReasonIsAnAnswer) {
    const std::pair<const char *, const char *> rows[] = {
        {"CONTENT_FILTERED", "refusal"},
        {"MAX_TOKENS", "max_tokens"},
        {"MODEL_CONTEXT_WINDOW_EXCEEDED", "model_context_window_exceeded"},
        {"PAUSE_TURN", "pause_turn"},
    };
    for (const auto &[word, stop] : rows) {
        const test::Outcome o = test::run(kAnthropicStream, test::tail(word));
        EXPECT_EQ(o.gate, KIRO_GATE_COMPLETE);
        EXPECT_EQ(test::read_anthropic_stream(o.output).stop, stop);
        EXPECT_NO_THROW(test::read_openai_object(test::run(kOpenAiObject, test::tail(word)).output));
    }
}

TEST(ReplyGate, ACutBeforeAnythingVisibleIsRetried) {
    struct Row {
        std::string bytes;
        kiro_retry retry;
    };
    const Row rows[] = {
        {tool_event("t1", "f", R"(,"input":"{\"a\":")"),
         KIRO_RETRY_ONCE}, // between two messages: as if it had ended
        {text_event("abc").substr(0, 50), KIRO_RETRY_BACKOFF},
        {event("initial-response", "{}") + text_event("abc").substr(0, 1), KIRO_RETRY_BACKOFF},
    };
    for (const Row &row : rows) {
        const test::Outcome o = test::run(kOpenAiStream, row.bytes);
        EXPECT_EQ(o.gate, KIRO_GATE_FAILED);
        EXPECT_EQ(o.failure.kind, KIRO_FAIL_UPSTREAM_CUT);
        EXPECT_EQ(o.failure.retry, row.retry);
    }
}

TEST(ReplyGate, WhatStandsBehindTheTailIsNoPartOfTheAnswer) {
    const std::string answer = text_event("abc") + test::tail("END_TURN");
    const std::string rest[] = {std::string("\0\0\0\0garbage that is no message", 30), answer,
                                tool_event("t1", "f", R"(,"input":"{}","stop":true)") +
                                    test::tail("TOOL_USE")};
    for (const std::string &more : rest) {
        const test::Outcome o = test::run(kOpenAiStream, answer + more);
        EXPECT_EQ(o.gate, KIRO_GATE_COMPLETE);
        EXPECT_EQ(o.failure.kind, KIRO_FAIL_NONE);
        const test::Seen seen = test::read_openai_stream(o.output);
        EXPECT_EQ(seen.text, "abc");
        EXPECT_TRUE(seen.tools.empty());
    }
}

TEST(ReplyGate, TheLastEventSaysThatNothingIsMissing) {
    kiro_reply_options opts{};
    opts.stream = 1;
    opts.id = {"abcdefgh", 8};
    kiro_reply *reply = kiro_reply_create(&opts);
    const std::string bytes = text_event("abc") + test::tail("END_TURN");
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        EXPECT_FALSE(kiro_reply_whole(reply)) << i;
        ASSERT_EQ(kiro_reply_feed(reply, bytes.data() + i, 1), KIRO_OK);
    }
    EXPECT_TRUE(kiro_reply_whole(reply));
    EXPECT_FALSE(kiro_reply_done(reply));
    kiro_reply_free(reply);
}

TEST(ReplyException, BeforeTheCommitKeepsItsKind) {
    struct Row {
        std::string frame;
        kiro_failure_kind kind;
        kiro_retry retry;
    };
    const Row rows[] = {
        {test::vector_named("f28_exception_throttling").bytes, KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_BACKOFF},
        {test::vector_named("f29_exception_internal").bytes, KIRO_FAIL_OVERLOADED, KIRO_RETRY_BACKOFF},
        {test::vector_named("f30_exception_validation").bytes, KIRO_FAIL_CONTEXT_OVERFLOW, KIRO_RETRY_NEVER},
        {test::vector_named("f31_exception_shape_name").bytes, KIRO_FAIL_CONTEXT_OVERFLOW, KIRO_RETRY_NEVER},
        {test::vector_named("f32_error_frame").bytes, KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_BACKOFF},
        {test::vector_named("f26_invalid_state").bytes, KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_BACKOFF},
        {test::vector_named("f33_minimal").bytes, KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_BACKOFF},
        {test::exception("throttlingError",
                         R"({"reason":"USER_REQUEST_RATE_EXCEEDED","retryAfterMilliseconds":1234})"),
         KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_BACKOFF},
        {test::exception("validationError", R"({"reason":"PROMPT_TOO_LONG"})"), KIRO_FAIL_CONTEXT_OVERFLOW,
         KIRO_RETRY_NEVER},
        {test::exception("ContentLengthExceededException", "{}"), KIRO_FAIL_CONTEXT_OVERFLOW,
         KIRO_RETRY_NEVER},
    };
    for (const Row &row : rows) {
        for (const test::Mode &mode : test::kModes) {
            const test::Outcome o = test::run_bytes(mode, row.frame);
            EXPECT_EQ(o.gate, KIRO_GATE_FAILED);
            EXPECT_STREQ(kiro_failure_name(o.failure.kind), kiro_failure_name(row.kind)) << row.frame;
            EXPECT_EQ(o.failure.retry, row.retry);
        }
    }
    EXPECT_EQ(test::run(kOpenAiStream, rows[7].frame).failure.retry_after_ms, 1234u);
}

TEST(ReplyException, InTheStreamAfterTheCommit) {
    const std::string bytes = text_event("part") + test::exception("error", "{}") + text_event("never");
    const test::Outcome openai = test::run_bytes(kOpenAiStream, bytes);
    test::Seen seen = test::read_openai_stream(openai.output);
    EXPECT_TRUE(seen.error);
    EXPECT_EQ(seen.error_type, "server_error");
    EXPECT_EQ(seen.text, "part");
    EXPECT_EQ(openai.output.find("[DONE]"), std::string::npos);
    EXPECT_TRUE(openai.info.failed && openai.info.finished);
    const test::Outcome anthropic = test::run_bytes(kAnthropicStream, bytes);
    seen = test::read_anthropic_stream(anthropic.output);
    EXPECT_TRUE(seen.error);
    EXPECT_EQ(seen.error_type, "api_error");
    EXPECT_EQ(seen.text, "part");
}

TEST(ReplyException, TooMuchOutputEndsTheTurn) {
    const std::string bytes = text_event("part") + test::exception("ContentLengthExceededException", "{}");
    for (const test::Mode &mode : test::kModes) {
        const test::Outcome o = test::run_bytes(mode, bytes);
        EXPECT_EQ(o.gate, KIRO_GATE_COMPLETE) << mode.name;
        EXPECT_FALSE(o.info.failed);
        EXPECT_EQ(o.failure.kind, KIRO_FAIL_CONTEXT_OVERFLOW);
        const test::Seen seen = test::read(mode, o.output);
        EXPECT_EQ(seen.text, "part");
        EXPECT_EQ(seen.stop, stop_word(mode, "length", "max_tokens"));
    }
}

TEST(ReplyCorrupt, InTheStreamAfterTheCommit) {
    std::string bad = text_event("x");
    bad[bad.size() - 1] = static_cast<char>(bad[bad.size() - 1] ^ 1);
    for (const std::string &second :
         {bad, event("assistantResponseEvent", "{\"content\":"), test::raw_message("", "")}) {
        const test::Outcome o = test::run_bytes(kAnthropicStream, text_event("part") + second);
        EXPECT_EQ(o.failure.kind, KIRO_FAIL_UPSTREAM_PROTOCOL);
        EXPECT_TRUE(o.info.failed);
        EXPECT_TRUE(test::read_anthropic_stream(o.output).error);
    }
}

TEST(ReplyAbort, BeforeAndAfterTheCommit) {
    kiro_failure why;
    kiro_failure_set(&why, KIRO_FAIL_UPSTREAM_TIMEOUT, "no answer for 300 s");
    why.retry = KIRO_RETRY_BACKOFF;
    {
        test::Run run(kOpenAiStream);
        run.feed(event("initial-response", "{}"));
        kiro_reply_abort(run.get(), &why);
        const test::Outcome o = run.end();
        EXPECT_EQ(o.gate, KIRO_GATE_FAILED);
        EXPECT_EQ(o.failure.kind, KIRO_FAIL_UPSTREAM_TIMEOUT);
        EXPECT_EQ(o.failure.retry, KIRO_RETRY_BACKOFF);
        EXPECT_EQ(o.output, "");
    }
    {
        test::Run run(kOpenAiStream);
        run.feed(text_event("x"));
        kiro_reply_abort(run.get(), &why);
        const test::Outcome o = run.end();
        EXPECT_TRUE(test::read_openai_stream(o.output).error);
        EXPECT_TRUE(o.info.failed);
    }
    { // the answer is whole, only the connection's end was rude
        test::Run run(kOpenAiStream);
        run.feed(text_event("x") + test::tail());
        kiro_reply_abort(run.get(), &why);
        const test::Outcome o = run.end();
        EXPECT_EQ(test::read_openai_stream(o.output).stop, "stop");
        EXPECT_FALSE(o.info.failed);
        EXPECT_EQ(o.failure.kind, KIRO_FAIL_NONE);
    }
    { // collected: nothing was sent, so it may still be retried
        test::Run run(kAnthropicObject);
        run.feed(text_event("x"));
        kiro_reply_abort(run.get(), &why);
        EXPECT_EQ(run.end().gate, KIRO_GATE_FAILED);
    }
}

// A filter that has no gate commits before the first byte.
TEST(ReplyCommit, AtOnceLeavesALegalEndWhateverComes) {
    const std::string answers[] = {"",
                                   test::tail(),
                                   text_event("x").substr(0, 40),
                                   test::exception("error", "{}"),
                                   std::string(100, '\0'),
                                   text_event("x") + test::tail()};
    for (const std::string &bytes : answers) {
        for (const test::Mode &mode : test::kModes) {
            test::Reply reply = test::make_reply(mode);
            kiro_reply_commit(reply.get());
            kiro_reply_feed(reply.get(), bytes.data(), bytes.size());
            kiro_reply_eof(reply.get());
            std::string output;
            for (kiro_str piece; kiro_reply_next(reply.get(), &piece) == KIRO_OK;) {
                output.append(piece.data, piece.len);
            }
            EXPECT_TRUE(kiro_reply_done(reply.get()));
            kiro_reply_info info;
            kiro_reply_get_info(reply.get(), &info);
            EXPECT_TRUE(info.finished);
            if (mode.stream || !info.failed) {
                EXPECT_NO_THROW(test::read(mode, output)) << output;
            } else {
                EXPECT_NE(output.find("\"error\""), output.npos);
            }
        }
    }
}

TEST(ReplyInfo, AnyWholeFrameIsLife) {
    for (const std::string &frame : {text_event(""), tool_event("t1", "f", R"(,"input":"{")"),
                                     event("messageMetadataEvent", R"({"conversationId":"c"})")}) {
        for (const test::Mode &mode : test::kModes) {
            test::Run run(mode);
            kiro_reply_info info;
            run.feed(frame.substr(0, frame.size() - 1));
            kiro_reply_get_info(run.get(), &info);
            EXPECT_FALSE(info.alive);
            run.feed(frame.substr(frame.size() - 1));
            kiro_reply_get_info(run.get(), &info);
            EXPECT_TRUE(info.alive);
            EXPECT_FALSE(info.started);
            EXPECT_EQ(kiro_reply_gate(run.get()), KIRO_GATE_WAIT);
        }
    }
}

TEST(ReplyPing, OnlyBetweenEventsOfAnOpenStream) {
    for (const test::Mode &mode : test::kModes) {
        test::Run run(mode);
        kiro_reply_ping(run.get());
        run.feed(text_event("a"));
        kiro_reply_ping(run.get());
        run.drain();
        run.feed(text_event("b") + test::tail());
        const test::Outcome o = run.eof();
        kiro_reply_ping(run.get());
        kiro_str none;
        EXPECT_EQ(kiro_reply_next(run.get(), &none), KIRO_AGAIN);
        EXPECT_EQ(test::read(mode, o.output).text, "ab");
        const char *ping = mode.api == KIRO_API_ANTHROPIC ? "event: ping\ndata: {\"type\":\"ping\"}\n\n"
                                                          : ": keep-alive\n\n";
        const size_t at = o.output.find(ping);
        EXPECT_EQ(at != o.output.npos, mode.stream) << mode.name;
        if (mode.stream) {
            EXPECT_EQ(o.output.find(ping, at + 1), o.output.npos);
        }
    }
}

TEST(ReplyTools, NotForwardedUnlessTheInputIsAnObject) {
    const char *bad[] = {R"([1])",        R"(1)",    R"(\"x\")", R"({\"a\":})",         R"({\"a\":1)",
                         R"({\"a\":1,})", R"({}{})", R"(null)",  R"({\"a\":\"\\\n\"})", R"({\"a\":\n\u0001})",
                         R"({\"a\":\"\n)"};
    for (const char *input : bad) {
        const std::string bytes = text_event("t") + whole_tool("t1", "f", input) + test::tail("TOOL_USE");
        for (const test::Mode &mode : test::kModes) {
            const test::Seen seen = test::read(mode, test::run(mode, bytes).output);
            EXPECT_TRUE(seen.tools.empty()) << input;
            EXPECT_EQ(seen.stop, stop_word(mode, "length", "max_tokens")) << input;
        }
    }
}

TEST(ReplyTools, InputForms) {
    struct Row {
        std::string frames;
        const char *input;
    };
    const Row rows[] = {
        {whole_tool("t1", "f", ""), "{}"},
        {whole_tool("t1", "f", R"(  \n )"), "{}"},
        {whole_tool("t1", "f", R"( {\"a\":1} )"), R"({"a":1})"},
        {tool_event("t1", "f", R"(,"input":{"a":[1,{"b":"c\"d"}]},"stop":true)"),
         R"({"a":[1,{"b":"c\"d"}]})"},
        {tool_event("t1", "f", R"(,"input":null)") + tool_event("t1", "f", R"(,"stop":true)"), "{}"},
        {tool_event("t1", "f", R"(,"input":"{\"a\":1}","stop":true)"), R"({"a":1})"},
        {tool_event("t1", "f", R"(,"stop":false,"input":"{")") +
             tool_event("t1", "f", R"(,"input":"}","stop":true)"),
         "{}"},
        {tool_event("t1", "f", R"(,"input":"{\"a\":\"\ud83d")") +
             tool_event("t1", "f", R"(,"input":"\ude42\"}","stop":true)"),
         "{\"a\":\"\xf0\x9f\x99\x82\"}"},
        {tool_event("t1", "f", R"(,"input":"{\"a\":\"\ud83d\"}","stop":true)"), "{\"a\":\"\xef\xbf\xbd\"}"},
        {tool_event("t1", "f", R"(,"input":"{\"a\":\"\\ud83d\"}","stop":true)"), "{\"a\":\"\xef\xbf\xbd\"}"},
        // what comes in place of an input that is still to come
        {tool_event("t1", "f", R"(,"input":{})") + tool_event("t1", "f", R"(,"input":"{\"a\":1}")") +
             tool_event("t1", "f", R"(,"input":{},"stop":true)"),
         R"({"a":1})"},
        // control characters in strings
        {whole_tool("t1", "f", R"({\"a\":\"1\n2\t\u0001\\n\\\\\"})"), R"({"a":"1\n2\t\u0001\n\\"})"},
        {whole_tool("t1", "f", R"({\n\"a\":\"\\\"\n\"})"), R"({"a":"\"\n"})"},
        {tool_event("t1", "f", "") + tool_event("t1", "", R"(,"input":"{}")") +
             tool_event("t1", "", R"(,"stop":true)"),
         "{}"},
    };
    for (const Row &row : rows) {
        for (const test::Mode &mode : test::kModes) {
            const test::Seen seen = test::read(mode, test::run(mode, row.frames + test::tail()).output);
            ASSERT_EQ(seen.tools.size(), 1u) << row.frames;
            EXPECT_EQ(seen.tools[0], (test::SeenTool{"t1", "f", row.input}));
        }
    }
}

TEST(ReplyTools, ARepeatedCallIsOneCall) {
    const std::string call = whole_tool("t1", "f", R"({\"a\":1})");
    const test::Seen seen =
        test::read_openai_object(test::run(kOpenAiObject, call + call + test::tail()).output);
    EXPECT_EQ(seen.tools.size(), 1u);
    EXPECT_EQ(seen.stop, "tool_calls");
}

TEST(ReplyTools, WithoutNameOrIdNothingIsForwarded) {
    for (const std::string &call :
         {whole_tool("", "f", "{}"), whole_tool("t1", "", "{}"),
          whole_tool(std::string(5000, 'x'), "f", "{}"), tool_event("t1", "f", "")}) {
        const test::Outcome o = test::run(kAnthropicObject, text_event("t") + call + test::tail());
        const test::Seen seen = test::read_anthropic_object(o.output);
        EXPECT_TRUE(seen.tools.empty());
        EXPECT_EQ(seen.stop, "max_tokens");
    }
}

TEST(ReplyTools, TooBigACallIsACutCall) {
    std::string bytes = text_event("t") + tool_event("t1", "f", R"(,"input":"{\"a\":\"")");
    for (int i = 0; i < 100; ++i) {
        bytes += tool_event("t1", "f", ",\"input\":\"" + std::string(1000, 'x') + "\"");
    }
    bytes += tool_event("t1", "f", R"(,"input":"\"}","stop":true)") + test::tail();
    test::Run small(kOpenAiStream, 50000);
    small.feed(bytes);
    const test::Seen cut = test::read_openai_stream(small.eof().output);
    EXPECT_TRUE(cut.tools.empty());
    EXPECT_EQ(cut.stop, "length");
    test::Run big(kOpenAiStream, 200000);
    big.feed(bytes);
    EXPECT_EQ(test::read_openai_stream(big.eof().output).tools.size(), 1u);
}

TEST(ReplyTools, ManyCallsAreBounded) {
    std::string bytes;
    for (int i = 0; i < 10000; ++i) {
        bytes += tool_event("t" + std::to_string(i), "f", "");
    }
    const test::Outcome o = test::run(kOpenAiStream, text_event("t") + bytes + test::tail());
    EXPECT_EQ(test::read_openai_stream(o.output).stop, "length");
}

TEST(ReplyCollect, ABiggerAnswerThanAllowed) {
    for (const test::Mode &mode : {kOpenAiObject, kAnthropicObject}) {
        test::Run run(mode, 10000);
        for (int i = 0; i < 20; ++i) {
            run.feed(text_event(std::string(1000, 'x')));
        }
        const test::Outcome o = run.eof();
        EXPECT_EQ(o.gate, KIRO_GATE_FAILED);
        EXPECT_EQ(o.failure.retry, KIRO_RETRY_NEVER);
    }
    test::Run stream(kOpenAiStream, 10000); // does not hold on a stream
    for (int i = 0; i < 20; ++i) {
        stream.feed(text_event(std::string(1000, 'x')));
    }
    stream.feed(test::tail());
    EXPECT_EQ(test::read_openai_stream(stream.eof().output).text.size(), 20000u);
}

TEST(ReplyStop, Table) {
    struct Row {
        std::string bytes;
        const char *openai;
        const char *anthropic;
    };
    const std::string text = text_event("x");
    const std::string call = whole_tool("t1", "f", "{}");
    const Row rows[] = {
        {text + test::tail("END_TURN"), "stop", "end_turn"},
        {text + test::tail("UNKNOWN"), "stop", "end_turn"},
        {text + test::tail("TOOL_USE"), "stop", "end_turn"},
        {call + test::tail("END_TURN"), "tool_calls", "tool_use"},
        {call + test::tail("CONTENT_FILTERED"), "content_filter", "refusal"},
        {text + test::tail("GUARDRAIL_INTERVENED"), "content_filter", "refusal"},
        {text + test::tail("MAX_TOKENS"), "length", "max_tokens"},
        {call + test::tail("MAX_TOKENS"), "length", "max_tokens"},
        {text + test::tail("MODEL_CONTEXT_WINDOW_EXCEEDED"), "length", "model_context_window_exceeded"},
        {text + test::tail("PAUSE_TURN"), "stop", "pause_turn"},
        {text + event("metadataEvent", "{}") +
             event("contextUsageEvent", R"({"contextUsagePercentage":100.0})"),
         "length", "model_context_window_exceeded"},
        {text + event("metadataEvent", "{}"), "stop", "end_turn"},
        {text + event("meteringEvent", R"({"usage":1})"), "stop", "end_turn"},
        {text + tool_event("t2", "f", "") + call + test::tail(), "length", "max_tokens"},
        {test::vector_named("f02_text_ascii").bytes + test::vector_named("f16_metadata_refusal").bytes,
         "content_filter", "refusal"},
    };
    for (const Row &row : rows) {
        for (const test::Mode &mode : test::kModes) {
            const test::Seen seen = test::read(mode, test::run(mode, row.bytes).output);
            EXPECT_EQ(seen.stop, stop_word(mode, row.openai, row.anthropic)) << row.bytes;
        }
    }
}

TEST(ReplyUsage, TokenUsageWins) {
    const std::string bytes = text_event("x") + test::vector_named("f15_metadata_usage").bytes +
                              event("contextUsageEvent", R"({"contextUsagePercentage":50})");
    const test::Outcome o = test::run(kAnthropicStream, bytes);
    EXPECT_EQ(o.info.input_tokens, 1120u);
    EXPECT_EQ(o.info.output_tokens, 35u);
    EXPECT_NE(o.output.find(R"("usage":{"input_tokens":120,"cache_creation_input_tokens":100,)"
                            R"("cache_read_input_tokens":900,"output_tokens":35,)"
                            R"("output_tokens_details":{"thinking_tokens":0}})"),
              std::string::npos);
    EXPECT_NE(
        test::run(kOpenAiObject, bytes)
            .output.find(
                R"("prompt_tokens":1120,"completion_tokens":35,)"
                R"("total_tokens":1155,"prompt_tokens_details":{"cached_tokens":900,"cache_write_tokens":100,)"),
        std::string::npos);
}

TEST(ReplyUsage, PercentageOfTheWindowMinusTheOutput) {
    const auto usage = [](const char *percent) {
        const std::string bytes =
            text_event("xxxxxxxxxxxxxxxxxx") + event("metadataEvent", "{}") +
            event("contextUsageEvent", std::string("{\"contextUsagePercentage\":") + percent + "}");
        return test::run(kOpenAiObject, bytes).info;
    };
    EXPECT_EQ(usage("10").output_tokens, 5u);
    EXPECT_EQ(usage("10").input_tokens, 20000u - 5u);
    EXPECT_EQ(usage("100").input_tokens, 200000u - 5u);
    EXPECT_EQ(usage("101").input_tokens, 0u); // not usable, and no estimate here
    EXPECT_EQ(usage("-1").input_tokens, 0u);
    EXPECT_EQ(usage("0.0001").input_tokens, 0u);
    EXPECT_EQ(usage("\"x\"").context_percent, -1);
}

TEST(ReplyReasoning, BlocksAndSignatures) {
    const std::string think = event("reasoningContentEvent", R"({"text":"T"})");
    const std::string sign = event("reasoningContentEvent", R"({"signature":"AA"})");
    const std::string opaque = event("reasoningContentEvent", R"({"redactedContent":"ZZ"})");
    const std::string everything =
        event("reasoningContentEvent", R"({"text":"T","signature":"BB","redactedContent":"ZZ"})");
    struct Row {
        std::string bytes;
        std::vector<std::string> blocks;
        const char *signature;
    };
    const Row rows[] = {
        {think + sign + text_event("x"), {"thinking", "text"}, "AA"},
        {sign + text_event("x"), {"thinking", "text"}, "AA"},
        {think + text_event("x"), {"thinking", "text"}, ""},
        {think + sign + think + text_event("x"), {"thinking", "thinking", "text"}, "AA"},
        {think + sign + sign + text_event("x"), {"thinking", "text"}, "AAAA"},
        {opaque + text_event("x") + opaque, {"redacted_thinking", "text", "redacted_thinking"}, ""},
        {text_event("x") + think + text_event("y") + sign, {"text", "thinking", "text", "thinking"}, "AA"},
        {sign + everything + text_event("x"), {"thinking", "thinking", "redacted_thinking", "text"}, "AABB"},
        {think + whole_tool("t", "f", "{}") + text_event("x"), {"thinking", "tool_use", "text"}, ""},
    };
    for (const Row &row : rows) {
        for (const test::Mode &mode : {kAnthropicStream, kAnthropicObject}) {
            const test::Seen seen = test::read(mode, test::run(mode, row.bytes + test::tail()).output);
            EXPECT_EQ(seen.blocks, row.blocks) << row.bytes;
            EXPECT_EQ(seen.signature, row.signature);
        }
        EXPECT_NO_THROW(test::read_openai_stream(test::run(kOpenAiStream, row.bytes + test::tail()).output));
    }
}

TEST(ReplyText, EscapesTravelUntouched) {
    const std::string slice = R"(a\"b\\c\/\u00e9\ud83d\ude42\u0000)"
                              "\xe6\x97\xa5";
    for (const test::Mode &mode : test::kModes) {
        const test::Outcome o = test::run(mode, text_event(slice) + test::tail());
        EXPECT_NE(o.output.find(slice), o.output.npos) << mode.name;
        test::read(mode, o.output);
    }
}

TEST(ReplyText, KeysInAnyOrderAndTwice) {
    const std::string bytes =
        event("assistantResponseEvent", R"({"x":{"content":"no"},"content":"a","content":"b"})") +
        event("assistantResponseEvent", R"({"content":null})") +
        event("assistantResponseEvent", R"({"content":{"content":"no"}})") +
        event("assistantResponseEvent", "") + event("codeEvent", R"({"content":"c"})");
    EXPECT_EQ(test::read_openai_object(test::run(kOpenAiObject, bytes + test::tail()).output).text, "bc");
}

TEST(ReplyText, HalvesOfACharacterAtTheEnd) {
    const std::string bytes =
        text_event(R"(a\ud83d)") + event("reasoningContentEvent", R"({"text":"r\ud83d"})") + test::tail();
    for (const test::Mode &mode : test::kModes) {
        const test::Seen seen = test::read(mode, test::run_bytes(mode, bytes).output);
        EXPECT_EQ(seen.text, "a\xef\xbf\xbd");
        EXPECT_EQ(seen.reasoning, "r\xef\xbf\xbd");
    }
}

// What a client may conclude from any sequence of frames: each stream is legal, and both dialects, streamed
// or collected, tell the same story.
TEST(ReplyRandom, EveryStreamIsLegal) {
    std::mt19937 random(20240601);
    const auto pick = [&](size_t n) { return random() % n; };
    const char *texts[] = {"",      "a", "Hello ", R"(\ud83d)", R"(\ude42)", R"(\n\"q\")", "\xe6\x97\xa5",
                           R"(\\)", " "};
    const char *fragments[] = {"", "{}", R"({\"a\":)", "1", "}", R"(\"x\")", R"(\\ud83d)", "["};
    int ended = 0, failed = 0, tools = 0;
    for (int round = 0; round < 4000; ++round) {
        std::string bytes;
        const size_t length = pick(25);
        for (size_t i = 0; i < length; ++i) {
            const std::string id = "t" + std::to_string(pick(4));
            switch (pick(14)) {
            case 0:
            case 1:
            case 2:
            case 3:
                bytes += text_event(texts[pick(std::size(texts))]);
                break;
            case 4:
            case 5:
                bytes += event("reasoningContentEvent",
                               "{\"text\":\"" + std::string(texts[pick(std::size(texts))]) + "\"}");
                break;
            case 6:
                bytes += event("reasoningContentEvent", R"({"signature":"QUFB"})");
                break;
            case 7:
                bytes += event("reasoningContentEvent", R"({"redactedContent":"QUFB"})");
                break;
            case 8:
            case 9:
                bytes +=
                    tool_event(id, "f" + id,
                               ",\"input\":\"" + std::string(fragments[pick(std::size(fragments))]) + "\"");
                break;
            case 10:
                bytes += tool_event(id, "f" + id, R"(,"stop":true)");
                break;
            case 11:
                bytes += whole_tool(id, "f" + id, R"({\"k\":[1,2]})");
                break;
            case 12:
                bytes += event("followupPromptEvent", R"({"followupPrompt":{}})");
                break;
            case 13:
                if (pick(6) == 0) {
                    bytes += test::exception("throttlingError", R"({"message":"slow"})");
                }
                break;
            }
        }
        switch (pick(5)) {
        case 0:
            break;
        case 1:
            bytes += test::tail("TOOL_USE").substr(0, pick(300));
            break;
        default:
            bytes += test::tail(pick(4) == 0 ? "MAX_TOKENS" : "END_TURN");
        }
        std::vector<size_t> plan;
        for (size_t left = bytes.size(); left > 0;) {
            const size_t n = std::min<size_t>(left, 1 + pick(pick(2) == 0 ? 20 : 2000));
            plan.push_back(n);
            left -= n;
        }
        std::map<std::string, test::Outcome> outcomes;
        std::map<std::string, test::Seen> seen;
        for (const test::Mode &mode : test::kModes) {
            SCOPED_TRACE(std::to_string(round) + " " + mode.name);
            test::Outcome o = test::run(mode, bytes, plan);
            if (o.gate == KIRO_GATE_FAILED) {
                ASSERT_EQ(o.output, "");
                ++failed;
            } else {
                ASSERT_NO_THROW(seen[mode.name] = test::read(mode, o.output)) << o.output;
                ++ended;
                tools += seen[mode.name].tools.size();
            }
            outcomes[mode.name] = o;
        }
        const auto same = [&](const char *a, const char *b) {
            if (!seen.contains(a) || !seen.contains(b)) {
                return;
            }
            EXPECT_EQ(seen[a].text, seen[b].text) << round;
            EXPECT_EQ(seen[a].reasoning, seen[b].reasoning) << round;
            EXPECT_EQ(seen[a].tools, seen[b].tools) << round;
            EXPECT_EQ(seen[a].error, seen[b].error) << round;
        };
        same("openai.stream", "anthropic.stream");
        same("openai.stream", "openai.collected");
        same("anthropic.stream", "anthropic.collected");
        EXPECT_EQ(outcomes["openai.stream"].gate, outcomes["anthropic.stream"].gate);
        EXPECT_EQ(outcomes["openai.collected"].gate, outcomes["anthropic.collected"].gate);
        if (seen.contains("anthropic.collected")) {
            EXPECT_EQ(seen["anthropic.stream"].stop, seen["anthropic.collected"].stop);
            EXPECT_EQ(seen["anthropic.stream"].blocks, seen["anthropic.collected"].blocks);
            EXPECT_EQ(seen["anthropic.stream"].signature, seen["anthropic.collected"].signature);
        }
    }
    EXPECT_GT(ended, 4000); // the test is worth something only if all of these happen
    EXPECT_GT(failed, 500);
    EXPECT_GT(tools, 1000);
}

} // namespace
