// Reasoning on its way out to a client and back to the upstream.

#include <gtest/gtest.h>
#include <simdjson.h>
#include <string>

#include "core/json/writer.h"
#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"
#include "support/upstream_rules.h"

namespace {

using namespace kiro::test;

struct Setting {
    std::string model = "claude-opus-4.6";
    std::string account = "main/arn:x";
    kiro_thinking thinking = KIRO_THINKING_AUTO;
    std::string members = R"("thinking":{"type":"adaptive"},)";
};

ClientRequest ask(const Setting &setting, const std::string &messages) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    request.options.account = {setting.account.data(), setting.account.size()};
    request.options.thinking = setting.thinking;
    EXPECT_TRUE(request.parse(R"({"model":")" + setting.model + "\"," + setting.members + R"("messages":)" +
                              messages + "}"))
        << request.failure.message;
    return request;
}

// What the client sees of an answer of the upstream.
test::Seen answer(const Setting &setting, bool stream, const std::string &frames) {
    ClientRequest request = ask(setting, R"([{"role":"user","content":"Hi"}])");
    kiro_reply_options opts{};
    opts.api = KIRO_API_ANTHROPIC;
    opts.stream = stream;
    opts.request = request.request.get();
    opts.model = {"m", 1};
    opts.id = {"0123456789", 10};
    test::Reply reply(kiro_reply_create(&opts), kiro_reply_free);
    const std::string bytes = frames + test::tail();
    kiro_reply_feed(reply.get(), bytes.data(), bytes.size());
    kiro_reply_eof(reply.get());
    std::string output;
    for (kiro_str piece; kiro_reply_next(reply.get(), &piece) == KIRO_OK;)
        output.append(piece.data, piece.len);
    return stream ? test::read_anthropic_stream(output) : test::read_anthropic_object(output);
}

std::string json_of(std::string_view text) {
    std::string out;
    kiro::json::append_string(out, text);
    return out;
}

std::string thinking(std::string_view text, std::string_view signature) {
    return R"({"type":"thinking","thinking":)" + json_of(text) + R"(,"signature":)" + json_of(signature) +
           "}";
}
std::string redacted(std::string_view data) {
    return R"({"type":"redacted_thinking","data":)" + json_of(data) + "}";
}

// The assistant's message of the next request.
std::string replayed(const Setting &setting, const std::string &blocks, ClientRequest *keep = nullptr) {
    ClientRequest request =
        ask(setting, R"([{"role":"user","content":"Hi"},{"role":"assistant","content":[)" + blocks +
                         R"(]},{"role":"user","content":"More"}])");
    std::string body = request.write();
    EXPECT_EQ(broken_rule(body), "") << body;
    const size_t from = body.find("assistantResponseMessage");
    std::string out = from == std::string::npos ? "" : body.substr(from, body.find("}]", from) - from);
    if (keep != nullptr)
        *keep = std::move(request);
    return out;
}

std::string reasoning_frame(std::string_view payload) {
    return test::event("reasoningContentEvent", payload);
}

const std::string kText = R"({"type":"text","text":"Hello"})";
const std::string kFrames = reasoning_frame(R"({"text":"First\n\ud83d"})") +
                            reasoning_frame(R"({"text":"\ude42 I read."})") +
                            reasoning_frame(R"({"signature":"Ep+/"})") +
                            reasoning_frame(R"({"signature":"SIM=="})") + test::text_event("Hello");
const std::string kReplayed =
    R"("reasoningContent":{"reasoningText":{"text":"First\n🙂 I read.","signature":"Ep+/SIM=="}})";

TEST(Replay, SealedReasoningGoesBackWhole) {
    const Setting setting;
    for (bool stream : {true, false}) {
        const test::Seen seen = answer(setting, stream, kFrames);
        EXPECT_EQ(seen.reasoning, "First\n🙂 I read.");
        EXPECT_TRUE(seen.signature.starts_with("kr1s")) << seen.signature;
        const std::string message = replayed(setting, thinking(seen.reasoning, seen.signature) + "," + kText);
        EXPECT_NE(message.find(kReplayed), std::string::npos) << message;
    }
}

TEST(Replay, OnlyToWhereItCameFrom) {
    const Setting setting;
    const test::Seen seen = answer(setting, true, kFrames);
    const auto shut = [&](const Setting &other, const std::string &block) {
        const std::string message = replayed(other, block + "," + kText);
        EXPECT_EQ(message.find("reasoningContent"), std::string::npos) << message;
        EXPECT_NE(message.find(R"("content":"Hello")"), std::string::npos) << message;
    };
    const std::string whole = thinking(seen.reasoning, seen.signature);
    shut({.model = "claude-opus-4.7"}, whole);
    shut({.account = "other/arn:x"}, whole);
    shut({.account = "main/arn:y"}, whole);
    shut(setting, thinking(seen.reasoning + " ", seen.signature));
    shut(setting, thinking("", seen.signature));
    shut(setting, thinking(seen.reasoning, "Ep+/SIM=="));
    shut(setting, thinking(seen.reasoning, ""));
    shut(setting, R"({"type":"thinking","thinking":"x"})");
    shut(setting, redacted("xx"));
    shut(setting, R"({"type":"redacted_thinking"})");
    // it does not think now
    shut({.members = R"("thinking":{"type":"disabled"},)"}, whole);
    shut({.members = ""}, whole);
    shut({.thinking = KIRO_THINKING_OFF}, whole);
    shut({.thinking = KIRO_THINKING_TAGS}, whole);
}

// The items of a Responses answer go back as they came.
TEST(Replay, ItemsOfResponses) {
    constexpr const char *members =
        R"("reasoning":{"effort":"high","summary":"auto"},"include":["reasoning.encrypted_content"],"store":false)";
    const auto parsed = [&](const char *model, const std::string &input) {
        ClientRequest request(KIRO_API_OPENAI_RESPONSES);
        request.options.account = {"main", 4};
        EXPECT_TRUE(request.parse(R"({"model":")" + std::string(model) + "\"," + members + R"(,"input":)" +
                                  input + "}"))
            << request.failure.message;
        return request;
    };
    const auto replay = [&](const char *model, const std::string &frames) {
        ClientRequest request = parsed(model, R"("Hi")");
        kiro_reply_options opts{};
        opts.api = KIRO_API_OPENAI_RESPONSES;
        opts.request = request.request.get();
        opts.model = {"m", 1};
        opts.id = {"0123456789", 10};
        test::Reply reply(kiro_reply_create(&opts), kiro_reply_free);
        const std::string bytes = frames + test::tail();
        kiro_reply_feed(reply.get(), bytes.data(), bytes.size());
        kiro_reply_eof(reply.get());
        kiro_str piece{};
        EXPECT_EQ(kiro_reply_next(reply.get(), &piece), KIRO_OK);
        simdjson::dom::parser parser;
        simdjson::padded_string text(piece.data, piece.len);
        std::string input = R"([{"role":"user","content":"Hi"})";
        for (auto item : parser.parse(text)["output"].get_array())
            input += "," + std::string(simdjson::minify(item));
        const std::string body = parsed(model, input + R"(,{"role":"user","content":"More"}])").write();
        EXPECT_EQ(broken_rule(body), "") << body;
        return body;
    };
    std::string body = replay("claude-opus-4.6", kFrames);
    EXPECT_NE(body.find(kReplayed), std::string::npos) << body;
    body = replay("gpt-5.6-sol",
                  test::text_event("Hello") + reasoning_frame(R"({"text":"...","signature":".KTR~~b3Bh"})"));
    EXPECT_NE(body.find(R"("reasoningText":{"text":"...","signature":".KTR~~b3Bh"})"), std::string::npos)
        << body;
}

TEST(Replay, OpaqueReasoning) {
    const Setting gpt{.model = "gpt-5.6-sol"};
    test::Seen seen = answer(
        gpt, true, test::text_event("Hello") + reasoning_frame(R"({"text":"...","signature":".KTR~~b3Bh"})"));
    EXPECT_TRUE(seen.opaque.starts_with("kr1p")) << seen.opaque;
    std::string message = replayed(gpt, kText + "," + redacted(seen.opaque));
    EXPECT_NE(message.find(R"("reasoningContent":{"reasoningText":{"text":"...","signature":".KTR~~b3Bh"}})"),
              std::string::npos)
        << message;

    const Setting claude;
    seen = answer(claude, false,
                  reasoning_frame(R"({"redactedContent":"b3BhcXVl"})") + test::text_event("Hello"));
    EXPECT_TRUE(seen.opaque.starts_with("kr1r")) << seen.opaque;
    message = replayed(claude, redacted(seen.opaque) + "," + kText);
    EXPECT_NE(message.find(R"("reasoningContent":{"redactedContent":"b3BhcXVl"})"), std::string::npos)
        << message;
}

TEST(Replay, ASignatureWithoutText) {
    const Setting setting{.members = R"("thinking":{"type":"adaptive","display":"omitted"},)"};
    const test::Seen seen =
        answer(setting, true, reasoning_frame(R"({"signature":"Sig"})") + test::text_event("Hello"));
    EXPECT_EQ(seen.reasoning, "");
    const std::string message = replayed(setting, thinking("", seen.signature) + "," + kText);
    EXPECT_NE(message.find(R"("reasoningText":{"text":"","signature":"Sig"})"), std::string::npos) << message;
}

TEST(Replay, AMessageTakesTheFirstThatOpens) {
    const Setting setting;
    const auto signature = [&](const char *text, const char *payload) {
        return answer(setting, true,
                      reasoning_frame(std::string(R"({"text":")") + text + "\"}") +
                          reasoning_frame(std::string(R"({"signature":")") + payload + "\"}") +
                          test::text_event("x"))
            .signature;
    };
    const std::string one = thinking("one", signature("one", "S1")),
                      two = thinking("two", signature("two", "S2"));
    const auto used = [&](const std::string &blocks) {
        const std::string message = replayed(setting, blocks);
        const size_t at = message.find(R"("signature":")");
        return at == std::string::npos ? "" : message.substr(at + 13, 2);
    };
    EXPECT_EQ(used(one + "," + kText + "," + two), "S1");
    EXPECT_EQ(used(thinking("foreign", "xx") + "," + two + "," + kText), "S2");
    EXPECT_EQ(used(thinking("foreign", "kr1s") + "," + redacted("xx") + "," + two + "," + kText), "S2");
    // a signature is for all text in front of it
    EXPECT_EQ(used(thinking("o", "") + "," + thinking("ne", signature("one", "S1")) + "," + kText), "S1");
    // blocks in messages of their own, as some clients keep them
    const std::string apart = R"(]},{"role":"assistant","content":[)";
    EXPECT_EQ(used(one + apart + kText), "S1");
    EXPECT_EQ(used(kText + apart + two), "S2");
    EXPECT_EQ(used(one + R"(]},{"role":"user","content":"?"},{"role":"assistant","content":[)" + kText), "");
}

TEST(Replay, RefusedReasoningIsDroppedOnce) {
    const Setting setting;
    const test::Seen seen = answer(setting, true, kFrames);
    ClientRequest request(KIRO_API_ANTHROPIC);
    EXPECT_NE(replayed(setting, thinking(seen.reasoning, seen.signature) + "," + kText, &request)
                  .find("reasoningText"),
              std::string::npos);
    EXPECT_EQ(request.change(KIRO_CHANGE_DROP_REASONING), KIRO_OK);
    const std::string body = request.write();
    EXPECT_EQ(body.find("reasoningContent"), std::string::npos);
    EXPECT_NE(body.find("additionalModelRequestFields"), std::string::npos);
    EXPECT_EQ(broken_rule(body), "");
    EXPECT_EQ(request.change(KIRO_CHANGE_DROP_REASONING), KIRO_ERROR);
}

TEST(Replay, TheHistoryOfATurnBeginsThatOfTheNext) {
    const Setting setting;
    const test::Seen seen = answer(setting, true, kFrames);
    const std::string said = R"({"role":"user","content":"Hi"},{"role":"assistant","content":[)" +
                             thinking(seen.reasoning, seen.signature) + "," + kText + R"(]},)";
    const auto history = [&](const std::string &messages) {
        const std::string body = ask(setting, "[" + messages + "]").write();
        const size_t from = body.find("\"history\":[");
        return body.substr(from, body.find(R"(],"currentMessage)") - from);
    };
    const std::string earlier = history(said + R"({"role":"user","content":"More"})");
    const std::string later =
        history(said + R"({"role":"user","content":"More"},{"role":"assistant","content":[)" +
                thinking(seen.reasoning, seen.signature) + "," + kText +
                R"(]},{"role":"user","content":"Yet more"})");
    EXPECT_NE(earlier.find(kReplayed), std::string::npos) << earlier;
    EXPECT_TRUE(later.starts_with(earlier)) << later;
}

} // namespace
