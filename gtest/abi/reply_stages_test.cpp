// What a request asks for, in its reply: the stages behind the C ABI, in every dialect.

#include <gtest/gtest.h>

#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"

namespace {

using kiro::test::ClientRequest;

struct Result {
    std::string output;
    bool done = false; // before the end of the upstream's answer
    kiro_gate gate = KIRO_GATE_WAIT;
    kiro_failure failure{};
    kiro_reply_info info{};
};

Result reply(kiro_api api, bool stream, const kiro_request *request, std::string_view bytes, size_t piece) {
    const test::Reply rep = test::make_reply(test::reply_options({api, stream, ""}, request));
    Result result;
    bool committed = false;
    const auto drain = [&] {
        const kiro_gate gate = kiro_reply_gate(rep.get());
        if (!committed && (gate == KIRO_GATE_COMMIT || gate == KIRO_GATE_COMPLETE)) {
            kiro_reply_commit(rep.get());
            committed = true;
        }
        for (kiro_str out; committed && kiro_reply_next(rep.get(), &out) == KIRO_OK;)
            result.output.append(out.data, out.len);
    };
    for (size_t at = 0; at < bytes.size() && !kiro_reply_done(rep.get()); at += piece) {
        const std::string part(bytes.substr(at, piece));
        EXPECT_EQ(kiro_reply_feed(rep.get(), part.data(), part.size()), KIRO_OK);
        drain();
    }
    result.done = kiro_reply_done(rep.get()) != 0;
    EXPECT_EQ(kiro_reply_eof(rep.get()), KIRO_OK);
    drain();
    EXPECT_TRUE(kiro_reply_done(rep.get()));
    result.gate = kiro_reply_gate(rep.get());
    result.failure = *kiro_reply_failure(rep.get());
    kiro_reply_get_info(rep.get(), &result.info);
    return result;
}

std::string chat(std::string_view more) {
    return R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"x"}],)" + std::string(more) +
           "}";
}

const std::string answer =
    test::text_event(R"(one\n)") + test::text_event("EN") + test::text_event("D two") + test::tail();

TEST(ReplyStages, AStopTextEndsTheReply) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(chat(R"("stop":"\nEND")")));
    for (const size_t piece : {size_t{1}, size_t{50}, answer.size()}) {
        const Result streamed = reply(KIRO_API_OPENAI_CHAT, true, request.request.get(), answer, piece);
        EXPECT_TRUE(streamed.done);
        EXPECT_EQ(test::read_openai_stream(streamed.output).text, "one");
        EXPECT_EQ(test::read_openai_stream(streamed.output).stop, "stop");
        const Result whole = reply(KIRO_API_OPENAI_CHAT, false, request.request.get(), answer, piece);
        EXPECT_TRUE(whole.done);
        EXPECT_EQ(test::read_openai_object(whole.output).text, "one");
    }
}

TEST(ReplyStages, AnthropicSaysWhichStopText) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(chat(R"("max_tokens":100,"stop_sequences":["\nEND"])")));
    for (const bool stream : {false, true}) {
        const Result result = reply(KIRO_API_ANTHROPIC, stream, request.request.get(), answer, 40);
        EXPECT_NE(result.output.find(R"("stop_reason":"stop_sequence","stop_sequence":"\nEND")"),
                  std::string::npos);
        EXPECT_EQ(kiro::test::view(result.info.stop_reason), "stop_sequence");
    }
}

TEST(ReplyStages, AStopTextAtTheStartIsAnEmptyAnswer) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(chat(R"("stop":"one")")));
    const Result result = reply(KIRO_API_OPENAI_CHAT, true, request.request.get(), answer, answer.size());
    EXPECT_EQ(result.gate, KIRO_GATE_COMPLETE);
    EXPECT_EQ(test::read_openai_stream(result.output).text, "");
}

TEST(ReplyStages, TheLimitEndsTheReply) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(chat(R"("max_tokens":1)")));
    const Result result = reply(KIRO_API_OPENAI_CHAT, false, request.request.get(), answer, answer.size());
    const test::Seen seen = test::read_openai_object(result.output);
    EXPECT_TRUE(result.done);
    EXPECT_EQ(seen.text, "one\n");
    EXPECT_EQ(seen.stop, "length");
    EXPECT_EQ(seen.output, 1u);
    EXPECT_EQ(result.info.output_tokens, 1u);
}

TEST(ReplyStages, WhatIsHeldComesOutWhenTheAnswerIsCut) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(chat(R"("stop":"END")")));
    const std::string cut = test::text_event("one EN");
    const Result result = reply(KIRO_API_OPENAI_CHAT, true, request.request.get(), cut, cut.size());
    EXPECT_EQ(test::read_openai_stream(result.output).text, "one EN");
    EXPECT_EQ(test::read_openai_stream(result.output).stop, "length");
    EXPECT_EQ(result.failure.kind, KIRO_FAIL_UPSTREAM_CUT);
}

TEST(ReplyStages, AWrongFormIsRepairedOnceAndNotInStreams) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(chat(R"("response_format":{"type":"json_object"})")));
    const std::string prose = test::text_event("Sorry.") + test::tail();
    const kiro_request *asked = request.request.get();

    const Result first = reply(KIRO_API_OPENAI_CHAT, false, asked, prose, prose.size());
    EXPECT_EQ(first.gate, KIRO_GATE_FAILED);
    EXPECT_EQ(first.failure.retry, KIRO_RETRY_CHANGED);
    EXPECT_EQ(first.failure.change, KIRO_CHANGE_REPAIR_OUTPUT);
    EXPECT_EQ(test::read_openai_stream(reply(KIRO_API_OPENAI_CHAT, true, asked, prose, 9).output).text,
              "Sorry.");

    ASSERT_EQ(kiro_request_change(request.request.get(), &first.failure), KIRO_OK);
    const Result second = reply(KIRO_API_OPENAI_CHAT, false, asked, prose, prose.size());
    EXPECT_EQ(second.gate, KIRO_GATE_COMPLETE);
    EXPECT_EQ(test::read_openai_object(second.output).text, "Sorry.");
}

TEST(ReplyStages, ACutAnswerIsNotRepaired) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(chat(R"("response_format":{"type":"json_object"},"max_tokens":2)")));
    const std::string json = test::text_event(R"({\"a\":\"long text\"})") + test::tail();
    const Result result = reply(KIRO_API_OPENAI_CHAT, false, request.request.get(), json, json.size());
    EXPECT_EQ(result.gate, KIRO_GATE_COMPLETE);
    EXPECT_EQ(test::read_openai_object(result.output).stop, "length");
}

} // namespace
