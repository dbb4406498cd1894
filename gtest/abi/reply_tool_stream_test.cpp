// Calls that are passed on while they come.

#include "kiro/reply.h"

#include "core/json/raw.h"

#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"
#include "support/vectors.h"

namespace {

using kiro::test::ClientRequest;
using test::event;
using test::text_event;

constexpr test::Mode kStreams[] = {test::kModes[0], test::kModes[2], test::kModes[4]};

std::string frame(std::string_view id, std::string_view more, std::string_view name = "f") {
    return test::tool_event(id, name, more);
}

std::string fragment(std::string_view escaped, std::string_view id = "t1") {
    return test::tool_input(id, "f", escaped);
}

std::string stop(std::string_view id = "t1") {
    return test::tool_stop(id, "f");
}

class Stream {
public:
    explicit Stream(const test::Mode &mode, const kiro_request *request = nullptr, size_t max_collect = 0,
                    kiro_tool_stream tools = KIRO_TOOLS_INCREMENTAL)
        : mode_(mode), reply_(nullptr, kiro_reply_free) {
        kiro_reply_options opts = test::reply_options(mode, request);
        opts.max_collect = max_collect;
        opts.tool_stream = tools;
        reply_ = test::make_reply(opts);
    }

    kiro_reply *get() { return reply_.get(); }

    // What comes out for these bytes.
    std::string feed(std::string_view bytes) {
        const std::vector<char> copy(bytes.begin(), bytes.end()); // so that a view kept too long is noticed
        kiro_reply_feed(reply_.get(), copy.data(), copy.size());
        return drain();
    }

    std::string drain() {
        const kiro_gate gate = kiro_reply_gate(reply_.get());
        if (!committed_ && (gate == KIRO_GATE_COMMIT || gate == KIRO_GATE_COMPLETE)) {
            kiro_reply_commit(reply_.get());
            committed_ = true;
        }
        std::string piece;
        for (kiro_str out; committed_ && kiro_reply_next(reply_.get(), &out) == KIRO_OK;) {
            piece.append(out.data, out.len);
        }
        output += piece;
        return piece;
    }

    test::Seen eof() {
        kiro_reply_eof(reply_.get());
        return end();
    }

    test::Seen end() {
        drain();
        EXPECT_TRUE(kiro_reply_done(reply_.get()));
        test::Seen seen;
        EXPECT_NO_THROW(seen = test::read(mode_, output, false, true)) << output;
        return seen;
    }

    std::string output;

private:
    test::Mode mode_;
    test::Reply reply_;
    bool committed_ = false;
};

std::string length_of(const test::Mode &mode) {
    return mode.api == KIRO_API_ANTHROPIC     ? "max_tokens"
           : mode.api == KIRO_API_OPENAI_CHAT ? "length"
                                              : "incomplete/max_output_tokens";
}

std::string calls_of(const test::Mode &mode) {
    return mode.api == KIRO_API_ANTHROPIC     ? "tool_use"
           : mode.api == KIRO_API_OPENAI_CHAT ? "tool_calls"
                                              : "completed";
}

std::vector<test::SeenTool> sorted(std::vector<test::SeenTool> tools) {
    std::sort(tools.begin(), tools.end(),
              [](const test::SeenTool &a, const test::SeenTool &b) { return a.id < b.id; });
    return tools;
}

TEST(ToolStream, EveryVectorTellsTheSameAsWhenItIsComplete) {
    for (const test::Vector &v : test::vectors()) {
        if (v.kind != "stream") {
            continue;
        }
        for (const test::Mode &mode : kStreams) {
            SCOPED_TRACE(v.name + "." + mode.name);
            const test::Outcome whole = test::run_bytes(mode, v.bytes);
            const test::Seen expected = test::read(mode, whole.output.empty() ? whole.settled : whole.output);
            const bool broken = !v.expect->bad_tool.empty() || !v.expect->open_tool.empty();
            std::string usual;
            for (const auto &plan : test::plans(v)) {
                Stream stream(mode);
                size_t at = 0;
                for (const size_t n : plan) {
                    stream.feed(std::string_view(v.bytes).substr(at, n));
                    at += n;
                }
                kiro_reply_eof(stream.get());
                stream.drain();
                if (kiro_reply_gate(stream.get()) == KIRO_GATE_FAILED) {
                    continue; // in the piece that would have opened the gate
                }
                if (!usual.empty()) {
                    ASSERT_EQ(stream.output, usual);
                    continue;
                }
                usual = stream.output;
                const test::Seen seen = stream.end();
                ASSERT_EQ(seen.text, expected.text);
                ASSERT_EQ(seen.reasoning, expected.reasoning);
                ASSERT_EQ(seen.stop, expected.stop);
                ASSERT_EQ(sorted(seen.tools), sorted(expected.tools));
                ASSERT_EQ(seen.cut.size(), broken ? 1u : 0u);
            }
        }
    }
}

TEST(ToolStream, FragmentsGoOutAsTheyCome) {
    for (const test::Mode &mode : kStreams) {
        Stream stream(mode);
        EXPECT_EQ(stream.feed(frame("t1", "")), "");
        EXPECT_EQ(stream.feed(fragment(" \\n\\t")), "");
        const std::string start = stream.feed(fragment(R"( {\"a\")"));
        EXPECT_NE(start.find(R"("t1")"), start.npos);
        EXPECT_NE(start.find(R"("{\"a\"")"), start.npos) << start;
        EXPECT_NE(stream.feed(fragment(R"(:1)")).find(R"(":1")"), start.npos);
        EXPECT_EQ(stream.feed(fragment(R"(} )")), ""); // not before the end is there
        EXPECT_NE(stream.feed(stop()).find(R"("}")"), start.npos);
        stream.feed(text_event("after") + test::tail("TOOL_USE"));
        const test::Seen seen = stream.eof();
        EXPECT_EQ(seen.tools, (std::vector<test::SeenTool>{{"t1", "f", R"({"a":1})"}}));
        EXPECT_EQ(seen.text, "after");
        EXPECT_EQ(seen.stop, calls_of(mode));
    }
}

TEST(ToolStream, InputForms) {
    struct Row {
        std::string frames;
        const char *input;
    };
    const Row rows[] = {
        {frame("t1", "") + stop(), "{}"},
        {fragment("") + stop(), "{}"},
        {fragment(R"( \n )") + stop(), "{}"},
        {frame("t1", R"(,"input":null)") + stop(), "{}"},
        {frame("t1", R"(,"input":{},"stop":true)"), "{}"},
        {frame("t1", R"(,"stop":true)"), "{}"},
        {fragment("{}") + stop(), "{}"},
        {frame("t1", R"(,"input":{"a":[1,{"b":"c\"d"}]},"stop":true)"), R"({"a":[1,{"b":"c\"d"}]})"},
        {frame("t1", R"(,"input":{"a":1})") + stop(), R"({"a":1})"},
        {frame("t1", R"(,"input":"{\"a\":1}","stop":true)"), R"({"a":1})"},
        {fragment(R"({\"a\":1} \n)") + stop(), R"({"a":1})"},
        {frame("t1", "", "") + fragment("{") + fragment("}") + stop(), "{}"},
        {frame("t1", R"(,"input":"{\"a\":")", "") + fragment("1}") + stop(), R"({"a":1})"}, // late name
        {fragment(R"({\"a\":\"\ud83d)") + fragment(R"(\"})") + stop(), "{\"a\":\"\xef\xbf\xbd\"}"},
        {fragment("{}") + stop() + fragment("{}") + stop() + fragment("x"), "{}"}, // again
    };
    for (const Row &row : rows) {
        for (const test::Mode &mode : kStreams) {
            Stream stream(mode);
            stream.feed(row.frames + test::tail());
            const test::Seen seen = stream.eof();
            EXPECT_EQ(seen.tools, (std::vector<test::SeenTool>{{"t1", "f", row.input}})) << row.frames;
            EXPECT_TRUE(seen.cut.empty());
        }
    }
}

// What a client gets of a call with this input, cut in two at a place.
test::SeenTool cut_call(const test::Mode &mode, std::string_view raw, size_t at, kiro_tool_stream tools) {
    Stream stream(mode, nullptr, 0, tools);
    stream.feed(fragment(raw.substr(0, at)));
    stream.feed(fragment(raw.substr(at)) + stop() + test::tail());
    const test::Seen seen = stream.eof();
    EXPECT_EQ(seen.tools.size(), 1u) << raw << " at " << at;
    return seen.tools.empty() ? test::SeenTool() : seen.tools[0];
}

// The pieces of raw, which is a string's contents, cut in two everywhere a payload can be.
TEST(ToolStream, AFragmentMayEndAnywhere) {
    const std::string inputs[] = {
        R"({\"a\":\"é\\n\\u00e9\ud83d\ude42\u20ac\\ud83d\\ude42日\\\\\"})",
        // halves of pairs, in the JSON text and around it
        R"({\"a\":\"\\ud83d\\ude42\\ud83d\\ud83d\\ude42\\ude42x\\ud83d\\n\\ud83d\\\\ud83d\\udbff\"})",
        R"({\"\\ud83d\":[\"\\uD83D\\u00e9\",\"\\u005cud83d\",\"\\ud83\u0064\\\u0075de42\\ud83d\"]})",
        R"({\"a\":\"\ud83dx\ude42\ud83d\"})",
        // what JSON forbids in strings
        R"( \n{ \"a\" :\n\"1\n2\t3\u00014\u00005\\ud83d\n\" , \"b\":{\"c\":[{}],\"}\":\"]\"}\t}\r\n )",
    };
    for (const std::string &raw : inputs) {
        const std::string expected =
            cut_call(test::kModes[0], raw, 0, KIRO_TOOLS_COMPLETE).input; // the reader has it minified
        EXPECT_NE(expected, "");
        for (size_t at = 0; at <= raw.size();) {
            for (const test::Mode &mode : kStreams) {
                ASSERT_EQ(cut_call(mode, raw, at, KIRO_TOOLS_INCREMENTAL).input, expected) << raw << at;
            }
            if (at == raw.size()) {
                break;
            }
            // Halves of a pair are two escapes, all else is a character.
            at += raw[at] == '\\' ? (raw[at + 1] == 'u' ? 6 : 2)
                                  : kiro::json::utf8_sequence(std::string_view(raw).substr(at));
        }
    }
}

TEST(ToolStream, ALineEndInAStringIsEscapedInACutCallToo) {
    for (const test::Mode &mode : kStreams) {
        Stream stream(mode);
        stream.feed(fragment(R"({\"in)"));
        stream.feed(fragment(R"( \n)") + stop() + test::tail("TOOL_USE"));
        const test::Seen seen = stream.eof();
        ASSERT_EQ(seen.cut.size(), 1u);
        EXPECT_EQ(seen.cut[0].input, R"({"in \n)");
    }
}

// However much of it came: only a call with its end looks whole.
TEST(ToolStream, ACallWithoutItsEndNeverLooksWhole) {
    for (const char *input : {R"({})", R"({\"a\":{\"b\":\"}\"}})", R"( {\"a\":[]} \n)", R"({\"a\":1}})"}) {
        for (const test::Mode &mode : kStreams) {
            for (const std::string &end :
                 {test::tail("TOOL_USE"), std::string(), text_event("x") + test::tail()}) {
                Stream stream(mode);
                stream.feed(fragment(input));
                stream.feed(end);
                const test::Seen seen = stream.eof();
                EXPECT_TRUE(seen.tools.empty()) << input;
                EXPECT_EQ(seen.cut.size(), 1u) << input;
                EXPECT_EQ(seen.stop, length_of(mode));
            }
        }
    }
}

// A call that breaks ends the signature before it, whether a client sees a part of it or nothing.
TEST(ToolStream, ABrokenCallBetweenSignatures) {
    const std::string signature = event("reasoningContentEvent", R"({"signature":"QUJD"})");
    for (const char *input : {R"({\"a\":)", "nul", ""}) {
        Stream complete(test::kModes[2], nullptr, 0, KIRO_TOOLS_COMPLETE), incremental(test::kModes[2]);
        for (Stream *stream : {&complete, &incremental}) {
            stream->feed(text_event("x") + signature + fragment(input) + signature + stop() + signature +
                         test::tail());
        }
        complete.eof();
        incremental.eof();
        const auto signatures = [](std::string_view output) {
            size_t n = 0;
            for (size_t at = 0; (at = output.find("signature_delta", at)) != output.npos; ++at) {
                ++n;
            }
            return n;
        };
        EXPECT_EQ(signatures(complete.output), 3u) << input;
        EXPECT_EQ(signatures(incremental.output), 3u) << input;
    }
}

// Nobody can run these, so they are kept like calls that come whole.
TEST(ToolStream, AnInputThatIsNoObjectIsNotPassedOn) {
    for (const char *input : {"[1]", "5", R"(\"{}\")", " nul", R"(\\{})", "\\u0000{}"}) {
        for (const test::Mode &mode : kStreams) {
            Stream stream(mode);
            stream.feed(text_event("x") + fragment(input) + fragment("{}", "t2") + stop("t2"));
            stream.feed(stop() + test::tail());
            const test::Seen seen = stream.eof();
            EXPECT_TRUE(seen.cut.empty()) << input;
            EXPECT_EQ(seen.tools, (std::vector<test::SeenTool>{{"t2", "f", "{}"}}));
            EXPECT_EQ(seen.stop, length_of(mode));
        }
    }
}

TEST(ToolStream, OneThingIsOpenAtATime) {
    const std::string bytes = fragment(R"({\"a\")", "t1") + fragment("{", "t2") + text_event("between") +
                              event("reasoningContentEvent", R"({"text":"hm"})") +
                              event("reasoningContentEvent", R"({"signature":"AA"})") + fragment(":", "t1") +
                              fragment("}", "t2") + stop("t2") + fragment("{}", "t3") + stop("t3") +
                              fragment("1}", "t1") + stop("t1") + fragment("{}", "t4") + stop("t4") +
                              test::tail();
    for (const test::Mode &mode : kStreams) {
        Stream stream(mode);
        stream.feed(bytes);
        const test::Seen seen = stream.eof();
        EXPECT_EQ(seen.text, "between");
        EXPECT_EQ(seen.reasoning, "hm");
        EXPECT_EQ(seen.tools,
                  (std::vector<test::SeenTool>{
                      {"t1", "f", R"({"a":1})"}, {"t2", "f", "{}"}, {"t3", "f", "{}"}, {"t4", "f", "{}"}}));
        EXPECT_EQ(seen.stop, calls_of(mode));
    }
}

TEST(ToolStream, WhatWaitsIsBounded) {
    for (const test::Mode &mode : kStreams) {
        Stream stream(mode, nullptr, 50000);
        stream.feed(fragment("{"));
        for (int i = 0; i < 100 && !kiro_reply_done(stream.get()); ++i) {
            stream.feed(text_event(std::string(1000, 'x')));
        }
        EXPECT_TRUE(stream.end().error);
    }
}

TEST(ToolStream, ABrokenCallEndsTheTurn) {
    const std::string ends[] = {
        stop() + test::tail("TOOL_USE"),
        test::tail("TOOL_USE"),
        "",
        fragment("\\n\\\"x") + stop() + test::tail(),
        fragment("{}", "t2") + stop("t2") + test::tail(),
        text_event("more") + test::tail(),
    };
    for (const std::string &end : ends) {
        for (const test::Mode &mode : kStreams) {
            Stream stream(mode);
            stream.feed(fragment(R"({\"a\":\"b)"));
            stream.feed(end);
            const test::Seen seen = stream.eof();
            ASSERT_EQ(seen.cut.size(), 1u) << end;
            EXPECT_EQ(seen.cut[0].input.substr(0, 7), R"({"a":"b)");
            EXPECT_EQ(seen.stop, length_of(mode));
            EXPECT_EQ(seen.text, end.find("more") == end.npos ? "" : "more");
            EXPECT_EQ(seen.tools.size(), end.find("t2") == end.npos ? 0u : 1u);
            kiro_reply_info info;
            kiro_reply_get_info(stream.get(), &info);
            EXPECT_TRUE(info.lost_call);
        }
    }
}

TEST(ToolStream, ACallThatBreaksOffBeforeItsInputNeverWas) {
    for (const test::Mode &mode : kStreams) {
        for (const std::string &end :
             {frame("t1", "") + test::tail(), fragment(" ") + std::string(), frame("t1", "")}) {
            Stream stream(mode);
            stream.feed(text_event("x") + end);
            const test::Seen seen = stream.eof();
            EXPECT_TRUE(seen.cut.empty() && seen.tools.empty());
            EXPECT_EQ(seen.stop, length_of(mode));
        }
    }
}

TEST(ToolStream, FailuresInTheMiddleOfACall) {
    kiro_failure why;
    kiro_failure_set(&why, KIRO_FAIL_UPSTREAM_TIMEOUT, "late");
    for (const test::Mode &mode : kStreams) {
        Stream thrown(mode);
        thrown.feed(fragment(R"({\"a\")"));
        thrown.feed(test::exception("error", "{}"));
        EXPECT_TRUE(thrown.end().error);
        Stream late(mode);
        late.feed(fragment(R"({\"a\")"));
        kiro_reply_abort(late.get(), &why);
        EXPECT_TRUE(late.end().error);
        Stream full(mode);
        full.feed(fragment(R"({\"a\")"));
        full.feed(test::exception("ContentLengthExceededException", "{}"));
        EXPECT_EQ(full.end().stop, length_of(mode));
        Stream big(mode, nullptr, 5000);
        big.feed(fragment(R"({\"a\":\")"));
        for (int i = 0; i < 10 && !kiro_reply_done(big.get()); ++i) {
            big.feed(fragment(std::string(1000, 'x')));
        }
        big.feed(fragment(R"(\"})") + stop() + test::tail());
        const test::Seen seen = big.eof();
        EXPECT_TRUE(seen.error || (seen.cut.size() == 1 && seen.stop == length_of(mode)));
    }
}

TEST(ToolStream, TheLimitOfTheAnswer) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(R"({"model":"m","max_tokens":3,"messages":[{"role":"user","content":"x"}]})"));
    Stream stream(test::kModes[2], request.request.get());
    stream.feed(fragment(R"({\"a\":\")") + fragment(std::string(100, 'x')));
    EXPECT_TRUE(kiro_reply_done(stream.get()));
    const test::Seen seen = stream.end();
    ASSERT_EQ(seen.cut.size(), 1u);
    EXPECT_LT(seen.cut[0].input.size(), 20u);
    EXPECT_EQ(seen.stop, "max_tokens");
}

TEST(ToolStream, NamesOfTheClientAndFreeformTools) {
    ClientRequest request(KIRO_API_OPENAI_RESPONSES);
    ASSERT_TRUE(
        request.parse(R"({"model":"m","input":"x","tools":[{"type":"custom","name":"patch"},)"
                      R"({"type":"namespace","name":"ns","tools":[{"type":"function","name":"f"}]}]})"));
    Stream stream(test::kModes[4], request.request.get());
    EXPECT_EQ(stream.feed(frame("t1", R"(,"input":"{\"input\":\"ra")", "patch")), "");
    EXPECT_NE(stream.feed(frame("t1", R"(,"input":"w\"}","stop":true)", "patch")), "");
    stream.feed(frame("t2", R"(,"input":"{}","stop":true)", "ns__f") + test::tail());
    const test::Seen seen = stream.eof();
    ASSERT_EQ(seen.tools.size(), 2u);
    EXPECT_EQ(seen.tools[0], (test::SeenTool{"t1", "patch", "raw"}));
    EXPECT_EQ(seen.tools[1], (test::SeenTool{"t2", "f", "{}"}));
    EXPECT_EQ(seen.tool_types, (std::vector<std::string>{"custom_tool_call", "function_call"}));
    EXPECT_EQ(seen.tool_spaces, (std::vector<std::string>{"", "ns"}));
}

TEST(ToolStream, LegacyFunctions) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}],)"
                              R"("functions":[{"name":"f"}]})"));
    Stream stream(test::kModes[0], request.request.get());
    stream.feed(fragment("{"));
    stream.feed(fragment("}") + stop() + fragment(R"({\"b\":1})", "t2") + stop("t2") + test::tail());
    const test::Seen seen = stream.eof();
    ASSERT_EQ(seen.tools.size(), 1u);
    EXPECT_EQ(seen.tools[0].input, "{}");
    EXPECT_EQ(seen.stop, "function_call");
}

TEST(ToolStream, ACollectedAnswerHasWholeCalls) {
    const std::string bytes = text_event("x") + fragment(R"({\"a\":)") + fragment("1}") + stop() +
                              fragment("{", "t2") + stop("t2") + test::tail();
    for (const test::Mode &mode : {test::kModes[1], test::kModes[3], test::kModes[5]}) {
        Stream complete(mode, nullptr, 0, KIRO_TOOLS_COMPLETE), incremental(mode);
        complete.feed(bytes);
        incremental.feed(bytes);
        complete.eof();
        incremental.eof();
        EXPECT_EQ(complete.output, incremental.output);
        EXPECT_NE(complete.output, "");
    }
}

} // namespace
