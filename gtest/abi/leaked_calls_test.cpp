// Calls that a model wrote into its text, in replies and in history.

#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"

namespace {

using kiro::test::ClientRequest;

std::string body(kiro_api api, const std::string &more = "", const std::string &history = "") {
    const std::string said = R"({"role":"user","content":"x"})" + history;
    if (api == KIRO_API_ANTHROPIC) {
        return R"({"model":"m","max_tokens":1000,"tools":[{"name":"get","input_schema":{"type":"object"}}],"messages":[)" +
               said + "]" + more + "}";
    }
    if (api == KIRO_API_OPENAI_CHAT) {
        return R"({"model":"m","tools":[{"type":"function","function":{"name":"get"}}],"messages":[)" + said +
               "]" + more + "}";
    }
    return R"({"model":"m","tools":[{"type":"function","name":"get"}],"input":[)" + said + "]" + more + "}";
}

std::string answer(const ClientRequest &request, const test::Mode &mode, std::string_view bytes,
                   size_t piece) {
    kiro_reply_options opts = test::reply_options(mode, request.request.get());
    opts.tool_stream = KIRO_TOOLS_INCREMENTAL;
    return test::answer(opts, bytes, piece);
}

std::string calls_of(kiro_api api) {
    return api == KIRO_API_ANTHROPIC ? "tool_use" : api == KIRO_API_OPENAI_CHAT ? "tool_calls" : "completed";
}

const std::string kLeak = test::text_event(R"(Let me look.\n[Called get wi)") +
                          test::text_event(R"(th args: {\"a\": 1}]\n)") +
                          test::text_event(R"(\n<tool_call>{\"name\":\"get\",\"arguments\":{}}</tool_call>)");

TEST(LeakedCallsReply, AreRealCalls) {
    for (const test::Mode &mode : test::kModes) {
        for (const size_t piece : {size_t{1}, size_t{100000}}) {
            ClientRequest request(mode.api);
            request.options.rescue_tool_calls = 1;
            ASSERT_TRUE(request.parse(body(mode.api))) << request.failure.message;
            const test::Seen seen = test::read(mode, answer(request, mode, kLeak + test::tail(), piece));
            EXPECT_EQ(seen.text, "Let me look.\n");
            EXPECT_EQ(seen.tools,
                      (std::vector<test::SeenTool>{{"tooluse_0123456789abcdef_1", "get", R"({"a":1})"},
                                                   {"tooluse_0123456789abcdef_2", "get", "{}"}}));
            EXPECT_EQ(seen.stop, calls_of(mode.api));
        }
    }
}

TEST(LeakedCallsReply, AloneTheyAreAnAnswer) {
    const std::string bytes = test::text_event("[Called get with args: {}]") + test::tail();
    for (const test::Mode &mode : test::kModes) {
        ClientRequest request(mode.api);
        request.options.rescue_tool_calls = 1;
        ASSERT_TRUE(request.parse(body(mode.api)));
        const test::Seen seen = test::read(mode, answer(request, mode, bytes, bytes.size()));
        EXPECT_EQ(seen.text, "");
        EXPECT_EQ(seen.tools.size(), 1u);
        EXPECT_EQ(seen.stop, calls_of(mode.api));
    }
}

TEST(LeakedCallsReply, AreTextWhereTheyMayNotBe) {
    const auto stays_text = [](ClientRequest &request) {
        const test::Seen seen =
            test::read_openai_stream(answer(request, test::kModes[0], kLeak + test::tail(), 100));
        EXPECT_TRUE(seen.tools.empty());
        EXPECT_NE(seen.text.find(R"([Called get with args: {"a": 1}])"), seen.text.npos);
        EXPECT_EQ(seen.stop, "stop");
    };
    ClientRequest off, none, no_tools, other;
    ASSERT_TRUE(off.parse(body(KIRO_API_OPENAI_CHAT)));
    stays_text(off);
    none.options.rescue_tool_calls = no_tools.options.rescue_tool_calls = other.options.rescue_tool_calls = 1;
    ASSERT_TRUE(none.parse(body(KIRO_API_OPENAI_CHAT, R"(,"tool_choice":"none")")));
    stays_text(none);
    ASSERT_TRUE(no_tools.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}]})"));
    stays_text(no_tools);
    ASSERT_TRUE(
        other.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function",)"
                    R"("function":{"name":"get"}},{"type":"function","function":{"name":"b"}}],)"
                    R"("tool_choice":{"type":"function","function":{"name":"b"}}})"));
    stays_text(other);
}

TEST(LeakedCallsReply, WhatIsHeldComesOutWhenTheAnswerIsCut) {
    ClientRequest request;
    request.options.rescue_tool_calls = 1;
    ASSERT_TRUE(request.parse(body(KIRO_API_OPENAI_CHAT)));
    const std::string cut = test::text_event(R"(x\n[Called get with)");
    const test::Seen seen = test::read_openai_stream(answer(request, test::kModes[0], cut, cut.size()));
    EXPECT_EQ(seen.text, "x\n[Called get with");
    EXPECT_EQ(seen.stop, "length");
}

std::string upstream(const std::string &history, int rescue = 1) {
    ClientRequest request;
    request.options.rescue_tool_calls = rescue;
    EXPECT_TRUE(request.parse(body(KIRO_API_OPENAI_CHAT, "", history))) << request.failure.message;
    return request.write();
}

std::string assistant(const std::string &raw) {
    return R"(,{"role":"assistant","content":")" + raw + R"("},{"role":"user","content":"go on"})";
}

TEST(LeakedCallsHistory, IsNotImitated) {
    const std::string leak = R"(Sure.\n\n\u003ctool_call>{\"name\":\"get\",\"arguments\":{}}</tool_call>\n)";
    EXPECT_EQ(upstream(assistant(leak)), upstream(assistant(R"(Sure.\n\n)")));
    EXPECT_NE(upstream(assistant(leak), 0), upstream(assistant(R"(Sure.\n\n)")));
    for (const char *kept : {"```\\n[Called get with args: {}]\\n```", "[Called unknown with args: {}]",
                             "[Called get with args: {}", "see [Called get with args: {}]"}) {
        EXPECT_EQ(upstream(assistant(kept)), upstream(assistant(kept), 0)) << kept;
    }
}

TEST(LeakedCallsHistory, LeavesNoEmptyTurn) {
    const std::string body = upstream(assistant("[Called get with args: {}]"));
    EXPECT_EQ(body.find("assistantResponseMessage"), body.npos) << body;
    EXPECT_NE(body.find("go on"), body.npos);
    EXPECT_EQ(body, upstream(assistant("")));
}

} // namespace
