// What a reply takes from the request that it answers.

#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"

namespace {

using kiro::test::ClientRequest;
using test::event;

ClientRequest parsed(kiro_api api, std::string_view body) {
    ClientRequest request(api);
    EXPECT_TRUE(request.parse(body)) << request.failure.message;
    return request;
}

std::string answer(const ClientRequest &request, const test::Mode &mode, std::string_view bytes) {
    return test::answer(test::reply_options(mode, request.request.get()), bytes);
}

TEST(ReplyRequest, UsageChunkOnlyOnDemand) {
    const std::string bytes = test::text_event("x") + test::tail();
    const ClientRequest plain =
        parsed(KIRO_API_OPENAI_CHAT,
               R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}],"stream":true})");
    EXPECT_FALSE(test::read_openai_stream(answer(plain, test::kModes[0], bytes)).usage);
    const ClientRequest asked = parsed(
        KIRO_API_OPENAI_CHAT, R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}],)"
                              R"("stream":true,"stream_options":{"include_usage":true}})");
    const test::Seen seen = test::read_openai_stream(answer(asked, test::kModes[0], bytes), true);
    EXPECT_TRUE(seen.usage);
    EXPECT_GT(seen.input, 0u);
    EXPECT_EQ(seen.output, 1u);
}

TEST(ReplyRequest, MessageStartHasTheEstimate) {
    const ClientRequest request =
        parsed(KIRO_API_ANTHROPIC,
               R"({"model":"claude-sonnet-4.5","max_tokens":10,"messages":[{"role":"user","content":")" +
                   std::string(4000, 'x') + R"("}]})");
    const std::string output = answer(request, test::kModes[2], test::text_event("x") + test::tail());
    const size_t at = output.find("\"input_tokens\":");
    ASSERT_NE(at, output.npos);
    EXPECT_GT(std::atoi(output.c_str() + at + 15), 500);
}

TEST(ReplyRequest, ToolNamesComeBackAsTheClientsOwn) {
    const std::string name = "mcp.server/tool.with.dots";
    ClientRequest request = parsed(
        KIRO_API_OPENAI_CHAT,
        R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":")" +
            name + R"(","parameters":{"type":"object","properties":{}}}}]})");
    const std::string upstream = request.write();
    const size_t at = upstream.find("\"toolSpecification\"");
    ASSERT_NE(at, std::string::npos);
    const size_t start = upstream.find("\"name\":\"", at) + 8;
    const std::string alias = upstream.substr(start, upstream.find('"', start) - start);
    ASSERT_NE(alias, name);
    const std::string bytes =
        event("toolUseEvent", "{\"toolUseId\":\"t1\",\"name\":\"" + alias + "\",\"stop\":true}") +
        test::tail();
    for (const test::Mode &mode : {test::kModes[0], test::kModes[1]}) {
        const test::Seen seen = test::read(mode, answer(request, mode, bytes));
        ASSERT_EQ(seen.tools.size(), 1u);
        EXPECT_EQ(seen.tools[0].name, name);
    }
}

TEST(ReplyRequest, LegacyFunctions) {
    const ClientRequest request =
        parsed(KIRO_API_OPENAI_CHAT,
               R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}],)"
               R"("functions":[{"name":"f","parameters":{"type":"object","properties":{}}}]})");
    const std::string call =
        event("toolUseEvent", R"({"toolUseId":"t1","name":"f","input":"{\"a\":1}","stop":true})");
    const std::string second =
        event("toolUseEvent", R"({"toolUseId":"t2","name":"f","input":"{}","stop":true})");
    const std::string object = answer(request, test::kModes[1], call + second + test::tail());
    EXPECT_NE(object.find(R"("function_call":{"name":"f","arguments":"{\"a\":1}"})"), object.npos) << object;
    EXPECT_NE(object.find(R"("finish_reason":"function_call")"), object.npos);
    EXPECT_EQ(object.find("tool_calls"), object.npos);
    const std::string stream = answer(request, test::kModes[0], call + second + test::tail());
    EXPECT_NE(stream.find(R"("delta":{"function_call":{"name":"f","arguments":""}})"), stream.npos);
    EXPECT_NE(stream.find(R"("delta":{"function_call":{"arguments":"{\"a\":1}"}})"), stream.npos);
    EXPECT_EQ(stream.find(R"("name")"), stream.rfind(R"("name")")); // the second one has no place
}

TEST(ReplyRequest, ReasoningOnlyForWhoAsked) {
    const std::string bytes = event("reasoningContentEvent", R"({"text":"hm"})") +
                              event("reasoningContentEvent", R"({"signature":"QUFB"})") +
                              test::text_event("x") + test::tail();
    const ClientRequest off = parsed(
        KIRO_API_ANTHROPIC, R"({"model":"claude-sonnet-4.5","max_tokens":10,"thinking":{"type":"disabled"},)"
                            R"("messages":[{"role":"user","content":"hi"}]})");
    const ClientRequest on = parsed(
        KIRO_API_ANTHROPIC, R"({"model":"claude-sonnet-4.5","max_tokens":10,"thinking":{"type":"adaptive"},)"
                            R"("messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(test::read_anthropic_stream(answer(off, test::kModes[2], bytes)).blocks,
              std::vector<std::string>{"text"});
    EXPECT_EQ(test::read_anthropic_stream(answer(on, test::kModes[2], bytes)).blocks,
              (std::vector<std::string>{"thinking", "text"}));
}

} // namespace
