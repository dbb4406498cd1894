// Responses answers to requests: tools as the client knows them, what is repeated, ends and failures.

#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"

namespace {

using kiro::test::ClientRequest;
using test::event;

constexpr test::Mode kChatStream = test::kModes[0], kChatObject = test::kModes[1];
constexpr test::Mode kStream = test::kModes[4], kObject = test::kModes[5];

std::string answer(const ClientRequest &request, const test::Mode &mode, std::string_view bytes) {
    return test::answer(test::reply_options(mode, request.request.get()), bytes);
}

std::string call(std::string_view id, std::string_view name, std::string_view escaped_input) {
    return test::tool_input(id, name, escaped_input) + test::tool_stop(id, name);
}

constexpr const char *kTools =
    R"("tools":[{"type":"function","name":"plain"},{"type":"function","name":"odd name"},)"
    R"({"type":"custom","name":"apply_patch"},)"
    R"({"type":"namespace","name":"ns","tools":[{"type":"function","name":"f"},{"type":"custom","name":"t"}]}])";

TEST(ResponsesReply, ToolsComeBackAsTheClientKnowsThem) {
    ClientRequest request(KIRO_API_OPENAI_RESPONSES);
    ASSERT_TRUE(request.parse(std::string(R"({"model":"m","input":"x",)") + kTools + "}"))
        << request.failure.message;
    const std::string upstream = request.write();
    const std::string mark = R"("toolSpecification":{"name":")";
    std::vector<std::string> names;
    for (size_t at = upstream.find(mark); at != upstream.npos; at = upstream.find(mark, at + 1)) {
        const size_t start = at + mark.size();
        names.push_back(upstream.substr(start, upstream.find('"', start) - start));
    }
    ASSERT_EQ(names.size(), 5u);
    EXPECT_EQ(names[3], "ns__f");
    const std::string bytes = call("c1", names[0], R"({\"a\":1})") + call("c2", names[1], "{}") +
                              call("c3", names[2], R"({\"input\":\"*** Begin\\n\\\"q\\\" \\u00e9\"})") +
                              call("c4", names[3], "{}") + call("c5", names[4], R"({\"input\":\"raw\"})") +
                              test::tail();
    for (const test::Mode &mode : {kStream, kObject}) {
        const test::Seen seen = test::read(mode, answer(request, mode, bytes));
        ASSERT_EQ(seen.tools.size(), 5u);
        const std::vector<std::string> types{"function_call", "function_call", "custom_tool_call",
                                             "function_call", "custom_tool_call"};
        const std::vector<std::string> spaces{"", "", "", "ns", "ns"};
        EXPECT_EQ(seen.tool_types, types);
        EXPECT_EQ(seen.tool_spaces, spaces);
        EXPECT_EQ(seen.tools[0], (test::SeenTool{"c1", "plain", R"({"a":1})"}));
        EXPECT_EQ(seen.tools[1].name, "odd name");
        EXPECT_EQ(seen.tools[2], (test::SeenTool{"c3", "apply_patch", "*** Begin\n\"q\" é"}));
        EXPECT_EQ(seen.tools[3], (test::SeenTool{"c4", "f", "{}"}));
        EXPECT_EQ(seen.tools[4], (test::SeenTool{"c5", "t", "raw"}));
        EXPECT_EQ(seen.stop, "completed");
    }
}

struct Freeform {
    const char *input; // escaped
    const char *text;
};

// Models do not always keep to the shape that they were told.
TEST(ResponsesReply, TheTextOfAFreeformTool) {
    const Freeform rows[] = {
        {R"({\"input\":\"x\"})", "x"},
        {R"({\"note\":\"n\",\"input\":\"x\"})", "x"},
        {R"({\"input\":\"x\",\"note\":\"n\"})", "x"},
        {R"({\"patch\":\"y\"})", "y"},
        {R"({\"a\":\"y\",\"b\":\"z\"})", R"({"a":"y","b":"z"})"},
        {R"({\"input\":{\"a\":1}})", R"({"input":{"a":1}})"},
        {"{}", "{}"},
        {R"({\"input\":\"\"})", ""},
    };
    ClientRequest request(KIRO_API_OPENAI_RESPONSES);
    ASSERT_TRUE(request.parse(std::string(R"({"model":"m","input":"x",)") + kTools + "}"));
    for (const Freeform &row : rows) {
        const test::Seen seen =
            test::read(kStream, answer(request, kStream, call("c", "apply_patch", row.input) + test::tail()));
        ASSERT_EQ(seen.tools.size(), 1u) << row.input;
        EXPECT_EQ(seen.tools[0].input, row.text) << row.input;
    }
}

TEST(ResponsesReply, RepeatsTheRequest) {
    ClientRequest request(KIRO_API_OPENAI_RESPONSES);
    ASSERT_TRUE(request.parse("{\"model\":\"m\",\"input\":\"x\",\"metadata\":{\"k\":\n\"v\"},\"store\":false,"
                              "\"instructions\":\"Be \\\"kind\\\"\",\"max_output_tokens\":500,"
                              "\"parallel_tool_calls\":false,\"tool_choice\":\"none\","
                              "\"reasoning\":{\"effort\":\"low\"},\"tools\":[{\"type\":\"web_search\"}]}"));
    const std::string bytes = test::text_event("hi") + test::tail();
    for (const test::Mode &mode : {kStream, kObject}) {
        const std::string output = answer(request, mode, bytes);
        EXPECT_EQ(test::read(mode, output).text, "hi");
        for (const char *part :
             {R"("metadata":{"k":"v"})", R"("instructions":"Be \"kind\"")", R"("max_output_tokens":500)",
              R"("parallel_tool_calls":false)", R"("tool_choice":"none")", R"("reasoning":{"effort":"low"})",
              R"("tools":[{"type":"web_search"}])", R"("store":false)"}) {
            EXPECT_NE(output.find(part), output.npos) << part;
        }
    }
}

TEST(ResponsesReply, ReasoningOnlyIfAsked) {
    const std::string bytes =
        event("reasoningContentEvent", R"({"text":"hm"})") + test::text_event("x") + test::tail();
    ClientRequest off(KIRO_API_OPENAI_RESPONSES), on(KIRO_API_OPENAI_RESPONSES);
    ASSERT_TRUE(off.parse(R"({"model":"claude-sonnet-4.6","input":"x"})"));
    ASSERT_TRUE(on.parse(R"({"model":"claude-sonnet-4.6","input":"x","reasoning":{"summary":"auto"}})"));
    EXPECT_EQ(test::read(kStream, answer(off, kStream, bytes)).reasoning, "");
    EXPECT_EQ(test::read(kStream, answer(on, kStream, bytes)).reasoning, "hm");
    EXPECT_EQ(test::read(kObject, answer(on, kObject, bytes)).reasoning, "hm");
}

TEST(ResponsesReply, TextBehindACallIsAnotherItem) {
    const std::string bytes =
        test::text_event("a") + call("c1", "f", "{}") + test::text_event("b") + test::tail();
    for (const test::Mode &mode : {kStream, kObject}) {
        const test::Seen seen = test::read(mode, test::run(mode, bytes).output);
        EXPECT_EQ(seen.blocks, (std::vector<std::string>{"message", "function_call", "message"}));
        EXPECT_EQ(seen.text, "ab");
    }
}

struct Code {
    kiro_failure_kind kind;
    const char *code;
};

TEST(ResponsesReply, FailuresInTheStream) {
    const Code rows[] = {
        {KIRO_FAIL_CONTEXT_OVERFLOW, "context_length_exceeded"},
        {KIRO_FAIL_QUOTA, "insufficient_quota"},
        {KIRO_FAIL_RATE_LIMITED, "rate_limit_exceeded"},
        {KIRO_FAIL_TOO_MANY_REQUESTS, "rate_limit_exceeded"},
        {KIRO_FAIL_OVERLOADED, "server_error"}, // what OpenAI calls it stops Codex
        {KIRO_FAIL_AUTH_EXPIRED, "server_error"},
        {KIRO_FAIL_LOGIN_REQUIRED, "invalid_prompt"},
        {KIRO_FAIL_SUSPENDED, "invalid_prompt"},
        {KIRO_FAIL_UPSTREAM_REFUSED, "invalid_prompt"},
        {KIRO_FAIL_UPSTREAM_CUT, "server_error"},
        {KIRO_FAIL_INTERNAL, "server_error"},
    };
    for (const Code &row : rows) {
        kiro_failure failure{};
        kiro_failure_set(&failure, row.kind, "It \"broke\".");
        failure.retry_after_ms = 1200;

        test::Run run(kStream);
        run.feed(test::text_event("part"));
        kiro_reply_abort(run.get(), &failure);
        const std::string output = run.end().output;
        const test::Seen seen = test::read_responses_stream(output);
        EXPECT_TRUE(seen.error);
        EXPECT_EQ(seen.error_type, row.code);
        EXPECT_EQ(seen.text, "part");
        EXPECT_NE(output.find(R"(It \"broke\". Please try again in 2s.)"), output.npos);

        test::Reply nothing = test::make_reply(kStream);
        kiro_reply_commit(nothing.get());
        kiro_reply_abort(nothing.get(), &failure);
        kiro_str piece;
        ASSERT_EQ(kiro_reply_next(nothing.get(), &piece), KIRO_OK);
        const test::Seen bare = test::read_responses_stream({piece.data, piece.len});
        EXPECT_TRUE(bare.error);
        EXPECT_EQ(bare.error_type, row.code);
        const std::string_view text(piece.data, piece.len);
        EXPECT_TRUE(text.starts_with("event: response.created\n")) << text;
    }
}

// The end repeats the text, so what a stream may hold has a limit too.
TEST(ResponsesReply, AStreamIsAsLongAsAnObject) {
    test::Run run(kStream, 5000);
    for (int i = 0; i < 200; ++i) {
        run.feed(test::text_event(std::string(100, 'x')));
    }
    const test::Outcome outcome = run.end();
    EXPECT_EQ(outcome.failure.kind, KIRO_FAIL_UPSTREAM_PROTOCOL);
    EXPECT_TRUE(test::read_responses_stream(outcome.output).error);
}

TEST(ChatReply, FreeformToolsAreCustomCalls) {
    ClientRequest request(KIRO_API_OPENAI_CHAT);
    ASSERT_TRUE(request.parse(
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[)"
        R"({"type":"custom","custom":{"name":"patch"}},{"type":"function","function":{"name":"f"}}]})"));
    const std::string bytes =
        call("c1", "patch", R"({\"input\":\"a\\n\\\"b\"})") + call("c2", "f", "{}") + test::tail();
    const std::string object = answer(request, kChatObject, bytes);
    EXPECT_NE(object.find(R"({"id":"c1","type":"custom","custom":{"name":"patch","input":"a\n\"b"}})"),
              object.npos)
        << object;
    EXPECT_NE(object.find(R"({"id":"c2","type":"function","function":{"name":"f","arguments":"{}"}})"),
              object.npos);
    const std::string stream = answer(request, kChatStream, bytes);
    EXPECT_NE(stream.find(R"({"index":0,"id":"c1","type":"custom","custom":{"name":"patch","input":""}})"),
              stream.npos)
        << stream;
    EXPECT_NE(stream.find(R"({"index":0,"custom":{"input":"a\n\"b"}})"), stream.npos);
    EXPECT_NE(
        stream.find(R"({"index":1,"id":"c2","type":"function","function":{"name":"f","arguments":""}})"),
        stream.npos);
}

// Cursor declares them flat, or posts the body of a Responses request, and knows function calls only.
TEST(ChatReply, FreeformToolsDeclaredFlatAreFunctionCalls) {
    for (
        const char *body :
        {R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"custom","name":"patch"}]})",
         R"({"model":"m","input":"x","tools":[{"type":"custom","name":"patch"}]})"}) {
        SCOPED_TRACE(body);
        ClientRequest request(KIRO_API_OPENAI_CHAT);
        ASSERT_TRUE(request.parse(body));
        const std::string bytes = call("c1", "patch", R"({\"input\":\"a\\n\\\"b\"})") + test::tail();
        const std::string object = answer(request, kChatObject, bytes);
        EXPECT_NE(
            object.find(R"({"id":"c1","type":"function","function":{"name":"patch","arguments":"a\n\"b"}})"),
            object.npos)
            << object;
        const std::string stream = answer(request, kChatStream, bytes);
        EXPECT_NE(stream.find(R"("type":"function","function":{"name":"patch","arguments":""}})"),
                  stream.npos)
            << stream;
        EXPECT_NE(stream.find(R"({"index":0,"function":{"arguments":"a\n\"b"}})"), stream.npos);
    }
}

} // namespace
