// What a reply takes from the request that it answers.

#include "kiro/request.h"

#include "support/frames.h"
#include "support/reply_run.h"

#include <cstring>

namespace {

using test::event;

struct Request {
    explicit Request(kiro_api api, std::string_view body) : request(kiro_request_create(body.size())) {
        std::memcpy(kiro_request_buffer(request), body.data(), body.size());
        kiro_request_options opts{};
        opts.api = api;
        kiro_failure f;
        EXPECT_EQ(kiro_request_parse(request, &opts, &f), KIRO_OK) << f.message;
        kiro_str out;
        EXPECT_EQ(kiro_request_write(request, KIRO_WIRE_V3, {nullptr, 0}, &out, &f), KIRO_OK);
        upstream.assign(out.data, out.len);
    }
    ~Request() { kiro_request_free(request); }
    Request(const Request &) = delete;
    Request &operator=(const Request &) = delete;

    kiro_request *request;
    std::string upstream;
};

std::string answer(const Request &request, const test::Mode &mode, std::string_view bytes) {
    kiro_reply_options opts{};
    opts.api = mode.api;
    opts.stream = mode.stream;
    opts.request = request.request;
    opts.model = {"m", 1};
    opts.id = {"0123456789", 10};
    test::Reply reply(kiro_reply_create(&opts), kiro_reply_free);
    kiro_reply_feed(reply.get(), bytes.data(), bytes.size());
    kiro_reply_eof(reply.get());
    std::string output;
    for (kiro_str piece; kiro_reply_next(reply.get(), &piece) == KIRO_OK;) {
        output.append(piece.data, piece.len);
    }
    return output;
}

TEST(ReplyRequest, UsageChunkOnlyOnDemand) {
    const std::string bytes = test::text_event("x") + test::tail();
    const Request plain(
        KIRO_API_OPENAI_CHAT,
        R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}],"stream":true})");
    EXPECT_FALSE(test::read_openai_stream(answer(plain, test::kModes[0], bytes)).usage);
    const Request asked(KIRO_API_OPENAI_CHAT,
                        R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}],)"
                        R"("stream":true,"stream_options":{"include_usage":true}})");
    const test::Seen seen = test::read_openai_stream(answer(asked, test::kModes[0], bytes), true);
    EXPECT_TRUE(seen.usage);
    EXPECT_GT(seen.input, 0u);
    EXPECT_EQ(seen.output, 1u);
}

TEST(ReplyRequest, MessageStartHasTheEstimate) {
    const Request request(
        KIRO_API_ANTHROPIC,
        R"({"model":"claude-sonnet-4.5","max_tokens":10,"messages":[{"role":"user","content":")" +
            std::string(4000, 'x') + R"("}]})");
    const std::string output = answer(request, test::kModes[2], test::text_event("x") + test::tail());
    const size_t at = output.find("\"input_tokens\":");
    ASSERT_NE(at, output.npos);
    EXPECT_GT(std::atoi(output.c_str() + at + 15), 500);
}

TEST(ReplyRequest, ToolNamesComeBackAsTheClientsOwn) {
    const std::string name = "mcp.server/tool.with.dots";
    const Request request(
        KIRO_API_OPENAI_CHAT,
        R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":")" +
            name + R"(","parameters":{"type":"object","properties":{}}}}]})");
    const size_t at = request.upstream.find("\"toolSpecification\"");
    ASSERT_NE(at, std::string::npos);
    const size_t start = request.upstream.find("\"name\":\"", at) + 8;
    const std::string alias = request.upstream.substr(start, request.upstream.find('"', start) - start);
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
    const Request request(KIRO_API_OPENAI_CHAT,
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
    const Request off(KIRO_API_ANTHROPIC,
                      R"({"model":"claude-sonnet-4.5","max_tokens":10,"thinking":{"type":"disabled"},)"
                      R"("messages":[{"role":"user","content":"hi"}]})");
    const Request on(KIRO_API_ANTHROPIC,
                     R"({"model":"claude-sonnet-4.5","max_tokens":10,"thinking":{"type":"adaptive"},)"
                     R"("messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(test::read_anthropic_stream(answer(off, test::kModes[2], bytes)).blocks,
              std::vector<std::string>{"text"});
    EXPECT_EQ(test::read_anthropic_stream(answer(on, test::kModes[2], bytes)).blocks,
              (std::vector<std::string>{"thinking", "text"}));
}

} // namespace
