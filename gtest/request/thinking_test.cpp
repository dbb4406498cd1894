// What clients say about reasoning, and what goes to each model for it.

#include <gtest/gtest.h>
#include <simdjson.h>
#include <string>

#include "core/abi/request_internal.h"
#include "core/chat/reply_context.h"
#include "support/client_request.h"
#include "support/model_fields.h"
#include "support/upstream_rules.h"

namespace {

using namespace kiro::test;

constexpr const char *kModels[] = {
    "auto",
    "claude-opus-5.5",
    "claude-sonnet-5.5",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-fable-5.1",
    "claude-opus-4.8",
    "claude-opus-4.7",
    "claude-opus-4.6",
    "claude-sonnet-4.6",
    "claude-opus-4.5",
    "claude-sonnet-4.5",
    "claude-sonnet-4",
    "claude-haiku-4.5",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "deepseek-3.2",
    "minimax-m2.5",
    "minimax-m2.1",
    "glm-5",
    "qwen3-coder-next",
    "some-model-of-tomorrow",
};

struct Sent {
    std::string fields; // additionalModelRequestFields
    std::string body;
    std::string tags; // of the current message
    bool shown = false;
    bool tagged = false;
};

std::string between(const std::string &text, std::string_view start, std::string_view end) {
    const size_t from = text.find(start);
    if (from == std::string::npos)
        return {};
    const size_t to = text.find(end, from + start.size());
    return text.substr(from + start.size(), to - from - start.size());
}

// members: of the body, with a comma behind.
Sent send(kiro_api api, std::string_view model, std::string_view members,
          kiro_thinking option = KIRO_THINKING_AUTO,
          std::string_view messages = R"([{"role":"user","content":"Hi"}])") {
    ClientRequest request(api);
    request.options.thinking = option;
    const char *list = api == KIRO_API_OPENAI_RESPONSES ? R"("input":)" : R"("messages":)";
    std::string body = R"({"model":")" + std::string(model) + "\"," + std::string(members) + list +
                       std::string(messages) + "}";
    EXPECT_TRUE(request.parse(body)) << body << ": " << request.failure.message;
    Sent sent;
    sent.body = request.write();
    EXPECT_EQ(broken_rule(sent.body), "") << sent.body;
    simdjson::dom::parser parser;
    simdjson::padded_string padded(sent.body);
    simdjson::dom::object fields;
    if (parser.parse(padded)["additionalModelRequestFields"].get(fields) == simdjson::SUCCESS)
        sent.fields = simdjson::minify(fields);
    sent.tags = between(sent.body, "<max_thinking_length>", "</max_thinking_length>");
    const auto context = kiro::chat::reply_context(*request.request);
    sent.shown = context.reasoning;
    sent.tagged = context.tagged_reasoning;
    return sent;
}

Sent chat(std::string_view model, std::string_view members, kiro_thinking option = KIRO_THINKING_AUTO) {
    return send(KIRO_API_OPENAI_CHAT, model, members, option);
}
Sent responses(std::string_view model, std::string_view members, kiro_thinking option = KIRO_THINKING_AUTO) {
    return send(KIRO_API_OPENAI_RESPONSES, model, members, option);
}
Sent messages(std::string_view model, std::string_view members, kiro_thinking option = KIRO_THINKING_AUTO) {
    return send(KIRO_API_ANTHROPIC, model, members, option);
}

std::string claude(std::string_view type, std::string_view effort, std::string_view display = "summarized") {
    std::string out = R"({"thinking":{"type":")" + std::string(type) + "\"";
    if (type != "disabled")
        out += R"(,"display":")" + std::string(display) + "\"";
    out += "}";
    if (!effort.empty())
        out += R"(,"output_config":{"effort":")" + std::string(effort) + "\"}";
    return out + "}";
}
std::string output(std::string_view effort) {
    return R"({"output_config":{"effort":")" + std::string(effort) + "\"}}";
}
std::string gpt(std::string_view effort) {
    return R"({"reasoning":{"effort":")" + std::string(effort) + "\"}}";
}

constexpr const char *kEfforts[] = {"none",  "minimal", "low",  "medium",   "high",
                                    "xhigh", "max",     "HIGH", "ludicrous"};

constexpr const char *kThinking[] = {
    "",
    R"("thinking":{"type":"disabled"},)",
    R"("thinking":{"type":"adaptive"},)",
    R"("thinking":{"type":"adaptive","display":"omitted"},)",
    R"("thinking":{"type":"adaptive","display":"updates"},)",
    R"("thinking":{"type":"between_tools"},)",
    R"("thinking":{"type":"enabled"},)",
    R"("thinking":{"type":"enabled","budget_tokens":1024},)",
    R"("thinking":{"type":"enabled","budget_tokens":4096},)",
    R"("thinking":{"type":"enabled","budget_tokens":10000},)",
    R"("thinking":{"type":"enabled","budget_tokens":31999},)",
    R"("thinking":{"type":"enabled","budget_tokens":128000},)",
    R"("thinking":{"type":"some_day"},)",
};

// No model gets a member or word that it refuses, whatever is asked, and never both a field and tags.
TEST(Thinking, EveryModelTakesWhatEverySignalGives) {
    for (const char *model : kModels) {
        for (kiro_thinking option :
             {KIRO_THINKING_AUTO, KIRO_THINKING_NATIVE, KIRO_THINKING_TAGS, KIRO_THINKING_OFF}) {
            const auto check = [&](const Sent &sent) {
                EXPECT_TRUE(sent.fields.empty() || sent.tags.empty()) << sent.body;
                EXPECT_EQ(!sent.tags.empty(), sent.tagged) << sent.body;
                EXPECT_EQ(sent.body.find("max_tokens"), std::string::npos);
                if (field_rules(model).empty() || option == KIRO_THINKING_TAGS) {
                    EXPECT_EQ(sent.fields, "") << sent.body;
                }
                if (option == KIRO_THINKING_NATIVE || option == KIRO_THINKING_OFF) {
                    EXPECT_EQ(sent.tags, "") << sent.body;
                }
                if (option == KIRO_THINKING_OFF) {
                    EXPECT_FALSE(sent.shown) << sent.body;
                }
            };
            for (const char *thinking : kThinking) {
                check(chat(model, thinking, option));
                check(messages(model, thinking, option));
                for (const char *effort : kEfforts) {
                    const std::string word = std::string("\"") + effort + "\"";
                    check(messages(model, R"("output_config":{"effort":)" + word + "}," + thinking, option));
                    check(chat(model, R"("reasoning_effort":)" + word + "," + thinking, option));
                    check(chat(model, R"("reasoning":{"effort":)" + word + "}," + thinking, option));
                    check(responses(model, R"("reasoning":{"effort":)" + word + "},", option));
                }
            }
        }
    }
}

TEST(Thinking, EffortOfOpenAiClients) {
    struct Row {
        const char *effort, *opus46, *opus48, *opus55, *gpt;
    };
    constexpr Row rows[] = {
        {"minimal", "low", "low", "low", "low"},
        {"low", "low", "low", "low", "low"},
        {"medium", "medium", "medium", "medium", "medium"},
        {"high", "high", "high", "high", "high"},
        {"xhigh", "high", "xhigh", "xhigh", "xhigh"},
        {"max", "max", "max", "max", "max"},
        {"HIGH", "high", "high", "high", "high"},
        {"ludicrous", "high", "high", "medium", "high"},
    };
    for (const Row &row : rows) {
        for (const char *form :
             {R"("reasoning_effort":"$",)", R"("reasoning":{"effort":"$"},)",
              R"("reasoning":{"effort":"$","enabled":true},)",
              R"("thinking":{"type":"enabled","budget_tokens":77},"reasoning_effort":"$",)"}) {
            std::string members = form;
            members.replace(members.find('$'), 1, row.effort);
            SCOPED_TRACE(members);
            EXPECT_EQ(chat("claude-opus-4.6", members).fields, claude("adaptive", row.opus46));
            EXPECT_EQ(chat("claude-opus-4.8", members).fields, claude("adaptive", row.opus48));
            EXPECT_EQ(chat("claude-opus-5.5", members).fields, claude("adaptive", row.opus55));
            EXPECT_EQ(chat("gpt-5.6-sol", members).fields, gpt(row.gpt));
            EXPECT_TRUE(chat("gpt-5.6-sol", members).shown);
        }
    }
}

TEST(Thinking, NoneOfOpenAiClients) {
    for (const char *members :
         {R"("reasoning_effort":"none",)", R"("reasoning":{"effort":"none"},)",
          R"("reasoning":{"enabled":false},)", R"("thinking":{"type":"disabled"},)", R"("thinking":false,)",
          R"("enable_thinking":false,)", R"("chat_template_kwargs":{"enable_thinking":false},)",
          R"("reasoning":{"max_tokens":0},)", R"("reasoning_effort":"high","enable_thinking":false,)"}) {
        SCOPED_TRACE(members);
        EXPECT_EQ(chat("claude-opus-4.6", members).fields, claude("disabled", ""));
        EXPECT_EQ(chat("claude-opus-5.5", members).fields, output("low")) << "it cannot be switched off";
        EXPECT_EQ(chat("gpt-5.6-sol", members).fields, gpt("none"));
        EXPECT_EQ(chat("claude-sonnet-4.5", members).tags, "");
        EXPECT_FALSE(chat("claude-opus-4.6", members).shown);
    }
}

TEST(Thinking, SwitchesOfOpenAiClients) {
    for (const char *members :
         {R"("thinking":{"type":"enabled"},)", R"("thinking":true,)", R"("enable_thinking":true,)",
          R"("chat_template_kwargs":{"enable_thinking":true,"x":1},)",
          R"("chat_template_kwargs":{"thinking":true},)", R"("reasoning":{"enabled":true},)"}) {
        SCOPED_TRACE(members);
        EXPECT_EQ(chat("claude-opus-4.6", members).fields, claude("adaptive", "high"));
        EXPECT_EQ(chat("claude-opus-5.5", members).fields, claude("adaptive", "medium"));
        EXPECT_EQ(chat("gpt-5.6-sol", members).fields, gpt("high"));
        EXPECT_EQ(chat("claude-sonnet-4.5", members).tags, "20000");
    }
    EXPECT_EQ(chat("claude-opus-4.8", R"("reasoning":{"max_tokens":3000},)").fields,
              claude("adaptive", "medium"));
    for (const char *members : {R"("reasoning":{},)", R"("reasoning":null,)", R"("reasoning_effort":null,)",
                                R"("thinking":null,"enable_thinking":null,"chat_template_kwargs":null,)",
                                R"("chat_template_kwargs":{"enable_thinking":null},)", ""}) {
        SCOPED_TRACE(members);
        for (const char *model : kModels) {
            const Sent sent = chat(model, members);
            EXPECT_EQ(sent.fields + sent.tags, "") << "nothing was asked";
            EXPECT_TRUE(sent.shown) << "but reasoning that comes is shown";
        }
    }
}

TEST(Thinking, OfAnthropicClients) {
    struct Row {
        const char *thinking, *opus46, *opus55, *gpt, *tags;
        bool shown;
    };
    const std::string adaptive46 = claude("adaptive", "high"), adaptive55 = claude("adaptive", "medium"),
                      omitted46 = claude("adaptive", "high", "omitted"),
                      omitted55 = claude("adaptive", "medium", "omitted"), off46 = claude("disabled", ""),
                      off55 = output("low"), high = gpt("high"), none = gpt("none");
    const auto budget = [](const char *effort) { return claude("adaptive", effort); };
    const std::string low = budget("low"), medium = budget("medium"), b_high = budget("high"),
                      xhigh = budget("xhigh"), max = budget("max"), g_low = gpt("low"),
                      g_medium = gpt("medium"), g_xhigh = gpt("xhigh"), g_max = gpt("max");
    const Row rows[] = {
        {kThinking[0], "", "", "", "", false},
        {kThinking[1], off46.c_str(), off55.c_str(), none.c_str(), "", false},
        {kThinking[2], adaptive46.c_str(), adaptive55.c_str(), high.c_str(), "20000", true},
        {kThinking[3], omitted46.c_str(), omitted55.c_str(), high.c_str(), "20000", true},
        {kThinking[4], adaptive46.c_str(), adaptive55.c_str(), high.c_str(), "20000", true},
        {kThinking[5], adaptive46.c_str(), adaptive55.c_str(), high.c_str(), "20000", true},
        {kThinking[6], adaptive46.c_str(), adaptive55.c_str(), high.c_str(), "20000", true},
        {kThinking[7], low.c_str(), low.c_str(), g_low.c_str(), "1024", true},
        {kThinking[8], medium.c_str(), medium.c_str(), g_medium.c_str(), "4096", true},
        {kThinking[9], b_high.c_str(), b_high.c_str(), high.c_str(), "10000", true},
        {kThinking[10], b_high.c_str(), xhigh.c_str(), g_xhigh.c_str(), "24576", true},
        {kThinking[11], max.c_str(), max.c_str(), g_max.c_str(), "24576", true},
        {kThinking[12], adaptive46.c_str(), adaptive55.c_str(), high.c_str(), "20000", true},
    };
    for (const Row &row : rows) {
        SCOPED_TRACE(row.thinking);
        EXPECT_EQ(messages("claude-opus-4.6", row.thinking).fields, row.opus46);
        EXPECT_EQ(messages("claude-opus-5.5", row.thinking).fields, row.opus55);
        EXPECT_EQ(messages("gpt-5.6-terra", row.thinking).fields, row.gpt);
        EXPECT_EQ(messages("claude-haiku-4.5", row.thinking).tags, row.tags);
        EXPECT_EQ(messages("claude-opus-4.6", row.thinking).shown, row.shown);
        // the effort says how hard, not whether
        const Sent both =
            messages("claude-opus-4.6", R"("output_config":{"effort":"max"},)" + std::string(row.thinking));
        EXPECT_EQ(both.shown, row.shown);
        EXPECT_EQ(both.fields.find("max") != std::string::npos, std::string(row.thinking) != kThinking[1]);
    }
    EXPECT_EQ(messages("claude-sonnet-5.5", kThinking[5]).fields, claude("between_tools", "high"));
    EXPECT_EQ(messages("claude-opus-4.6", R"("output_config":{"effort":"xhigh"},)").fields, output("high"));
    EXPECT_EQ(messages("gpt-5.6-sol", R"("output_config":{"effort":"low"},)").fields, gpt("low"));
    EXPECT_EQ(messages("claude-haiku-4.5", R"("output_config":{"effort":"low"},)").tags, "");
}

TEST(Thinking, OfResponsesClients) {
    const auto opus = [](const char *members) { return responses("claude-opus-4.6", members); };
    EXPECT_EQ(opus("").fields, "");
    EXPECT_EQ(opus(R"("reasoning":{},)").fields, "");
    EXPECT_EQ(opus(R"("reasoning":{"effort":"minimal"},)").fields, claude("adaptive", "low"));
    EXPECT_EQ(opus(R"("reasoning":{"effort":"none"},)").fields, claude("disabled", ""));
    EXPECT_EQ(opus(R"("reasoning":{"effort":"none","summary":"auto"},)").fields, claude("disabled", ""));
    EXPECT_EQ(opus(R"("reasoning":{"summary":"auto"},)").fields, claude("adaptive", "high"));
    EXPECT_TRUE(opus(R"("reasoning":{"summary":"auto"},)").shown);
    EXPECT_EQ(responses("gpt-5.6-sol", R"("reasoning":{"effort":"xhigh","summary":"auto"},)").fields,
              gpt("xhigh"));
    EXPECT_EQ(responses("claude-haiku-4.5", R"("reasoning":{"effort":"low"},)").tags, "4000");
}

TEST(Thinking, EffortOfATurn) {
    const auto effort = [](const char *list, const char *members = "") {
        return send(KIRO_API_ANTHROPIC, "claude-opus-4.8", members, KIRO_THINKING_AUTO, list).fields;
    };
    constexpr const char *top = R"("output_config":{"effort":"low"},)";
    EXPECT_EQ(effort(R"([{"role":"user","content":"x"},
        {"role":"system","content":"s","output_config":{"effort":"max"}}])",
                     top),
              output("max"));
    EXPECT_EQ(effort(R"([{"role":"user","content":"x","output_config":{"effort":"max"}}])"), output("max"));
    // it holds while tools run
    EXPECT_EQ(
        effort(
            R"([{"role":"user","content":"x"},{"role":"system","content":"s","output_config":{"effort":"max"}},
        {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"}]}])",
            top),
        output("max"));
    // and ends when somebody writes again
    EXPECT_EQ(effort(R"([{"role":"user","content":"x","output_config":{"effort":"max"}},
        {"role":"assistant","content":"y"},{"role":"user","content":"z"}])",
                     top),
              output("low"));
    EXPECT_EQ(effort(R"([{"role":"user","content":"x"},{"role":"assistant","content":"y"},
        {"role":"system","content":"s","output_config":{"effort":"max"}},{"role":"user","content":"z"}])"),
              output("max"));
}

TEST(Thinking, SuffixesOfModelNames) {
    EXPECT_EQ(chat("claude-opus-4-6-thinking", "").fields, claude("adaptive", "high"));
    EXPECT_EQ(messages("claude-opus-4-6-thinking", "").fields, claude("adaptive", "high"));
    EXPECT_TRUE(messages("claude-opus-4-6-thinking", "").shown);
    EXPECT_EQ(chat("claude-opus-4-6-low", "").fields, claude("adaptive", "low"));
    EXPECT_EQ(messages("claude-opus-4-6-low", "").fields, output("low"));
    EXPECT_FALSE(messages("claude-opus-4-6-low", "").shown);
    EXPECT_EQ(chat("gpt-5.6-sol-none", "").fields, gpt("none"));
    EXPECT_FALSE(chat("gpt-5.6-sol-none", "").shown);
    EXPECT_EQ(messages("claude-opus-4-8-max-thinking", "").fields, claude("adaptive", "max"));
    EXPECT_EQ(messages("claude-sonnet-4-5-thinking", "").tags, "20000");
    // the body says more than the name
    EXPECT_EQ(chat("claude-opus-4-6-low", R"("reasoning_effort":"max",)").fields, claude("adaptive", "max"));
    EXPECT_EQ(messages("claude-opus-4-6-thinking", R"("thinking":{"type":"disabled"},)").fields,
              claude("disabled", ""));
    EXPECT_EQ(messages("claude-opus-4-6-low", R"("thinking":{"type":"adaptive"},)").fields,
              claude("adaptive", "low"));
}

TEST(Thinking, TheOperatorDecides) {
    constexpr const char *adaptive = kThinking[2];
    EXPECT_EQ(messages("claude-opus-4.6", adaptive, KIRO_THINKING_NATIVE).fields, claude("adaptive", "high"));
    EXPECT_EQ(messages("claude-sonnet-4.5", adaptive, KIRO_THINKING_NATIVE).tags, "");
    EXPECT_EQ(messages("claude-opus-4.6", adaptive, KIRO_THINKING_TAGS).tags, "20000");
    EXPECT_EQ(messages("claude-opus-4.6", "", KIRO_THINKING_TAGS).tags, "");
    EXPECT_EQ(messages("claude-opus-4.6", adaptive, KIRO_THINKING_OFF).fields, claude("disabled", ""));
    EXPECT_EQ(messages("claude-opus-4.6", "", KIRO_THINKING_OFF).fields, claude("disabled", ""));
    EXPECT_EQ(chat("gpt-5.6-sol", R"("reasoning_effort":"max",)", KIRO_THINKING_OFF).fields, gpt("none"));
    EXPECT_EQ(messages("claude-sonnet-5.5", adaptive, KIRO_THINKING_OFF).fields, output("low"));
    EXPECT_EQ(messages("claude-sonnet-4.5", adaptive, KIRO_THINKING_OFF).tags, "");
}

TEST(Thinking, WrongTypesAreRefused) {
    struct Row {
        kiro_api api;
        const char *members, *param;
    };
    constexpr Row rows[] = {
        {KIRO_API_OPENAI_CHAT, R"("reasoning_effort":3,)", "reasoning_effort"},
        {KIRO_API_OPENAI_CHAT, R"("reasoning":"high",)", "reasoning"},
        {KIRO_API_OPENAI_CHAT, R"("reasoning":{"effort":true},)", "reasoning.effort"},
        {KIRO_API_OPENAI_CHAT, R"("reasoning":{"enabled":"yes"},)", "reasoning.enabled"},
        {KIRO_API_OPENAI_CHAT, R"("reasoning":{"max_tokens":-1},)", "reasoning.max_tokens"},
        {KIRO_API_OPENAI_CHAT, R"("thinking":"on",)", "thinking"},
        {KIRO_API_OPENAI_CHAT, R"("thinking":{"type":1},)", "thinking.type"},
        {KIRO_API_OPENAI_CHAT, R"("enable_thinking":1,)", "enable_thinking"},
        {KIRO_API_OPENAI_CHAT, R"("chat_template_kwargs":[],)", "chat_template_kwargs"},
        {KIRO_API_OPENAI_CHAT, R"("chat_template_kwargs":{"enable_thinking":"x"},)",
         "chat_template_kwargs.enable_thinking"},
        {KIRO_API_ANTHROPIC, R"("thinking":[],)", "thinking"},
        {KIRO_API_ANTHROPIC, R"("thinking":{},)", "thinking.type"},
        {KIRO_API_ANTHROPIC, R"("thinking":{"type":"enabled","budget_tokens":"x"},)",
         "thinking.budget_tokens"},
        {KIRO_API_ANTHROPIC, R"("thinking":{"type":"enabled","budget_tokens":1.5},)",
         "thinking.budget_tokens"},
        {KIRO_API_ANTHROPIC, R"("thinking":{"type":"enabled","display":1},)", "thinking.display"},
        {KIRO_API_ANTHROPIC, R"("output_config":"x",)", "output_config"},
        {KIRO_API_ANTHROPIC, R"("output_config":{"effort":5},)", "output_config.effort"},
    };
    for (const Row &row : rows) {
        SCOPED_TRACE(row.members);
        ClientRequest request(row.api);
        EXPECT_FALSE(request.parse(R"({"model":"m",)" + std::string(row.members) +
                                   R"("messages":[{"role":"user","content":"x"}]})"));
        EXPECT_EQ(request.failure.kind, KIRO_FAIL_INVALID_REQUEST);
        EXPECT_STREQ(request.failure.param, row.param);
    }
}

TEST(Thinking, TagsStandInTheCurrentMessageOnly) {
    const auto content = [](const char *list) {
        return send(KIRO_API_ANTHROPIC, "claude-sonnet-4.5",
                    R"("thinking":{"type":"adaptive"},"system":"Be brief.",)", KIRO_THINKING_AUTO, list);
    };
    Sent first = content(R"([{"role":"user","content":"Hi"}])");
    // behind the system prompt, so that its cached prefix survives the next turn, and in front of the text
    EXPECT_NE(
        first.body.find(
            R"("content":"Be brief.\n\n<thinking_mode>enabled</thinking_mode><max_thinking_length>20000)"),
        std::string::npos)
        << first.body;
    EXPECT_NE(first.body.find(R"(</thinking_instruction>\n\nHi")"), std::string::npos);
    Sent second = content(
        R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}])");
    EXPECT_NE(second.body.find(R"("history":[{"userInputMessage":{"content":"Be brief.\n\nHi")"),
              std::string::npos)
        << second.body;
    EXPECT_NE(second.body.find(R"(</thinking_instruction>\n\nBye")"), std::string::npos);

    // results of tools: nothing is added, but the model may go on thinking in tags
    Sent results = send(KIRO_API_ANTHROPIC, "claude-sonnet-4.5", kThinking[2], KIRO_THINKING_AUTO,
                        R"([{"role":"user","content":"x"},
        {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"},{"type":"text","text":"and?"}]}])");
    EXPECT_EQ(results.tags, "");
    EXPECT_TRUE(results.tagged);

    Sent own = content(R"([{"role":"user","content":"<max_thinking_length>7</max_thinking_length>Hi"}])");
    EXPECT_EQ(own.tags, "7");
    EXPECT_EQ(own.body.find("thinking_mode"), std::string::npos);
}

TEST(Thinking, RefusedFieldsAreDroppedOnce) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(
        R"({"model":"gpt-5.6-sol","reasoning_effort":"low","messages":[{"role":"user","content":"x"}]})"));
    EXPECT_NE(request.write().find("additionalModelRequestFields"), std::string::npos);
    EXPECT_EQ(request.change(KIRO_CHANGE_DROP_REASONING), KIRO_ERROR);
    EXPECT_EQ(request.change(KIRO_CHANGE_NONE), KIRO_ERROR);
    EXPECT_EQ(request.change(KIRO_CHANGE_DROP_FIELDS), KIRO_OK);
    EXPECT_EQ(request.write().find("additionalModelRequestFields"), std::string::npos);
    EXPECT_EQ(request.change(KIRO_CHANGE_DROP_FIELDS), KIRO_ERROR);
}

} // namespace
