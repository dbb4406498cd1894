// Tool calls on their way to the client.

#include "kiro/reply.h"

#include "core/json/raw.h"

#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"

#include <chrono>

namespace {

using kiro::test::ClientRequest;
using test::event;

constexpr test::Mode kStreams[] = {test::kModes[0], test::kModes[2], test::kModes[4]};

std::string fragment(std::string_view escaped, std::string_view id = "t1") {
    return test::tool_input(id, "f", escaped);
}

std::string stop(std::string_view id = "t1") {
    return test::tool_stop(id, "f");
}

std::string repeated(std::string_view text, size_t times) {
    std::string out;
    for (size_t i = 0; i < times; ++i) {
        out += text;
    }
    return out;
}

// The strings that stand behind key in a stream, as they are.
std::vector<std::string> strings_of(std::string_view output, std::string_view key) {
    std::vector<std::string> found;
    const std::string mark = "\"" + std::string(key) + "\":\"";
    for (size_t at = output.find(mark); at != output.npos; at = output.find(mark, at)) {
        at += mark.size();
        const size_t start = at;
        while (output[at] != '"') {
            at += output[at] == '\\' ? 2 : 1;
        }
        found.emplace_back(output.substr(start, at - start));
    }
    return found;
}

constexpr std::string_view input_key(kiro_api api) {
    return api == KIRO_API_ANTHROPIC ? "partial_json" : api == KIRO_API_OPENAI_CHAT ? "arguments" : "delta";
}

TEST(ReplySlices, AreLegalWhereverTheyEnd) {
    // Characters and escapes of all lengths, shifted so that a cut would fall on each of their bytes.
    for (size_t shift = 0; shift < 48; ++shift) {
        const std::string pad(shift, 'x');
        const std::string bytes = test::tool_event("t1", "f", "") + fragment(R"({\"a\":\")" + pad) +
                                  fragment(repeated(R"(é\\n\\u00e9\ud83d\ude42日\\\\🙂\u20ac)", 600)) +
                                  fragment(R"(\"})") + stop() + test::tail("TOOL_USE");
        const std::string whole = "{\"a\":\"" + pad + repeated("é\\n\\u00e9🙂日\\\\🙂€", 600) + "\"}";
        for (const test::Mode &mode : kStreams) {
            const std::string output = test::run(mode, bytes).output;
            ASSERT_NO_THROW(test::read(mode, output)) << mode.name;
            std::string joined;
            size_t pieces = 0;
            for (const std::string &piece : strings_of(output, input_key(mode.api))) {
                if (mode.api == KIRO_API_OPENAI_RESPONSES && joined == whole) {
                    break;
                }
                EXPECT_LE(piece.size(), 4096u);
                ASSERT_TRUE(kiro::json::unescape(piece, joined)) << piece;
                ++pieces;
            }
            ASSERT_EQ(joined, whole) << mode.name;
            EXPECT_GT(pieces, 4u);
        }
    }
}

TEST(ReplySlices, ABigCallCostsNoMoreThanItsSize) {
    const size_t size = 8 * 1024 * 1024;
    std::string bytes = test::tool_event("t1", "f", "") + fragment(R"({\"a\":\")");
    for (size_t at = 0; at < size; at += 16384) {
        bytes += fragment(std::string(16384, 'x'));
    }
    bytes += fragment(R"(\"})") + stop() + test::tail("TOOL_USE");
    for (const test::Mode &mode : test::kModes) {
        const auto begin = std::chrono::steady_clock::now();
        const test::Outcome o = test::run(mode, bytes);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        EXPECT_EQ(o.gate, KIRO_GATE_COMPLETE);
        // Responses says it four times. A quadratic step would take minutes.
        EXPECT_LT(o.output.size(), (mode.api == KIRO_API_OPENAI_RESPONSES && mode.stream ? 5 : 2) * size);
        EXPECT_LT(took.count(), 20) << mode.name;
        EXPECT_EQ(test::read(mode, o.output).tools.at(0).input.size(), size + 8) << mode.name;
    }
}

std::string answer(const ClientRequest &request, const test::Mode &mode, std::string_view bytes) {
    return test::answer(test::reply_options(mode, request.request.get()), bytes);
}

std::string joined(const std::vector<std::string> &pieces) {
    std::string all;
    for (const std::string &piece : pieces) {
        all += piece;
    }
    return all;
}

TEST(ReplySlices, LegacyFunctionsHaveTheirNameOnce) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}],)"
                              R"("functions":[{"name":"f"}]})"));
    const std::string text(10000, 'x');
    const std::string output = answer(request, test::kModes[0],
                                      fragment(R"({\"a\":\")" + text + R"(\"})") + stop() +
                                          fragment("{}", "t2") + stop("t2") + test::tail());
    EXPECT_NE(output.find(R"("delta":{"function_call":{"name":"f","arguments":""}})"), output.npos);
    EXPECT_EQ(output.find(R"("name")"), output.rfind(R"("name")"));
    EXPECT_EQ(strings_of(output, "arguments").size(), 4u);
    EXPECT_EQ(joined(strings_of(output, "arguments")), R"({\"a\":\")" + text + R"(\"})");
    EXPECT_NE(output.find(R"("finish_reason":"function_call")"), output.npos);
}

TEST(ReplySlices, OfFreeformTools) {
    const std::string text = repeated(R"(line\n🙂)", 1000);
    const std::string bytes =
        test::tool_event("t1", "patch", R"(,"input":{"input":")" + text + R"("},"stop":true)") +
        test::tool_event("t2", "patch", R"(,"input":{"input":""},"stop":true)") + test::tail();
    ClientRequest chat;
    ASSERT_TRUE(chat.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}],)"
                           R"("tools":[{"type":"custom","custom":{"name":"patch"}}]})"));
    const std::vector<std::string> pieces = strings_of(answer(chat, test::kModes[0], bytes), "input");
    EXPECT_EQ(pieces.size(), 6u);
    EXPECT_EQ(joined(pieces), text);

    ClientRequest responses(KIRO_API_OPENAI_RESPONSES);
    ASSERT_TRUE(responses.parse(R"({"model":"m","input":"x","tools":[{"type":"custom","name":"patch"}]})"));
    const std::string output = answer(responses, test::kModes[4], bytes);
    const test::Seen seen = test::read_responses_stream(output);
    ASSERT_EQ(seen.tools.size(), 2u);
    EXPECT_EQ(seen.tools[0].input, kiro::json::unescaped(text));
    EXPECT_EQ(seen.tools[1].input, "");
    EXPECT_EQ(strings_of(output, "delta").size(), 4u);
}

struct Settled {
    kiro_status status;
    test::Seen seen;
    kiro_reply_info info{};
    kiro_failure failure{};
};

// As nginx does when no attempt is left.
Settled settle(test::Reply &reply, const test::Mode &mode, const kiro_failure &why) {
    Settled result{kiro_reply_settle(reply.get(), &why), {}};
    kiro_reply_get_info(reply.get(), &result.info);
    result.failure = *kiro_reply_failure(reply.get());
    if (result.status == KIRO_OK) {
        EXPECT_EQ(kiro_reply_gate(reply.get()), KIRO_GATE_COMPLETE);
        kiro_reply_commit(reply.get());
        kiro_str piece{};
        EXPECT_EQ(kiro_reply_next(reply.get(), &piece), KIRO_OK);
        EXPECT_NO_THROW(result.seen = test::read(mode, {piece.data, piece.len}))
            << std::string_view(piece.data, piece.len);
    }
    return result;
}

test::Reply fed(const test::Mode &mode, std::string_view bytes, const kiro_request *request = nullptr) {
    test::Reply reply = test::make_reply(test::reply_options(mode, request));
    kiro_reply_feed(reply.get(), bytes.data(), bytes.size());
    kiro_reply_eof(reply.get());
    return reply;
}

TEST(ReplySettle, ACutCallAloneIsRetriedAndThenReachedItsLength) {
    const std::string answers[] = {
        fragment(R"({\"a\":1)") + stop() + test::tail("TOOL_USE"),
        fragment(R"({\"a\":1)") + test::tail("TOOL_USE"),
        fragment(R"({\"a\":1)"),
        event("reasoningContentEvent", R"({"redactedContent":"AAEC"})") + fragment(R"({\"a\":1)") + stop() +
            test::tail("TOOL_USE"),
        event("reasoningContentEvent", R"({"signature":"AAEC"})") + fragment(R"({\"a\":1)"),
    };
    for (const std::string &bytes : answers) {
        for (const test::Mode &mode : test::kModes) {
            test::Reply reply = fed(mode, bytes);
            ASSERT_EQ(kiro_reply_gate(reply.get()), KIRO_GATE_FAILED) << mode.name;
            const kiro_failure why = *kiro_reply_failure(reply.get());
            EXPECT_EQ(why.kind, KIRO_FAIL_UPSTREAM_CUT);
            EXPECT_TRUE(why.retry == KIRO_RETRY_BACKOFF || why.retry == KIRO_RETRY_ONCE);
            kiro_str none;
            EXPECT_EQ(kiro_reply_next(reply.get(), &none), KIRO_AGAIN);

            const Settled end = settle(reply, mode, why);
            ASSERT_EQ(end.status, KIRO_OK);
            EXPECT_EQ(end.seen.stop, mode.api == KIRO_API_ANTHROPIC     ? "max_tokens"
                                     : mode.api == KIRO_API_OPENAI_CHAT ? "length"
                                                                        : "incomplete/max_output_tokens");
            EXPECT_TRUE(end.seen.tools.empty());
            EXPECT_EQ(end.failure.kind, KIRO_FAIL_UPSTREAM_CUT);
            EXPECT_TRUE(end.info.finished && !end.info.failed);
        }
    }
}

TEST(ReplySettle, WhatWasSaidBesideACutCallIsNotLost) {
    const std::string bytes = test::text_event("said") + fragment(R"({\"a\":1)");
    for (const test::Mode &mode : {test::kModes[1], test::kModes[3], test::kModes[5]}) {
        test::Reply reply = fed(mode, bytes);
        ASSERT_EQ(kiro_reply_gate(reply.get()), KIRO_GATE_FAILED);
        EXPECT_EQ(settle(reply, mode, *kiro_reply_failure(reply.get())).seen.text, "said");
    }
}

TEST(ReplySettle, OtherFailuresStand) {
    const std::string answers[] = {"", test::tail(), test::text_event("x"), test::exception("error", "{}"),
                                   fragment("{") + test::exception("error", "{}")};
    for (const std::string &bytes : answers) {
        test::Reply reply = fed(test::kModes[1], bytes);
        ASSERT_EQ(kiro_reply_gate(reply.get()), KIRO_GATE_FAILED);
        const kiro_failure why = *kiro_reply_failure(reply.get());
        EXPECT_EQ(kiro_reply_settle(reply.get(), &why), KIRO_ERROR);
    }
}

TEST(ReplySettle, AnAnswerThatCouldNotBeRepairedIsGivenAsItIs) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}],)"
                              R"("response_format":{"type":"json_object"}})"));
    test::Reply reply = fed(test::kModes[1], test::text_event("prose") + test::tail(), request.request.get());
    ASSERT_EQ(kiro_reply_failure(reply.get())->change, KIRO_CHANGE_REPAIR_OUTPUT);
    kiro_failure later; // of the attempt that was to repair it
    kiro_failure_set(&later, KIRO_FAIL_CONTEXT_OVERFLOW, "too long now");
    const Settled end = settle(reply, test::kModes[1], later);
    ASSERT_EQ(end.status, KIRO_OK);
    EXPECT_EQ(end.seen.text, "prose");
    EXPECT_EQ(end.seen.stop, "stop");
    EXPECT_EQ(end.failure.kind, KIRO_FAIL_CONTEXT_OVERFLOW);
}

TEST(ReplySettle, HeadersThatAreOutGetAnErrorAlone) {
    for (const test::Mode &mode : kStreams) {
        test::Reply reply = fed(mode, fragment(R"({\"a\":1)"));
        const kiro_failure why = *kiro_reply_failure(reply.get());
        ASSERT_EQ(kiro_reply_give_up(reply.get(), &why), KIRO_OK);
        kiro_str piece;
        ASSERT_EQ(kiro_reply_next(reply.get(), &piece), KIRO_OK);
        EXPECT_TRUE(test::read(mode, {piece.data, piece.len}).error);
    }
}

} // namespace
