#include <gtest/gtest.h>
#include <string>

#include "support/client_request.h"

namespace {

using namespace kiro::test;

constexpr kiro_failure_kind bad = KIRO_FAIL_INVALID_REQUEST;
constexpr kiro_failure_kind unsupported = KIRO_FAIL_UNSUPPORTED;

struct Refusal {
    const char *body;
    kiro_failure_kind kind;
    const char *param;
};

void check(kiro_api api, const Refusal &refusal) {
    SCOPED_TRACE(refusal.body);
    ClientRequest request(api);
    ASSERT_FALSE(request.parse(refusal.body));
    EXPECT_EQ(request.failure.kind, refusal.kind) << request.failure.message;
    EXPECT_STREQ(request.failure.param, refusal.param);
    EXPECT_NE(std::string(request.failure.message).find(refusal.param), std::string::npos)
        << request.failure.message;
}

// A request with one user message and more members.
#define WITH(members) R"({"model":"m","messages":[{"role":"user","content":"x"}],)" members "}"
#define MESSAGE(members) R"({"model":"m","messages":[{"role":"user","content":"x"},{)" members "}]}"
#define PART(members) R"({"model":"m","messages":[{"role":"user","content":[{)" members "}]}]}"

TEST(Refusals, OpenAi) {
    const Refusal refusals[] = {
        {"{}", bad, "messages"},
        {R"({"model":"m","messages":null})", bad, "messages"},
        {R"({"model":"m","messages":{}})", bad, "messages"},
        {R"({"model":"m","messages":[]})", bad, "messages"},
        {R"({"model":"m","messages":["x"]})", bad, "messages[0]"},
        {R"({"messages":[{"role":"user","content":"x"}]})", bad, "model"},
        {R"({"model":" ","messages":[{"role":"user","content":"x"}]})", bad, "model"},
        {R"({"model":7,"messages":[{"role":"user","content":"x"}]})", bad, "model"},
        {MESSAGE(R"("content":"x")"), bad, "messages[1].role"},
        {MESSAGE(R"("role":null,"content":"x")"), bad, "messages[1].role"},
        {MESSAGE(R"("role":"wizard","content":"x")"), bad, "messages[1].role"},
        {MESSAGE(R"("role":1,"content":"x")"), bad, "messages[1].role"},
        {MESSAGE(R"("role":"user")"), bad, "messages[1].content"},
        {MESSAGE(R"("role":"user","content":7)"), bad, "messages[1].content"},
        {MESSAGE(R"("role":"user","content":{"type":"text"})"), bad, "messages[1].content"},
        {MESSAGE(R"("role":"tool","content":"x")"), bad, "messages[1].tool_call_id"},
        {MESSAGE(R"("role":"tool","tool_call_id":3,"content":"x")"), bad, "messages[1].tool_call_id"},
        {MESSAGE(R"("role":"function","content":"x")"), bad, "messages[1].name"},
        {MESSAGE(R"("role":"assistant","tool_calls":{})"), bad, "messages[1].tool_calls"},
        {MESSAGE(R"("role":"assistant","tool_calls":[1])"), bad, "messages[1].tool_calls[0]"},
        {MESSAGE(R"("role":"assistant","tool_calls":[{"id":"a"}])"), bad,
         "messages[1].tool_calls[0].function"},
        {MESSAGE(R"("role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}])"), bad,
         "messages[1].tool_calls[0].id"},
        {MESSAGE(R"("role":"assistant","tool_calls":[{"id":"a","function":{"arguments":"{}"}}])"), bad,
         "messages[1].tool_calls[0].function.name"},
        {MESSAGE(R"("role":"assistant","tool_calls":[{"id":"a","function":{"name":"","arguments":"{}"}}])"),
         bad, "messages[1].tool_calls[0].function.name"},
        {MESSAGE(R"("role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":5}}])"),
         bad, "messages[1].tool_calls[0].function.arguments"},
        {MESSAGE(R"("role":"assistant","function_call":"f")"), bad, "messages[1].function_call"},
        {PART(R"("text":"x")"), bad, "messages[0].content[0].type"},
        {PART(R"("type":"hologram")"), bad, "messages[0].content[0].type"},
        {PART(R"("type":["text"],"text":"x")"), bad, "messages[0].content[0].type"},
        {PART(R"("type":"text")"), bad, "messages[0].content[0].text"},
        {PART(R"("type":"text","text":5)"), bad, "messages[0].content[0].text"},
        {R"({"model":"m","messages":[{"role":"user","content":[7]}]})", bad, "messages[0].content[0]"},
        {PART(R"("type":"image_url")"), bad, "messages[0].content[0].image_url"},
        {PART(R"("type":"image_url","image_url":{"url":"https://example.com/a.png"})"), bad,
         "messages[0].content[0].image_url"},
        {PART(R"("type":"image_url","image_url":"http:\/\/example.com\/a.png")"), bad,
         "messages[0].content[0].image_url"},
        {PART(R"("type":"image_url","image_url":"file:///etc/passwd")"), bad,
         "messages[0].content[0].image_url"},
        {PART(R"("type":"image_url","image_url":"data:image/png,abc")"), bad,
         "messages[0].content[0].image_url"},
        {PART(R"("type":"image_url","image_url":"data:image/png;base64,")"), bad,
         "messages[0].content[0].image_url"},
        {PART(R"("type":"image_url","image_url":"data:image/png;base64,a b")"), bad,
         "messages[0].content[0].image_url"},
        {PART(R"("type":"image_url","image_url":"data:image/tiff;base64,QUJD")"), bad,
         "messages[0].content[0].image_url"},
        {PART(R"("type":"image_url","image_url":"data:;base64,QUJD")"), bad,
         "messages[0].content[0].image_url"},
        {PART(R"("type":"input_audio","input_audio":{})"), unsupported, "messages[0].content[0].type"},
        {PART(R"("type":"file","file":{"file_id":"f"})"), unsupported, "messages[0].content[0].type"},
        {MESSAGE(
             R"("role":"assistant","content":[{"type":"image_url","image_url":"data:image/png;base64,QUJD"}])"),
         bad, "messages[1].content[0].type"},
        {MESSAGE(R"("role":"system","content":[{"type":"tool_result","tool_use_id":"x"}])"), bad,
         "messages[1].content[0].type"},
        {WITH(R"("stream":"yes")"), bad, "stream"},
        {WITH(R"("stream_options":true)"), bad, "stream_options"},
        {WITH(R"("stream_options":{"include_usage":1})"), bad, "stream_options.include_usage"},
        {WITH(R"("n":2)"), unsupported, "n"},
        {WITH(R"("n":0)"), bad, "n"},
        {WITH(R"("n":"1")"), bad, "n"},
        {WITH(R"("temperature":3)"), bad, "temperature"},
        {WITH(R"("temperature":"hot")"), bad, "temperature"},
        {WITH(R"("top_p":1e999)"), bad, "top_p"},
        {WITH(R"("max_tokens":0)"), bad, "max_tokens"},
        {WITH(R"("max_completion_tokens":1.5)"), bad, "max_completion_tokens"},
        {WITH(R"("stop":[1])"), bad, "stop[0]"},
        {WITH(R"("logprobs":true)"), unsupported, "logprobs"},
        {WITH(R"("top_logprobs":3)"), unsupported, "top_logprobs"},
        {WITH(R"("best_of":2)"), unsupported, "best_of"},
        {WITH(R"("suffix":"end")"), unsupported, "suffix"},
        {WITH(R"("echo":true)"), unsupported, "echo"},
        {WITH(R"("stop":7)"), bad, "stop"},
        {WITH(R"("max_completion_tokens":1.5)"), bad, "max_completion_tokens"},
        {WITH(R"("response_format":"json")"), bad, "response_format"},
        {WITH(R"("response_format":{})"), bad, "response_format.type"},
        {WITH(R"("response_format":{"type":"xml"})"), bad, "response_format.type"},
        {WITH(R"("response_format":{"type":"json_schema","json_schema":[]})"), bad,
         "response_format.json_schema"},
        {WITH(R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":1}})"), bad,
         "response_format.json_schema.schema"},
        {WITH(R"("modalities":["text","audio"])"), unsupported, "modalities"},
        {WITH(R"("tools":{})"), bad, "tools"},
        {WITH(R"("tools":[1])"), bad, "tools[0]"},
        {WITH(R"("tools":[{}])"), bad, "tools[0].function"},
        {WITH(R"("tools":[{"type":"function","function":"f"}])"), bad, "tools[0].function"},
        {WITH(R"("tools":[{"type":"function","function":{"description":"d"}}])"), bad,
         "tools[0].function.name"},
        {WITH(R"("tools":[{"type":"function","function":{"name":"f","parameters":[]}}])"), bad,
         "tools[0].function.parameters"},
        {WITH(R"("tools":[{"type":"function","function":{"name":"f","description":1}}])"), bad,
         "tools[0].function.description"},
        {WITH(R"("tools":[{"name":"f","input_schema":3}])"), bad, "tools[0].input_schema"},
        {WITH(R"("tools":[{"type":"web_search"}])"), unsupported, "tools[0].type"},
        {WITH(R"("tool_choice":"sometimes")"), bad, "tool_choice"},
        {WITH(R"("tool_choice":{"type":"function"})"), bad, "tool_choice.name"},
    };
    for (const auto &refusal : refusals)
        check(KIRO_API_OPENAI_CHAT, refusal);
}

TEST(Refusals, Anthropic) {
    const Refusal refusals[] = {
        {"{}", bad, "messages"},
        {R"({"model":"m","messages":[]})", bad, "messages"},
        {R"({"messages":[{"role":"user","content":"x"}]})", bad, "model"},
        {MESSAGE(R"("content":"x")"), bad, "messages[1].role"},
        {MESSAGE(R"("role":"tool","content":"x")"), bad, "messages[1].role"},
        {MESSAGE(R"("role":"assistant")"), bad, "messages[1].content"},
        {MESSAGE(R"("role":"assistant","content":null)"), bad, "messages[1].content"},
        {PART(R"("type":"image","source":{"type":"url","url":"https://example.com/a.png"})"), bad,
         "messages[0].content[0].source.url"},
        {PART(R"("type":"image","source":{"type":"file","file_id":"f"})"), unsupported,
         "messages[0].content[0].source.type"},
        {PART(R"("type":"image","source":{"type":"base64","media_type":"image/bmp","data":"QUJD"})"), bad,
         "messages[0].content[0].source.data"},
        {PART(R"("type":"image","source":{"type":"base64","media_type":"image/png"})"), bad,
         "messages[0].content[0].source.data"},
        {PART(R"("type":"image")"), bad, "messages[0].content[0].source.type"},
        {PART(R"("type":"document","source":{"type":"base64","media_type":"application/pdf","data":"QUJD"})"),
         unsupported, "messages[0].content[0].source.data"},
        {PART(R"("type":"tool_result","content":"x")"), bad, "messages[0].content[0].tool_use_id"},
        {PART(R"("type":"tool_result","tool_use_id":"a","content":[{"type":"text"}])"), bad,
         "messages[0].content[0].content[0].text"},
        {PART(R"("type":"tool_result","tool_use_id":"a","content":[{"type":"tool_use"}])"), bad,
         "messages[0].content[0].content[0].type"},
        {PART(R"("type":"tool_use","id":"a","name":"f","input":{})"), bad, "messages[0].content[0].type"},
        {MESSAGE(R"("role":"assistant","content":[{"type":"tool_use","name":"f","input":{}}])"), bad,
         "messages[1].content[0].id"},
        {MESSAGE(R"("role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":"x"}])"),
         bad, "messages[1].content[0].input"},
        {WITH(R"("system":7)"), bad, "system"},
        {WITH(R"("system":[{"type":"text"}])"), bad, "system[0].text"},
        {WITH(R"("system":[{"type":"image"}])"), bad, "system[0].type"},
        {WITH(R"("max_tokens":0)"), bad, "max_tokens"},
        {WITH(R"("max_tokens":"many")"), bad, "max_tokens"},
        {WITH(R"("stream":1)"), bad, "stream"},
        {WITH(R"("thread":{"type":"create"})"), unsupported, "thread"},
        {WITH(R"("mcp_servers":[{"type":"url"}])"), unsupported, "mcp_servers"},
        {WITH(R"("thinking":{"budget_tokens":5})"), bad, "thinking.type"},
        {WITH(R"("stop_sequences":"x")"), bad, "stop_sequences"},
        {WITH(R"("stop_sequences":["x",null])"), bad, "stop_sequences[1]"},
        {WITH(R"("output_config":{"format":{"type":"xml"}})"), bad, "output_config.format.type"},
        {WITH(R"("output_format":{"type":"json_schema","schema":"x"})"), bad, "output_format.schema"},
        {WITH(R"("metadata":"x")"), bad, "metadata"},
        {WITH(R"("tools":[{"name":"f"}])"), bad, "tools[0].input_schema"},
        {WITH(R"("tools":[{"input_schema":{}}])"), bad, "tools[0].name"},
        {WITH(R"("tools":[{"name":"f","input_schema":"x"}])"), bad, "tools[0].input_schema"},
        {WITH(R"("tool_choice":"auto")"), bad, "tool_choice"},
        {WITH(R"("tool_choice":{"type":"maybe"})"), bad, "tool_choice.type"},
        {WITH(R"("tool_choice":{"type":"tool"})"), bad, "tool_choice.name"},
    };
    for (const auto &refusal : refusals)
        check(KIRO_API_ANTHROPIC, refusal);
    for (const char *body :
         {WITH(R"("thread":null)"), WITH(R"("mcp_servers":[])"), WITH(R"("metadata":null)")}) {
        ClientRequest request(KIRO_API_ANTHROPIC);
        EXPECT_TRUE(request.parse(body)) << body;
    }
}

TEST(Refusals, BodiesThatAreNoJson) {
    struct Case {
        std::string body;
        const char *message;
    };
    const Case cases[] = {
        {"", "the request body is empty"},
        {"hello", "the request body is not valid JSON: unexpected character at byte 0"},
        {R"({"model": "m",})", "the request body is not valid JSON: expected a string as key at byte 14"},
        {std::string("{\"a\":\"\0\"}", 9),
         "the request body is not valid JSON: control character in a string at byte 6"},
        {"{\"a\":\"\xFF\"}", "the request body is not valid JSON: invalid UTF-8 at byte 6"},
        {std::string(600, '['), "the request body is not valid JSON: nested too deeply at byte 512"},
    };
    for (const auto &c : cases) {
        ClientRequest request;
        ASSERT_FALSE(request.parse(c.body));
        EXPECT_EQ(request.failure.kind, KIRO_FAIL_INVALID_JSON);
        EXPECT_STREQ(request.failure.message, c.message);
        EXPECT_STREQ(request.failure.param, "");
    }
    for (const char *body : {"[]", "null", "\"x\"", "17", " [ {} ] "}) {
        ClientRequest request;
        ASSERT_FALSE(request.parse(body)) << body;
        EXPECT_EQ(request.failure.kind, KIRO_FAIL_INVALID_REQUEST);
        EXPECT_STREQ(request.failure.message, "the request body must be a JSON object");
    }
}

TEST(Refusals, MessagesShowTheClientsWordsSafely) {
    ClientRequest request;
    ASSERT_FALSE(request.parse(R"({"model":"m","messages":[{"role":"a\nb\"\u0000)" + std::string(500, 'x') +
                               R"(","content":"x"}]})"));
    std::string message = request.failure.message;
    EXPECT_TRUE(message.starts_with("messages[0].role: unknown role \"a b\" xxx")) << message;
    EXPECT_LT(message.size(), 200u);

    ASSERT_FALSE(request.parse(R"({"model":"m","messages":[{"role":")" + std::string(59, 'x') +
                               "\xF0\x9F\x98\x80"
                               R"(zz","content":"x"}]})"));
    EXPECT_NE(std::string(request.failure.message).find("xxx...\""), std::string::npos)
        << request.failure.message;
}

} // namespace
