#include <chrono>
#include <gtest/gtest.h>
#include <random>
#include <string>

#include "core/abi/request_internal.h"
#include "core/chat/reply_context.h"
#include "core/json/cursor.h"
#include "support/client_request.h"
#include "support/upstream_rules.h"

namespace {

using namespace kiro::test;

kiro_str str(std::string_view s) {
    return {s.data(), s.size()};
}

std::string between(const std::string &text, const std::string &before, const std::string &after) {
    size_t start = text.find(before);
    if (start == std::string::npos)
        return {};
    start += before.size();
    return text.substr(start, text.find(after, start) - start);
}

TEST(Request, TellsWhatNginxNeeds) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(
        R"({"model":" Claude-\u0053onnet-4-5 ","stream":true,"messages":[{"role":"user","content":"x"}]})"));
    auto info = request.info();
    EXPECT_EQ(view(info.client_model), "Claude-Sonnet-4-5");
    EXPECT_EQ(view(info.model), "claude-sonnet-4.5");
    EXPECT_EQ(view(info.conversation).size(), 36u);
    EXPECT_EQ(info.stream, 1);
    ASSERT_TRUE(request.parse(R"({"model":"odd\"\\model","messages":[{"role":"user","content":"x"}]})"));
    EXPECT_EQ(view(request.info().client_model), R"(odd\"\\model)");
    EXPECT_EQ(broken_rule(request.write()), "");
}

TEST(Request, DefaultModelAndAliases) {
    const kiro_model_alias aliases[] = {
        {str("gpt-4o"), str("claude-sonnet-4.5")},
        {str(" fast "), str("Claude-Haiku-4.5")},
        {str("claude-opus-4.6"), str("claude-opus-5")},
    };
    ClientRequest request;
    request.options.aliases = aliases;
    request.options.naliases = 3;
    request.options.default_model = str("fast");
    auto model_for = [&](const std::string &member) {
        EXPECT_TRUE(request.parse("{" + member + R"("messages":[{"role":"user","content":"x"}]})"));
        return std::string(view(request.info().model));
    };
    EXPECT_EQ(model_for(R"("model":"gpt-4o",)"), "claude-sonnet-4.5");
    EXPECT_EQ(model_for(R"("model":" gpt-4o\t",)"), "claude-sonnet-4.5");
    EXPECT_EQ(model_for(R"("model":"claude-opus-4-6[1m]",)"), "claude-opus-5");
    EXPECT_EQ(model_for(R"("model":"mystery-9",)"), "mystery-9");
    EXPECT_EQ(model_for(""), "Claude-Haiku-4.5");
    EXPECT_EQ(view(request.info().client_model), "fast");
    EXPECT_EQ(model_for(R"("model":null,)"), "Claude-Haiku-4.5");
}

TEST(Request, ReplyContext) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(R"({"model":"claude-sonnet-4.5","stream_options":{"include_usage":true},
        "messages":[{"role":"user","content":"x"}],
        "tools":[{"type":"function","function":{"name":"a.b","description":"d"}},
                 {"type":"function","function":{"name":"plain","description":"d"}}]})"));
    auto context = kiro::chat::reply_context(*request.request);
    EXPECT_TRUE(context.include_usage);
    EXPECT_FALSE(context.legacy_functions);
    EXPECT_EQ(context.context_window, 200000u);
    EXPECT_GT(context.input_tokens.newest(), 5u);
    EXPECT_LT(context.input_tokens.newest(), 100u);
    ASSERT_EQ(context.aliases.size(), 1u);
    EXPECT_EQ(context.aliases[0].name, "a.b");
    EXPECT_TRUE(context.aliases[0].alias.starts_with("a_b_"));
    EXPECT_NE(request.write().find("\"name\":\"" + std::string(context.aliases[0].alias) + "\""),
              std::string::npos);

    ASSERT_TRUE(request.parse(
        R"({"model":"m","functions":[{"name":"f"}],"messages":[{"role":"user","content":"x"}]})"));
    EXPECT_TRUE(kiro::chat::reply_context(*request.request).legacy_functions);

    // the form of Responses
    ASSERT_TRUE(
        request.parse(R"({"model":"m","input":"x","stream":true,"stream_options":{"include_usage":true},
        "tools":[{"type":"web_search"}],"include":["reasoning.encrypted_content"]})"));
    context = kiro::chat::reply_context(*request.request);
    EXPECT_TRUE(context.include_usage);
    EXPECT_TRUE(context.functions_only);
    EXPECT_TRUE(context.reasoning);
    EXPECT_TRUE(context.search_query.empty());
    EXPECT_TRUE(context.echo.empty());
    EXPECT_FALSE(request.parse(R"({"model":"m","messages":[],"input":"x"})"));
    EXPECT_STREQ(request.failure.param, "messages");
    EXPECT_FALSE(request.parse(R"({"model":"m","input":[{"role":"user","content":7}]})"));
    EXPECT_STREQ(request.failure.param, "input[0].content");

    ClientRequest anthropic(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(anthropic.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}]})"));
    EXPECT_FALSE(kiro::chat::reply_context(*anthropic.request).reasoning);
    ASSERT_TRUE(anthropic.parse(
        R"({"model":"m","thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"x"}]})"));
    EXPECT_TRUE(kiro::chat::reply_context(*anthropic.request).reasoning);
}

TEST(Request, ArnOnlyWhenGiven) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}]})"));
    std::string with = request.write(KIRO_WIRE_V3, "arn:aws:x:us-east-1:1:profile/\"A");
    EXPECT_TRUE(with.ends_with(R"(,"profileArn":"arn:aws:x:us-east-1:1:profile/\"A"})"));
    EXPECT_EQ(request.write().find("profileArn"), std::string::npos);
    EXPECT_EQ(request.write(KIRO_WIRE_V3, "arn:aws:x:us-east-1:1:profile/\"A"), with);
}

TEST(Request, SessionsDecideTheConversation) {
    auto conversation = [](std::string_view hint, const std::string &members, const std::string &text) {
        ClientRequest request;
        request.options.session = str(hint);
        EXPECT_TRUE(request.parse("{\"model\":\"m\"," + members +
                                  R"("messages":[{"role":"user","content":")" + text + "\"}]}"));
        return std::string(view(request.info().conversation));
    };
    EXPECT_EQ(conversation("s1", "", "a"), conversation("s1", "", "a"));
    EXPECT_NE(conversation("s1", "", "a"), conversation("s1", "", "b")); // a side call of the session
    EXPECT_NE(conversation("s1", R"("tools":[{"name":"f","parameters":{}}],)", "a"),
              conversation("s1", "", "a"));
    EXPECT_NE(conversation("s1", "", "a"), conversation("s2", "", "a"));
    EXPECT_EQ(conversation("s1", R"("prompt_cache_key":"k",)", "a"), conversation("s1", "", "a"));
    EXPECT_EQ(conversation("", R"("prompt_cache_key":"k",)", "a"),
              conversation("", R"("prompt_cache_key":"k",)", "a"));
    EXPECT_NE(conversation("", R"("prompt_cache_key":"k",)", "a"), conversation("", "", "a"));
    EXPECT_EQ(conversation("", "", "a"), conversation("", "", "a"));
    EXPECT_NE(conversation("", "", "a"), conversation("", "", "b"));
}

// A turn without text has the closing words for its text, but only as long as it is the last one.
TEST(Request, ClosingWordsAreNotPartOfTheConversation) {
    auto conversation = [](const std::string &more) {
        ClientRequest request;
        EXPECT_TRUE(request.parse(
            R"({"model":"m","response_format":{"type":"json_object"},"messages":[{"role":"user","content":[)"
            R"({"type":"image_url","image_url":"data:image/png;base64,iVBORw0KGgoAAAAN"}]})" +
            more + "]}"));
        return std::string(view(request.info().conversation));
    };
    EXPECT_EQ(conversation(""),
              conversation(R"(,{"role":"assistant","content":"{}"},{"role":"user","content":"And?"})"));
}

// What the upstream has seen must come again byte by byte, or its cache of the prefix is lost.
TEST(Request, HistoriesGrowAtTheEndOnly) {
    const std::string turns[] = {
        R"({"role":"user","content":"One"})",
        R"({"role":"assistant","content":"A","tool_calls":[{"id":"call 1","type":"function","function":{"name":"a.b","arguments":"{}"}},{"id":"call 1","type":"function","function":{"name":"gone","arguments":"x"}}]})",
        R"({"role":"tool","tool_call_id":"call 1","content":[{"type":"image_url","image_url":"data:image/png;base64,iVBORw0KGgoAAAAN"}]})",
        R"({"role":"assistant","content":"","tool_calls":[{"id":"call 1","type":"function","function":{"name":"a.b","arguments":"{}"}}]})",
        R"({"role":"tool","tool_call_id":"call 1","content":""})",
        R"({"role":"assistant","content":"B"})",
        R"({"role":"system","content":"Note"},{"role":"user","content":"Two"})",
        R"({"role":"assistant","content":"C"})",
        R"({"role":"user","content":"Three"})",
    };
    std::string messages = R"({"role":"system","content":"S"})";
    std::string seen, conversation;
    std::vector<std::string> continuations;
    for (size_t i = 0; i < std::size(turns); i++) {
        messages += "," + turns[i];
        if (i % 2 != 0)
            continue; // the assistant's: no request ends with it
        for (kiro_wire wire : {KIRO_WIRE_V2, KIRO_WIRE_V3}) {
            ClientRequest request;
            ASSERT_TRUE(request.parse(R"({"model":"m","messages":[)" + messages +
                                      R"(],"tools":[{"type":"function","function":{"name":"a.b"}}]})"));
            std::string body = request.write(wire);
            ASSERT_EQ(broken_rule(body), "");
            if (wire != KIRO_WIRE_V3)
                continue;
            std::string history = between(body, "\"history\":[", "],\"currentMessage\"");
            std::string current = between(body, "\"currentMessage\":", ",\"tools\"");
            EXPECT_TRUE(history.starts_with(seen)) << seen << "\n" << history;
            seen = history;
            if (i > 0) {
                EXPECT_FALSE(history.empty());
                EXPECT_EQ(conversation, std::string(view(request.info().conversation)));
            }
            conversation = view(request.info().conversation);
            continuations.push_back(between(body, "\"agentContinuationId\":\"", "\""));
        }
    }
    ASSERT_EQ(continuations.size(), 5u);
    EXPECT_EQ(continuations[0], continuations[1]); // tool results continue a turn
    EXPECT_EQ(continuations[1], continuations[2]);
    EXPECT_NE(continuations[2], continuations[3]);
    EXPECT_NE(continuations[3], continuations[4]);
}

TEST(Request, LongDescriptionsMoveToTheInstructions) {
    auto body_with = [](const std::string &description) {
        ClientRequest request;
        EXPECT_TRUE(request.parse(
            R"({"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f","description":")" +
            description + "\"}}]}"));
        return request.write();
    };
    std::string fits(10000, 'd'), wide, escapes;
    for (int i = 0; i < 9999; i++) {
        wide += "\xC3\xA9";
        escapes += i % 2 != 0 ? "\\u00e9" : "\\n";
    }
    for (const std::string &description : {fits, wide, escapes}) {
        std::string body = body_with(description);
        EXPECT_NE(body.find("\"content\":\"Hi\""), std::string::npos);
        EXPECT_NE(body.find("\"description\":\"" + description + "\""), std::string::npos);
    }
    std::string body = body_with(fits + "!");
    EXPECT_NE(body.find("\"content\":\"## Tool: f\\n\\n" + fits + "!\\n\\nHi\""), std::string::npos);
    EXPECT_NE(body.find(R"("description":"The full description is in the instructions under \"Tool: f\".")"),
              std::string::npos);
    EXPECT_EQ(broken_rule(body), "");
}

TEST(Request, SizeGuard) {
    auto fits = [](const std::string &text, const std::string &image) {
        ClientRequest request;
        std::string body = R"({"model":"claude-sonnet-4.5","messages":[)";
        std::string_view rest = text; // whole characters, and no message too long by itself
        for (size_t part = 498000; rest.size() > part; rest.remove_prefix(part)) {
            body += R"({"role":"user","content":")" + std::string(rest.substr(0, part)) + R"("},)";
            body += R"({"role":"assistant","content":"ok"},)";
        }
        body += R"({"role":"user","content":[{"type":"text","text":")" + std::string(rest) + "\"}";
        if (!image.empty())
            body += R"(,{"type":"image_url","image_url":"data:image/png;base64,)" + image + "\"}";
        EXPECT_TRUE(request.parse(body + "]}]}"));
        if (!request.write().empty())
            return true;
        EXPECT_EQ(request.failure.kind, KIRO_FAIL_CONTEXT_OVERFLOW);
        std::string message = request.failure.message;
        unsigned long long have = 0, most = 0;
        EXPECT_EQ(
            std::sscanf(message.c_str(), "prompt is too long: %llu tokens > %llu maximum", &have, &most), 2)
            << message;
        EXPECT_GT(have, most);
        EXPECT_GT(most, 100000u);
        EXPECT_NE(message.find("maximum context length"), std::string::npos);
        return false;
    };
    EXPECT_TRUE(fits(std::string(1338000, 'a'), ""));
    EXPECT_FALSE(fits(std::string(1341000, 'a'), ""));
    std::string wide;
    for (int i = 0; i < 168000; i++)
        wide += "\xE4\xB8\xAD";
    EXPECT_FALSE(fits(wide, ""));
    EXPECT_TRUE(fits(wide.substr(0, 3 * 166000), ""));
    EXPECT_TRUE(fits("look", "iVBORw0KGgoAAAAN" + std::string(4000000, 'A')));
}

TEST(Request, OneMessageHasALimitToo) {
    ClientRequest request;
    for (size_t size : {600000, 600001}) {
        ASSERT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":")" +
                                  std::string(size, 'x') + R"("}]})"));
        EXPECT_EQ(request.write().empty(), size > 600000);
    }
    EXPECT_EQ(request.failure.kind, KIRO_FAIL_CONTEXT_OVERFLOW);
    EXPECT_TRUE(std::string_view(request.failure.message).starts_with("prompt is too long: "));
}

TEST(Request, ManyRepeatedIdsTakeLinearTime) {
    std::string calls, results;
    for (int i = 0; i < 20000; i++) {
        calls += std::string(i > 0 ? "," : "") + R"({"id":"same","function":{"name":"f","arguments":"{}"}})";
        results += R"(,{"role":"tool","tool_call_id":"same","content":"x"})";
    }
    ClientRequest request;
    auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(request.parse(
        R"({"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[)" +
        calls + "]}" + results + "]}"));
    ASSERT_EQ(request.failure.kind, KIRO_FAIL_NONE);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Request, ManyVariantsOfASchemaTakeLinearTime) {
    std::string variants;
    for (int i = 0; i < 400'000; i++)
        variants += std::string(i > 0 ? "," : "") + R"({"const":)" + std::to_string(i) + "}";
    ClientRequest request;
    auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(request.parse(
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"anyOf":[)" +
        variants + "]}}}}}]}"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(Request, ManyCallsOfManyFreeformToolsTakeLinearTime) {
    std::string calls, tools;
    for (int i = 0; i < 20000; i++) {
        calls += R"(,{"type":"function_call","call_id":"c)" + std::to_string(i) +
                 R"(","name":"other","arguments":"text"})";
        tools += std::string(i > 0 ? "," : "") + R"({"type":"custom","name":"t)" + std::to_string(10000 + i) +
                 R"("})";
    }
    ClientRequest request;
    auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(request.parse(R"({"model":"m","input":[{"role":"user","content":"x"})" + calls +
                              R"(],"tools":[)" + tools + "]}"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Request, SchemaReferencesCannotMultiply) {
    std::string references;
    for (int i = 0; i < 2000; i++)
        references += std::string(i > 0 ? "," : "") + R"({"$ref":"#/$defs/A"})";
    ClientRequest request;
    ASSERT_TRUE(request.parse(
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"$ref":"#/$defs/A","$defs":{"A":{"allOf":[)" +
        references + "]}}}}}]}"));
    auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(broken_rule(request.write()), "");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Request, DuplicateKeysTakeTheLast) {
    ClientRequest request;
    ASSERT_TRUE(
        request.parse(
            R"({"model":"a","messages":[{"role":"wizard"}],"model":"b","messages":[{"role":"assistant","content":[{"type":"x"}],"role":"user","content":"one","content":"two"}]})") ==
        false);
    EXPECT_STREQ(request.failure.param, "messages[0].role"); // still looked at
    ASSERT_TRUE(request.parse(
        R"({"model":"a","model":"b","messages":[{"role":"assistant","content":[{"type":"x"}],"role":"user","content":"one","content":"two"}]})"));
    EXPECT_EQ(view(request.info().model), "b");
    EXPECT_NE(request.write().find("\"content\":\"two\""), std::string::npos);
}

TEST(Request, DeepContentIsRefusedOrIgnoredNotFollowed) {
    std::string deep = "\"x\"";
    for (int i = 0; i < 60; i++)
        deep = R"([{"type":"tool_result","tool_use_id":"a","content":)" + deep + "}]";
    ClientRequest request(KIRO_API_ANTHROPIC);
    EXPECT_FALSE(request.parse(R"({"model":"m","messages":[{"role":"user","content":)" + deep + "}]}"));
    EXPECT_EQ(request.failure.kind, KIRO_FAIL_INVALID_REQUEST);
    std::string rendered = "\"x\"";
    for (int i = 0; i < 50; i++)
        rendered = R"([{"type":"mcp_tool_result","content":)" + rendered + "}]";
    EXPECT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":)" + rendered + "}]}"));
}

// Values of one request in the places of another: whatever is accepted must keep the upstream's rules.
TEST(Request, MutationsAreRefusedOrLegal) {
    const char *const words[] = {
        "null",
        "true",
        "0",
        "-1.5e3",
        "\"\"",
        "\" \"",
        "\"x\"",
        "{}",
        "[]",
        "[null]",
        "[[]]",
        "\"\\ud83d\"",
        "\"user\"",
        "\"assistant\"",
        "\"tool\"",
        "\"system\"",
        "\"text\"",
        "\"tool_use\"",
        "\"tool_result\"",
        "\"image\"",
        "\"t1\"",
        "\"a b\"",
        "\"none\"",
        "{\"type\":\"text\",\"text\":\"y\"}",
        "[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}]",
        "[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\"}]",
        "[{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]",
    };
    const std::string seed =
        R"({"model":"m","system":"s","stream":true,"tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}],)"
        R"("messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgoAAAAN"}}]},)"
        R"({"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{"a":"b"}}],"tool_calls":[]},)"
        R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"r"}],"is_error":false}],"tool_call_id":"t1","name":"n"},)"
        R"({"role":"assistant","content":"ok"},{"role":"user","content":"bye"}],"tool_choice":{"type":"auto"}})";
    std::mt19937 random(7);
    int accepted = 0;
    for (int round = 0; round < 20000; round++) {
        std::string body = seed;
        for (unsigned edits = 1 + random() % 4; edits > 0; edits--) {
            // replace the value behind a colon, or swap two bytes
            size_t at = random() % body.size();
            size_t colon = body.find(':', at);
            if (colon == std::string::npos || random() % 8 == 0) {
                std::swap(body[at], body[random() % body.size()]);
                continue;
            }
            kiro::json::Cursor cursor(std::string_view(body).substr(colon + 1));
            size_t length = cursor.value().size();
            body.replace(colon + 1, length, words[random() % std::size(words)]);
        }
        ClientRequest request(random() % 2 != 0 ? KIRO_API_ANTHROPIC : KIRO_API_OPENAI_CHAT);
        if (!request.parse(body)) {
            ASSERT_NE(request.failure.kind, KIRO_FAIL_INTERNAL) << body;
            ASSERT_NE(request.failure.message[0], '\0');
            continue;
        }
        accepted++;
        std::string written = request.write(static_cast<kiro_wire>(random() % 3));
        ASSERT_EQ(broken_rule(written), "") << body << "\n" << written;
    }
    EXPECT_GT(accepted, 500);
}

} // namespace
