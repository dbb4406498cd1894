// What OpenAI Responses requests mean, where the golden files do not show it; and what is refused.
#include <gtest/gtest.h>
#include <string>

#include "core/abi/request_internal.h"
#include "support/client_request.h"

namespace {

using namespace kiro::test;
namespace chat = kiro::chat;

#define ASK(members) R"({"model":"m","input":"x",)" members "}"
#define ITEM(members) R"({"model":"m","input":[{"role":"user","content":"x"},{)" members "}]}"
#define TOOL(members) R"({"model":"m","input":"x","tools":[{)" members "}]}"

constexpr const char *kTools =
    R"("tools":[{"type":"function","name":"a"},{"type":"custom","name":"p"},)"
    R"({"type":"namespace","name":"ns","tools":[{"type":"function","name":"c"}]}])";

class Asked {
public:
    explicit Asked(const std::string &body) : request(KIRO_API_OPENAI_RESPONSES) {
        EXPECT_TRUE(request.parse(body)) << request.failure.message;
    }
    const chat::Conversation *operator->() const { return &request.request->conversation; }

private:
    ClientRequest request;
};

std::string with_tools(const std::string &choice) {
    return std::string(R"({"model":"m","input":"x",)") + kTools + R"(,"tool_choice":)" + choice + "}";
}

struct Refusal {
    std::string body;
    kiro_failure_kind kind;
    const char *param;
};

TEST(ResponsesRequest, Refusals) {
    constexpr auto bad = KIRO_FAIL_INVALID_REQUEST, unsupported = KIRO_FAIL_UNSUPPORTED;
    const Refusal refusals[] = {
        {R"({"model":"m"})", bad, "input"},
        {R"({"model":"m","input":null})", bad, "input"},
        {R"({"model":"m","input":7})", bad, "input"},
        {R"({"model":"m","input":[]})", bad, "input"},
        {R"({"model":"m","input":["x"]})", bad, "input[0]"},
        {R"({"model":"m","input":[{"type":"item_reference","id":"rs_1"}]})", bad, "input"},
        {R"({"input":"x"})", bad, "model"},
        {ITEM(R"("content":"x")"), bad, "input[1].role"},
        {ITEM(R"("role":"tool","content":"x")"), bad, "input[1].role"},
        {ITEM(R"("role":"user")"), bad, "input[1].content"},
        {ITEM(R"("role":"user","content":[{"type":"hologram"}])"), bad, "input[1].content[0].type"},
        {ITEM(R"("type":"hologram")"), bad, "input[1].type"},
        {ITEM(R"("type":7)"), bad, "input[1].type"},
        {ITEM(R"("type":"function_call","call_id":"c","arguments":"{}")"), bad, "input[1].name"},
        {ITEM(R"("type":"function_call","call_id":"c","name":"","arguments":"{}")"), bad, "input[1].name"},
        {ITEM(R"("type":"function_call","name":"f","arguments":"{}")"), bad, "input[1].call_id"},
        {ITEM(R"("type":"function_call","call_id":"c","name":"f","arguments":7)"), bad, "input[1].arguments"},
        {ITEM(R"("type":"custom_tool_call","call_id":"c","name":"f","input":{})"), bad, "input[1].input"},
        {ITEM(R"("type":"function_call_output","output":"x")"), bad, "input[1].call_id"},
        {ITEM(R"("type":"function_call_output","call_id":"c")"), bad, "input[1].output"},
        {ITEM(
             R"("type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"x"}])"),
         bad, "input[1].output[0].image_url"},
        {ITEM(R"("type":"item_reference","id":"msg_1")"), KIRO_FAIL_ITEM_NOT_FOUND, "input"},
        {ITEM(R"("id":"fc_1")"), KIRO_FAIL_ITEM_NOT_FOUND, "input"},
        {ASK(R"("previous_response_id":"resp_1")"), KIRO_FAIL_RESPONSE_NOT_FOUND, "previous_response_id"},
        {ASK(R"("previous_response_id":7)"), bad, "previous_response_id"},
        {ASK(R"("conversation":"conv_1")"), unsupported, "conversation"},
        {ASK(R"("conversation":{"id":"conv_1"})"), unsupported, "conversation"},
        {ASK(R"("prompt":{"id":"p"})"), unsupported, "prompt"},
        {ASK(R"("background":true)"), unsupported, "background"},
        {ASK(R"("stream":"yes")"), bad, "stream"},
        {ASK(R"("store":1)"), bad, "store"},
        {ASK(R"("instructions":[])"), bad, "instructions"},
        {ASK(R"("max_output_tokens":0)"), bad, "max_output_tokens"},
        {ASK(R"("temperature":3)"), bad, "temperature"},
        {ASK(R"("include":"x")"), bad, "include"},
        {ASK(R"("text":"json")"), bad, "text"},
        {ASK(R"("text":{"format":{"type":"xml"}})"), bad, "text.format.type"},
        {ASK(R"("text":{"format":{"type":"json_schema","name":"n","schema":[]}})"), bad,
         "text.format.schema"},
        {ASK(R"("reasoning":"high")"), bad, "reasoning"},
        {ASK(R"("reasoning":{"effort":7})"), bad, "reasoning.effort"},
        {ASK(R"("reasoning":{"summary":7})"), bad, "reasoning.summary"},
        {ASK(R"("tools":{})"), bad, "tools"},
        {ASK(R"("tools":[7])"), bad, "tools[0]"},
        {TOOL(R"("type":"function")"), bad, "tools[0].name"},
        {TOOL(R"("type":"function","name":"")"), bad, "tools[0].name"},
        {TOOL(R"("type":"function","name":"f","parameters":[])"), bad, "tools[0].parameters"},
        {TOOL(R"("type":"hologram","name":"f")"), unsupported, "tools[0].type"},
        {TOOL(R"("type":"namespace","tools":[])"), bad, "tools[0].name"},
        {TOOL(R"("type":"namespace","name":"n")"), bad, "tools[0].tools"},
        {TOOL(R"("type":"namespace","name":"n","tools":[{"type":"function"}])"), bad,
         "tools[0].tools[0].name"},
        {TOOL(R"("type":"namespace","name":"n","tools":[{"type":"namespace","name":"m","tools":[]}])"),
         unsupported, "tools[0].tools[0].type"},
        {with_tools(R"("maybe")"), bad, "tool_choice"},
        {with_tools(R"(7)"), bad, "tool_choice"},
        {with_tools(R"({"type":"maybe"})"), bad, "tool_choice.type"},
        {with_tools(R"({"type":"function"})"), bad, "tool_choice.name"},
        {with_tools(R"({"type":"function","name":"z"})"), bad, "tool_choice.name"},
        {with_tools(R"({"type":"function","name":"c","namespace":"other"})"), bad, "tool_choice.name"},
        {with_tools(R"({"type":"allowed_tools","mode":"some","tools":[]})"), bad, "tool_choice.mode"},
        {with_tools(R"({"type":"allowed_tools","mode":"auto"})"), bad, "tool_choice.tools"},
        {with_tools(R"({"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"a"},)"
                    R"({"type":"function","name":"z"}]})"),
         bad, "tool_choice.tools[1].name"},
    };
    for (const Refusal &refusal : refusals) {
        SCOPED_TRACE(refusal.body);
        ClientRequest request(KIRO_API_OPENAI_RESPONSES);
        EXPECT_FALSE(request.parse(refusal.body));
        EXPECT_STREQ(kiro_failure_name(request.failure.kind), kiro_failure_name(refusal.kind))
            << request.failure.message;
        EXPECT_STREQ(request.failure.param, refusal.param);
    }
}

TEST(ResponsesRequest, NamesWhatIsNotFound) {
    ClientRequest request(KIRO_API_OPENAI_RESPONSES);
    EXPECT_FALSE(request.parse(ITEM(R"("type":"item_reference","id":"msg_x")")));
    EXPECT_NE(std::string(request.failure.message).find("Item with id \"msg_x\" not found."),
              std::string::npos)
        << request.failure.message;
    EXPECT_EQ(kiro_failure_status(KIRO_API_OPENAI_RESPONSES, request.failure.kind), 404);
    EXPECT_FALSE(request.parse(ASK(R"("previous_response_id":"resp_x")")));
    EXPECT_EQ(kiro_failure_status(KIRO_API_OPENAI_RESPONSES, request.failure.kind), 400);
}

TEST(ResponsesRequest, Tools) {
    const Asked asked(with_tools(R"("auto")"));
    ASSERT_EQ(asked->tools.size(), 3u);
    EXPECT_EQ(asked->tools[0].name, "a");
    EXPECT_FALSE(asked->tools[0].freeform);
    EXPECT_TRUE(asked->tools[1].freeform);
    EXPECT_EQ(asked->tools[2].name, "ns__c");
    EXPECT_EQ(asked->tools[2].local_name, "c");
    EXPECT_EQ(asked->tools[2].name_space, "ns");
    EXPECT_FALSE(asked->web_search);
    EXPECT_TRUE(Asked(TOOL(R"("type":"web_search_preview")"))->web_search);
}

TEST(ResponsesRequest, ToolChoice) {
    using chat::ToolMode;
    EXPECT_EQ(Asked(with_tools(R"("required")"))->tool_mode, ToolMode::required);
    EXPECT_EQ(Asked(with_tools(R"("none")"))->tool_mode, ToolMode::none);
    EXPECT_EQ(Asked(with_tools(R"({"type":"file_search"})"))->tool_mode, ToolMode::automatic);
    const Asked custom(with_tools(R"({"type":"custom","name":"p"})"));
    EXPECT_EQ(custom->tool_mode, ToolMode::named);
    EXPECT_EQ(custom->tool_name, "p");
    EXPECT_EQ(Asked(with_tools(R"({"type":"function","name":"c","namespace":"ns"})"))->tool_name, "ns__c");
    EXPECT_EQ(Asked(with_tools(R"({"type":"function","name":"ns__c"})"))->tool_name, "ns__c");
    const Asked some(with_tools(R"({"type":"allowed_tools","mode":"required","tools":[)"
                                R"({"type":"function","name":"c"},{"type":"mcp","server_label":"s"}]})"));
    EXPECT_EQ(some->tool_mode, ToolMode::required);
    EXPECT_EQ(some->allowed_tools, std::vector<chat::Raw>{"ns__c"});
    const Asked nothing(with_tools(R"({"type":"allowed_tools","mode":"auto","tools":[]})"));
    EXPECT_EQ(nothing->tool_mode, ToolMode::none);
    // The choice may stand in front of the tools.
    EXPECT_EQ(Asked(R"({"model":"m","tool_choice":{"type":"function","name":"a"},"input":"x",)" +
                    std::string(kTools) + "}")
                  ->tool_name,
              "a");
}

TEST(ResponsesRequest, Options) {
    const Asked asked(ASK(
        R"("max_output_tokens":77,"parallel_tool_calls":false,"prompt_cache_key":"t1",)"
        R"("stream":true,"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}})"));
    EXPECT_EQ(asked->max_tokens, 77u);
    EXPECT_FALSE(asked->parallel_tools);
    EXPECT_EQ(asked->session, "t1");
    EXPECT_TRUE(asked->stream);
    EXPECT_EQ(asked->output.kind, chat::OutputKind::json_schema);
    EXPECT_EQ(asked->output.name, "n");
    EXPECT_EQ(asked->output.schema, R"({"type":"object"})");
    EXPECT_EQ(Asked(ASK(R"("text":{"format":{"type":"json_object"}})"))->output.kind,
              chat::OutputKind::json_object);
}

TEST(ResponsesRequest, Reasoning) {
    struct Row {
        const char *members;
        bool shown, omitted;
        chat::ThinkingMode mode;
    };
    using chat::ThinkingMode;
    const Row rows[] = {
        {R"("user":"x")", false, false, ThinkingMode::unasked},
        {R"("reasoning":{})", false, false, ThinkingMode::unasked},
        {R"("reasoning":{"summary":"auto"})", true, false, ThinkingMode::adaptive},
        {R"("reasoning":{"generate_summary":"concise"})", true, false, ThinkingMode::adaptive},
        {R"("reasoning":{"effort":"high"})", true, false, ThinkingMode::adaptive},
        {R"("reasoning":{"effort":"none"})", false, false, ThinkingMode::off},
        {R"("include":["reasoning.encrypted_content"])", true, true, ThinkingMode::unasked},
        {R"("include":["reasoning.encrypted_content"],"reasoning":{"summary":"auto"})", true, false,
         ThinkingMode::adaptive},
    };
    for (const Row &row : rows) {
        SCOPED_TRACE(row.members);
        const Asked asked(std::string(R"({"model":"m","input":"x",)") + row.members + "}");
        EXPECT_EQ(asked->reasoning, row.shown);
        EXPECT_EQ(asked->thinking.omitted, row.omitted);
        EXPECT_EQ(asked->thinking.mode, row.mode);
    }
}

TEST(ResponsesRequest, ReasoningItemsKeepTextAndSeal) {
    const Asked asked(
        R"({"model":"m","input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_1",)"
        R"("summary":[{"type":"summary_text","text":"A"},{"type":"summary_text","text":"B"}],)"
        R"("content":null,"encrypted_content":"seal"},{"role":"user","content":"y"}]})");
    ASSERT_EQ(asked->messages.size(), 3u);
    EXPECT_EQ(asked->messages[1].role, chat::Role::assistant);
    const auto *reasoning = std::get_if<chat::Reasoning>(&asked->messages[1].blocks.at(0));
    ASSERT_NE(reasoning, nullptr);
    EXPECT_EQ(reasoning->text, R"(A\n\nB)");
    EXPECT_EQ(reasoning->seal, "seal");
}

TEST(ResponsesRequest, EchoIsOneLine) {
    const Asked asked(
        "{\"model\":\"m\",\"input\":\"x\",\"metadata\":{\n  \"a b\": \"c  d\"\n},\"instructions\":\"I\\n\","
        "\"tools\":[\n{\"type\":\"web_search\"} ],\"store\":true,\"temperature\":0.5}");
    EXPECT_EQ(asked->echo.find('\n'), std::string_view::npos);
    for (const char *part :
         {R"("metadata":{"a b":"c  d"},)", R"("instructions":"I\n",)", R"("tools":[{"type":"web_search"}],)",
          R"("store":true,)", R"("temperature":0.5,)", R"("top_p":1,)"}) {
        EXPECT_NE(asked->echo.find(part), std::string_view::npos) << part << asked->echo;
    }
}

struct Choice {
    kiro_api api;
    const char *choice;
    const char *param; // nullptr: accepted
};

// The other dialects' choices must name a tool as well.
TEST(ToolChoice, NamesAToolOfTheRequest) {
    const char *chat_tools = R"("tools":[{"type":"function","function":{"name":"a"}},)"
                             R"({"type":"custom","custom":{"name":"p"}}])";
    const char *anthropic_tools = R"("max_tokens":9,"tools":[{"name":"a","input_schema":{"type":"object"}},)"
                                  R"({"type":"web_fetch_20250910","name":"web_fetch"}])";
    const Choice rows[] = {
        {KIRO_API_OPENAI_CHAT, R"({"type":"function","function":{"name":"a"}})", nullptr},
        {KIRO_API_OPENAI_CHAT, R"({"type":"custom","custom":{"name":"p"}})", nullptr},
        {KIRO_API_OPENAI_CHAT, R"({"type":"tool","name":"a"})", nullptr},
        {KIRO_API_OPENAI_CHAT, R"({"type":"function","function":{"name":"z"}})", "tool_choice.function.name"},
        {KIRO_API_OPENAI_CHAT, R"({"type":"custom","custom":{"name":"z"}})", "tool_choice.custom.name"},
        {KIRO_API_OPENAI_CHAT, R"({"type":"function","name":"z"})", "tool_choice.name"},
        {KIRO_API_OPENAI_CHAT,
         R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"a"}}]}})",
         nullptr},
        {KIRO_API_OPENAI_CHAT,
         R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"z"}}]}})",
         "tool_choice.allowed_tools.tools[0].function.name"},
        {KIRO_API_OPENAI_CHAT, R"({"type":"allowed_tools","allowed_tools":{"mode":"auto"}})",
         "tool_choice.allowed_tools.tools"},
        {KIRO_API_OPENAI_CHAT, R"({"type":"allowed_tools","allowed_tools":{"mode":"x","tools":[]}})",
         "tool_choice.allowed_tools.mode"},
        {KIRO_API_ANTHROPIC, R"({"type":"tool","name":"a"})", nullptr},
        {KIRO_API_ANTHROPIC, R"({"type":"tool","name":"web_fetch"})", nullptr},
        {KIRO_API_ANTHROPIC, R"({"type":"tool","name":"z"})", "tool_choice.name"},
    };
    for (const Choice &row : rows) {
        SCOPED_TRACE(row.choice);
        ClientRequest request(row.api);
        const std::string body = std::string(R"({"model":"m","messages":[{"role":"user","content":"x"}],)") +
                                 R"("tool_choice":)" + row.choice + "," +
                                 (row.api == KIRO_API_ANTHROPIC ? anthropic_tools : chat_tools) + "}";
        EXPECT_EQ(request.parse(body), row.param == nullptr) << request.failure.message;
        if (row.param != nullptr) {
            EXPECT_STREQ(request.failure.param, row.param);
        }
    }
    ClientRequest request;
    ASSERT_TRUE(request.parse(std::string(R"({"model":"m","messages":[{"role":"user","content":"x"}],)") +
                              chat_tools +
                              R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",)"
                              R"("tools":[{"type":"custom","custom":{"name":"p"}}]}}})"));
    EXPECT_EQ(request.request->conversation.allowed_tools, std::vector<chat::Raw>{"p"});
    EXPECT_EQ(request.request->conversation.tool_mode, chat::ToolMode::required);
}

} // namespace
