// Each rule is kept or broken by some request, and says where.

#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/chat/rules.h"
#include "core/json/locate.h"
#include "core/kiro/seal.h"
#include "core/kiro/suspect.h"
#include "kiro/explain.h"
#include "kiro/reply.h"
#include "support/client_request.h"
#include "support/corpus.h"
#include "support/data.h"

namespace {

using namespace kiro::test;
namespace upstream = kiro::kiro;
using kiro::chat::Rule;

constexpr std::string_view png =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

std::string changes(const ClientRequest &request) {
    std::string out(KIRO_EXPLAIN_MAX, '\0');
    out.resize(kiro_request_changes(request.request.get(), out.data(), out.size()));
    return out;
}

std::string explanation(const kiro_request *request, const kiro_failure &failure) {
    std::string out(KIRO_EXPLAIN_MAX, '\0');
    out.resize(kiro_request_explain(request, &failure, out.data(), out.size()));
    return out;
}

// The names in a list.
std::set<std::string> names_in(const std::string &list) {
    std::set<std::string> names;
    for (size_t at = 0; at < list.size();) {
        const size_t end = std::min(list.find(", ", at), list.size());
        const std::string item = list.substr(at, end - at);
        names.insert(item.substr(0, item.find(';')));
        at = end + 2;
    }
    return names;
}

// What RFC 8941 and the promise of the header allow.
void check_list(const std::string &list) {
    ASSERT_LE(list.size(), static_cast<size_t>(KIRO_EXPLAIN_MAX));
    for (size_t i = 0; i < list.size();) {
        const size_t end = std::min(list.find(", ", i), list.size());
        std::string item = list.substr(i, end - i);
        i = end + 2;
        size_t name = item.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-");
        ASSERT_NE(name, 0u) << list;
        item.erase(0, std::min(name, item.size()));
        if (item.starts_with(";n=")) {
            const size_t digits = item.find_first_not_of("0123456789", 3);
            ASSERT_GT(std::min(digits, item.size()), 3u) << list;
            item.erase(0, std::min(digits, item.size()));
        }
        if (item.starts_with(";path=\"")) {
            ASSERT_TRUE(item.ends_with('"')) << list;
            const std::string path = item.substr(7, item.size() - 8);
            ASSERT_FALSE(path.empty());
            ASSERT_LE(path.size(), kiro::json::max_path);
            for (char c : path)
                ASSERT_TRUE(c > ' ' && c <= '~' && c != '"' && c != '\\') << list;
            item.clear();
        }
        ASSERT_EQ(item, "") << list;
    }
}

struct Case {
    kiro_api api;
    std::string body;
    std::string expected; // a part of the list
};

constexpr kiro_api openai = KIRO_API_OPENAI_CHAT;
constexpr kiro_api anthropic = KIRO_API_ANTHROPIC;
constexpr kiro_api responses = KIRO_API_OPENAI_RESPONSES;

// A request with one user message and more members.
std::string with(const std::string &members) {
    return R"({"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"x"}],)" + members + "}";
}

std::string messages(const std::string &list) {
    return R"({"model":"claude-sonnet-4.5","messages":[)" + list + "]}";
}

std::string schema(const std::string &properties) {
    return with(R"("tools":[{"type":"function","function":{"name":"f","description":"d","parameters":)"
                R"({"type":"object","properties":)" +
                properties + "}}}]");
}

std::string root_schema(const std::string &parameters) {
    return with(R"("tools":[{"type":"function","function":{"name":"f","description":"d","parameters":)" +
                parameters + "}}]");
}

std::vector<Case> cases() {
    const std::string call =
        R"({"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]})";
    const std::string user = R"({"role":"user","content":"x"})";
    const std::string image =
        R"({"type":"image_url","image_url":{"url":"data:image/png;base64,)" + std::string(png) + R"("}})";
    std::string images = image;
    for (int i = 0; i < 20; i++)
        images += "," + image;
    const std::string pdf =
        R"({"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0x"}})";
    std::string pdfs = pdf;
    for (int i = 0; i < 4; i++)
        pdfs += "," + pdf;
    const std::string deep = std::string(120, '[') + std::string(120, ']');
    return {
        {openai, messages(R"({"role":"user","content":"\ud83d x"})"),
         R"(surrogate-replaced;path="messages[0].content")"},
        {openai, with(R"("temperature":0.5,"seed":1,"user":null)"),
         R"(parameter-ignored;n=2;path="temperature")"},
        {openai, with(R"("colour \"red\"":1)"), R"(unknown-member-ignored;path="colour%20%22red%22")"},
        {openai,
         messages(R"({"role":"user","name":"bob","content":[{"type":"text","text":"x","mood":"good"}]})"),
         R"(member-ignored;path="messages[0].content[0].mood")"},
        {anthropic,
         messages(
             R"({"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]})"),
         R"(cache-control-ignored;path="messages[0].content[0].cache_control")"},
        {anthropic, with(R"("max_tokens":10)"), R"(max-tokens-by-gateway;path="max_tokens")"},
        {anthropic, with(R"("stop_sequences":["x"])"), R"(stop-by-gateway;path="stop_sequences")"},
        {openai, R"({"messages":[{"role":"user","content":"x"}]})", "model-defaulted"},
        {openai, R"({"model":"mine","messages":[{"role":"user","content":"x"}]})",
         R"(model-aliased;path="model")"},
        {openai, R"({"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"x"}]})",
         R"(model-renamed;path="model")"},
        {openai, R"({"model":"claude-opus-4.6-high","messages":[{"role":"user","content":"x"}]})",
         R"(effort-from-model;path="model")"},
        {anthropic,
         messages(R"({"role":"user","content":[{"type":"document","source":{"type":"text","data":"x"}}]})"),
         R"(block-as-text;path="messages[0].content[0]")"},
        {anthropic,
         messages(R"({"role":"user","content":[{"type":"text","text":"x"},{"type":"container_upload"}]})"),
         R"(block-left-out;path="messages[0].content[1]")"},
        {responses, R"({"model":"auto","input":[{"type":"ghost_snapshot"},{"role":"user","content":"x"}]})",
         R"(server-item-left-out;path="input[0]")"},
        {openai,
         messages(
             R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,)" +
             std::string(png.substr(0, png.size() - 2)) + R"("}}]})"),
         R"(base64-repaired;path="messages[0].content[0].image_url.url")"},
        {openai,
         messages(R"({"role":"user","content":[{"type":"image_url","image_url":"data:image/gif;base64,)" +
                  std::string(png) + R"("}]})"),
         R"(image-format-corrected;path="messages[0].content[0].image_url")"},
        {openai,
         messages(
             user +
             R"(,{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"[1]"}}]})"),
         R"(arguments-wrapped;path="messages[1].tool_calls[0].function.arguments")"},
        {openai,
         messages(user +
                  R"(,{"role":"assistant","tool_calls":[{"id":"a","custom":{"name":"f","input":"x"}}]})"),
         R"(freeform-wrapped;path="messages[1].tool_calls[0].custom.input")"},
        {openai,
         R"({"model":"auto","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"messages":[)" +
             user + R"(,{"role":"assistant","content":"x\n[Called f with args: {}]"},)" + user + "]}",
         R"(leaked-call-removed;path="messages[1].content")"},
        {openai, messages(R"({"role":"system","content":"s"},)" + user),
         R"(system-prepended;path="messages[0].content")"},
        {openai, messages(user + R"(,{"role":"system","content":"s"})"),
         R"(system-as-user;path="messages[1]")"},
        {anthropic, with(R"("system":"x-anthropic-billing-header: 1\nrest")"),
         R"(volatile-line-removed;path="system")"},
        {openai, messages(user + R"(,{"role":"user","content":" "})"),
         R"(blank-text-removed;path="messages[1].content")"},
        {openai, messages(user + R"(,{"role":"assistant","content":""},)" + user),
         R"(assistant-turn-removed;path="messages[1]")"},
        {openai, messages(user + "," + user), R"(message-merged;path="messages[1]")"},
        {openai, messages(R"({"role":"assistant","content":"a"},)" + user),
         R"(user-turn-added;path="messages[0]")"},
        {openai, messages(R"({"role":"user","content":""})"), R"(empty-text-filled;path="messages[0]")"},
        {openai,
         messages(user + R"(,{"role":"assistant","tool_calls":[{"id":"a|b","function":{"name":"f"}}]})"),
         R"(call-id-rewritten;path="messages[1].tool_calls[0].id")"},
        {openai, messages(user + "," + call), R"(tool-result-added;path="messages[1].tool_calls[0]")"},
        {anthropic,
         messages(
             user +
             R"(,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f"},{"type":"tool_use","id":"b","name":"f"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"b"},{"type":"tool_result","tool_use_id":"a"}]})"),
         R"(tool-result-reordered;path="messages[2].content[0]")"},
        {openai, messages(user + R"(,{"role":"tool","tool_call_id":"z","content":"r"})"),
         R"(tool-result-as-text;path="messages[1]")"},
        {openai,
         messages(user + "," + call + R"(,{"role":"tool","tool_call_id":"a","content":")" +
                  std::string(800001, 'x') + "\"}"),
         R"(tool-result-shortened;path="messages[2]")"},
        {openai, messages(user + "," + call + R"(,{"role":"tool","tool_call_id":"a","content":""})"),
         R"(empty-result-filled;path="messages[2]")"},
        {anthropic,
         messages(
             user +
             R"(,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":true,"content":"no"}]})"),
         R"(tool-error-told;path="messages[2].content[0]")"},
        {anthropic,
         messages(user +
                  R"(,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"x":)" +
                  deep + "}}]}"),
         R"(arguments-flattened;path="messages[1].content[0]")"},
        {openai,
         messages(R"({"role":"user","content":[)" + images + R"(]},{"role":"assistant","content":"a"},)" +
                  user),
         R"(image-left-out;n=10;path="messages[0].content[0].image_url.url")"},
        {openai,
         messages(user + "," + call + R"(,{"role":"tool","tool_call_id":"a","content":[)" + image + "]}"),
         R"(image-hoisted;path="messages[2].content[0].image_url.url")"},
        {anthropic,
         messages(R"({"role":"user","content":[)" + pdfs +
                  R"(]},{"role":"assistant","content":"a"},{"role":"user","content":[)" + pdf + "]}"),
         R"(document-left-out;path="messages[0].content[0].source.data")"},
        {anthropic,
         messages(
             user +
             R"(,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[)" +
             pdf + "]}]}"),
         R"(document-hoisted;path="messages[2].content[0].content[0].source.data")"},
        {anthropic, messages(R"({"role":"user","content":[)" + pdf + "]}"),
         R"(document-renamed;path="messages[0].content[0].source.data")"},
        {anthropic, with(R"("tools":[{"type":"code_execution_20250522","name":"code_execution"}])"),
         R"(tool-left-out;path="tools[0]")"},
        {openai, with(R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none")"),
         R"(tool-withheld;path="tools[0].function")"},
        {openai,
         with(
             R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}])"),
         R"(tool-duplicate-removed;path="tools[1].function")"},
        {openai, with(R"("tools":[{"type":"function","function":{"name":"a.b"}}])"),
         R"(tool-renamed;path="tools[0].function.name")"},
        {openai, messages(user + "," + call), R"(tool-stub-added;path="messages[1].tool_calls[0]")"},
        {anthropic, with(R"("tools":[{"type":"bash_20250124","name":"bash"}])"),
         R"(tool-schema-added;path="tools[0]")"},
        {openai, with(R"("tools":[{"type":"custom","custom":{"name":"f"}}])"),
         R"(freeform-tool-wrapped;path="tools[0].custom")"},
        {responses,
         R"({"model":"auto","input":"x","tools":[{"type":"custom","name":"f","format":{"type":"grammar","syntax":"lark","definition":"g"}}]})",
         R"(tool-grammar-told;path="tools[0].format.definition")"},
        {openai, with(R"("tools":[{"type":"function","function":{"name":"f"}}])"),
         R"(tool-description-filled;path="tools[0].function")"},
        {openai,
         with(R"("tools":[{"type":"function","function":{"name":"f","description":")" +
              std::string(10001, 'x') + R"("}}])"),
         R"(tool-description-moved;path="tools[0].function.description")"},
        {openai, root_schema(R"({"properties":{}})"),
         R"(schema-made-object;path="tools[0].function.parameters")"},
        {openai,
         root_schema(
             R"({"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string"}}})"),
         R"(schema-reference-inlined;path="tools[0].function.parameters.properties.a.$ref")"},
        {openai, schema(R"({"a":{"$ref":"#"}})"),
         R"(schema-recursion-cut;path="tools[0].function.parameters.properties.a.$ref")"},
        {openai, schema(R"({"a":{"allOf":[{"type":"string"}]}})"),
         R"(schema-all-of-merged;path="tools[0].function.parameters.properties.a.allOf")"},
        {openai, root_schema(R"({"type":"object","anyOf":[{"properties":{}}]})"),
         R"(schema-union-flattened;path="tools[0].function.parameters.anyOf")"},
        {openai, schema(R"({"a":{"anyOf":[{"type":"string"},{"type":"null"}]}})"),
         R"(schema-union-folded;path="tools[0].function.parameters.properties.a.anyOf")"},
        {openai, schema(R"({"a":{"type":["string","null"]}})"),
         R"(schema-null-told;path="tools[0].function.parameters.properties.a")"},
        {openai, schema(R"({"a":{"type":["string","number"]}})"),
         R"(schema-type-told;path="tools[0].function.parameters.properties.a")"},
        {openai, schema(R"({"a":{"const":1}})"),
         R"(schema-value-told;path="tools[0].function.parameters.properties.a.const")"},
        {openai, schema(R"({"a":{"type":"string","pattern":"x"}})"),
         R"(schema-keyword-told;path="tools[0].function.parameters.properties.a.pattern")"},
        {openai, schema(R"({"a":{"type":"string","title":"A"}})"),
         R"(schema-keyword-removed;path="tools[0].function.parameters.properties.a.title")"},
        {openai, with(R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required")"),
         R"(tool-choice-told;path="tool_choice")"},
        {anthropic,
         with(
             R"("tools":[{"type":"code_execution_20250522","name":"c"}],"tool_choice":{"type":"tool","name":"c"})"),
         R"(tool-choice-ignored;path="tool_choice")"},
        {openai, with(R"("tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false)"),
         "parallel-calls-told"},
        {openai, with(R"("response_format":{"type":"json_object"})"),
         R"(output-format-told;path="response_format")"},
        {anthropic, messages(user + R"(,{"role":"assistant","content":"It is"})"),
         R"(answer-continued;path="messages[1]")"},
        {anthropic, with(R"("tools":[{"type":"web_search_20250305","name":"web_search"}])"),
         R"(search-run;path="tools[0]")"},
        {openai, R"({"model":"claude-opus-4.6","reasoning_effort":"xhigh","messages":[)" + user + "]}",
         R"(effort-clamped;path="reasoning_effort")"},
        {anthropic,
         R"({"model":"claude-opus-4.6","thinking":{"type":"enabled","budget_tokens":5000},"messages":[)" +
             user + "]}",
         R"(budget-as-effort;path="thinking")"},
        {anthropic, with(R"("thinking":{"type":"enabled","budget_tokens":5000})"),
         R"(thinking-by-tags;path="thinking")"},
        {anthropic, with(R"("output_config":{"effort":"low"})"),
         R"(thinking-ignored;path="output_config.effort")"},
        {anthropic,
         messages(
             user +
             R"(,{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"a"}]},)" +
             user),
         R"(reasoning-left-out;path="messages[1].content[0].signature")"},
    };
}

ClientRequest asked(kiro_api api) {
    static const kiro_model_alias alias{{"mine", 4}, {"claude-sonnet-4.5", 17}};
    ClientRequest request(api);
    request.options.explain = 1;
    request.options.rescue_tool_calls = 1;
    request.options.default_model = {"claude-sonnet-4.5", 17};
    request.options.aliases = &alias;
    request.options.naliases = 1;
    return request;
}

// A schema too deep to be followed.
std::string deep_schema() {
    std::string text = R"({"type":"string"})";
    for (int i = 0; i < 20; i++)
        text = R"({"type":"object","properties":{"a":)" + text + "}}";
    return root_schema(text);
}

std::set<std::string> seen_changes() {
    std::set<std::string> seen;
    const auto add = [&seen](const ClientRequest &request) { seen.merge(names_in(changes(request))); };
    for (const Case &c : cases()) {
        ClientRequest request = asked(c.api);
        if (request.parse(c.body))
            add(request);
    }
    ClientRequest deep = asked(openai);
    if (deep.parse(deep_schema()))
        add(deep);
    ClientRequest told = asked(openai);
    if (told.parse(with(R"("response_format":{"type":"json_object"})"))) {
        (void)kiro_request_notice(told.request.get(), {"f", 1});
        (void)told.change(KIRO_CHANGE_REPAIR_OUTPUT, "why");
        add(told);
    }
    ClientRequest fields = asked(openai);
    if (fields.parse(
            R"({"model":"claude-opus-4.6","reasoning_effort":"high","messages":[{"role":"user","content":"x"}]})")) {
        (void)fields.change(KIRO_CHANGE_DROP_FIELDS);
        add(fields);
    }
    return seen;
}

// As much text as one message takes, so that the notice is too much.
ClientRequest without_room() {
    ClientRequest request = asked(openai);
    EXPECT_TRUE(request.parse(messages(R"({"role":"user","content":")" + std::string(599'990, 'x') + "\"}")));
    EXPECT_EQ(kiro_request_notice(request.request.get(), {"f", 1}), KIRO_OK);
    EXPECT_EQ(names_in(changes(request)).count("notice-added"), 1u);
    EXPECT_NE(request.write(), "");
    return request;
}

// Reasoning that was sealed for this model, until the service refuses it.
ClientRequest without_reasoning() {
    upstream::SealedText text;
    text.add("t");
    const std::string sealed =
        upstream::seal(upstream::SealKind::text, upstream::seal_key("a", "claude-opus-4.6"), text, "sig");
    ClientRequest request = asked(anthropic);
    request.options.account = {"a", 1};
    EXPECT_TRUE(request.parse(
        R"({"model":"claude-opus-4.6","thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"x"},)"
        R"({"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":")" +
        sealed + R"("},{"type":"text","text":"a"}]},{"role":"user","content":"x"}]})"));
    EXPECT_EQ(names_in(changes(request)).count("reasoning-left-out"), 0u);
    EXPECT_EQ(request.change(KIRO_CHANGE_DROP_REASONING), KIRO_OK);
    return request;
}

TEST(Explain, ChangesSayWhere) {
    for (const Case &c : cases()) {
        SCOPED_TRACE(c.expected);
        ClientRequest request = asked(c.api);
        ASSERT_TRUE(request.parse(c.body)) << request.failure.message;
        const std::string list = changes(request);
        EXPECT_NE((list + ",").find(c.expected + ","), std::string::npos) << list;
        check_list(list);
    }
}

TEST(Explain, EveryChangeIsMadeBySomeRequest) {
    std::set<std::string> seen = seen_changes();
    seen.merge(names_in(changes(without_room())));
    seen.merge(names_in(changes(without_reasoning())));
    for (size_t i = 0; const kiro_rule *rule = kiro_rule_at(i); i++) {
        if (rule->kind == KIRO_RULE_CHANGE) {
            EXPECT_EQ(seen.count(rule->name), 1u) << rule->name << " is in the table, but never noted";
        }
    }
}

TEST(Explain, ANoticeThatHasNoRoomWasNotAdded) {
    const std::set<std::string> names = names_in(changes(without_room()));
    EXPECT_EQ(names.count("notice-added"), 0u);
    EXPECT_EQ(names.count("notice-left-out"), 1u);
}

TEST(Explain, NothingUnlessAsked) {
    for (const Case &c : cases()) {
        ClientRequest off = asked(c.api), on = asked(c.api);
        off.options.explain = 0;
        ASSERT_TRUE(off.parse(c.body) && on.parse(c.body));
        EXPECT_EQ(changes(off), "");
        EXPECT_EQ(off.write(), on.write()) << "the same goes up";
    }
}

TEST(Explain, TheCorpusIsListedAsPromised) {
    for (const Golden &golden : corpus()) {
        SCOPED_TRACE(golden.name());
        ClientRequest request = asked(golden.api());
        if (parse(golden, request))
            check_list(changes(request));
        else
            EXPECT_TRUE(explanation(request.request.get(), request.failure).starts_with("rule: "));
    }
}

TEST(Explain, APathShowsNoValueAndHasAnEnd) {
    const std::string key(5000, 'k');
    ClientRequest request = asked(openai);
    ASSERT_TRUE(
        request.parse(schema("{\"" + key + R"(":{"const":"SECRET"},"\u00e9\"\\":{"title":"SECRET"}})")));
    const std::string list = changes(request);
    check_list(list);
    EXPECT_EQ(list.find("SECRET"), std::string::npos);
    EXPECT_NE(list.find(".properties.%C3%A9%22%5C.title\""), std::string::npos) << list;
    EXPECT_NE(list.find("kkk....const\""), std::string::npos) << list;
}

TEST(Explain, ACutListSaysHowManyAreLeftOut) {
    ClientRequest request = asked(openai);
    ASSERT_TRUE(request.parse(with(R"("temperature":1,"max_tokens":5,"stop":"x","nobody":1)")));
    char buf[80];
    const std::string list(buf, kiro_request_changes(request.request.get(), buf, sizeof(buf)));
    EXPECT_TRUE(list.starts_with("parameter-ignored;path=\"temperature\", more;n=")) << list;
}

struct Broken {
    kiro_api api;
    std::string body;
    const char *rule;
};

TEST(Explain, EveryRefusalIsMadeBySomeRequest) {
    const std::string user = R"({"role":"user","content":"x"})";
    const std::string image =
        R"({"type":"image_url","image_url":"data:image/png;base64,)" + std::string(png) + R"("})";
    std::string images = image;
    for (int i = 0; i < 20; i++)
        images += "," + image;
    const std::string pdf = R"({"type":"document","source":{"type":"base64","data":"JVBERi0x"}})";
    std::string turns = user;
    for (int i = 0; i < 5001; i++)
        turns += R"(,{"role":"assistant","content":"a"},)" + user;
    std::string large = R"({"role":"user","content":")" + std::string(500'000, 'x') + "\"}";
    const Broken list[] = {
        {openai, "{", "valid-json"},
        {openai, "[]", "body-object"},
        {openai, "{}", "required-member"},
        {openai, R"({"messages":7})", "member-type"},
        {openai, with(R"("temperature":3)"), "member-value"},
        {openai, with(R"("n":2)"), "supported-feature"},
        {openai, messages(R"({"role":"wizard","content":"x"})"), "known-role"},
        {openai, messages(R"({"role":"user","content":[{"type":"hologram"}]})"), "known-content-type"},
        {anthropic, messages(R"({"role":"user","content":[{"type":"tool_use"}]})"), "block-place"},
        {openai,
         messages(R"({"role":"user","content":[{"type":"image_url","image_url":"https://x/y.png"}]})"),
         "image-source"},
        {openai,
         messages(
             R"({"role":"user","content":[{"type":"image_url","image_url":"data:image/png;base64,QUJD"}]})"),
         nullptr},
        {openai,
         messages(R"({"role":"user","content":[{"type":"image_url","image_url":"data:;base64,QUJD"}]})"),
         "image-data"},
        {anthropic,
         messages(
             R"({"role":"user","content":[{"type":"document","source":{"type":"base64","data":"QUJD"}}]})"),
         "document-data"},
        {openai, messages(R"({"role":"user","content":[)" + images + "]}"), "image-count"},
        {anthropic,
         messages(R"({"role":"user","content":[)" + pdf + "," + pdf + "," + pdf + "," + pdf + "," + pdf +
                  "," + pdf + "]}"),
         "document-count"},
        {anthropic, R"({"model":"deepseek-3.2","messages":[{"role":"user","content":[)" + pdf + "]}]}",
         "document-model"},
        {openai, with(R"("tools":[],"tool_choice":{"type":"function","function":{"name":"f"}})"),
         "declared-tool"},
        {responses, R"({"model":"auto","input":"x","previous_response_id":"resp_1"})", "stored-state"},
        {openai, messages(turns), "history-length"},
        {openai, messages(R"({"role":"user","content":")" + std::string(600'001, 'x') + "\"}"),
         "message-size"},
        {openai,
         messages(large + R"(,{"role":"assistant","content":"a"},)" + large +
                  R"(,{"role":"assistant","content":"a"},)" + large),
         "body-size"},
    };
    std::set<std::string> seen;
    for (const Broken &broken : list) {
        SCOPED_TRACE(broken.body.substr(0, 200));
        ClientRequest request = asked(broken.api);
        ASSERT_TRUE(!request.parse(broken.body) || request.write().empty());
        const kiro_rule *rule = kiro_failure_rule(&request.failure);
        ASSERT_NE(rule, nullptr);
        EXPECT_EQ(rule->kind, KIRO_RULE_REFUSAL);
        if (broken.rule != nullptr) {
            EXPECT_STREQ(rule->name, broken.rule);
        }
        seen.insert(rule->name);
        EXPECT_TRUE(explanation(request.request.get(), request.failure)
                        .starts_with(std::string("rule: ") + rule->name));
    }
    // Of kinds that nginx and the service make.
    for (kiro_failure_kind kind :
         {KIRO_FAIL_NOT_BUILT, KIRO_FAIL_MODEL_NOT_FOUND, KIRO_FAIL_CONTEXT_OVERFLOW}) {
        kiro_failure failure{};
        kiro_failure_set(&failure, kind, "x");
        seen.insert(kiro_failure_rule(&failure)->name);
    }
    for (size_t i = 0; const kiro_rule *rule = kiro_rule_at(i); i++) {
        if (rule->kind == KIRO_RULE_REFUSAL) {
            EXPECT_EQ(seen.count(rule->name), 1u) << rule->name;
        }
    }
    kiro_failure ours{};
    kiro_failure_set(&ours, KIRO_FAIL_UPSTREAM_ERROR, "x");
    EXPECT_EQ(kiro_failure_rule(&ours), nullptr);
    EXPECT_EQ(explanation(nullptr, ours), "");
}

upstream::Turn turn(bool user, std::string_view text) {
    upstream::Turn out{user, {}, {}, {}, {}, {}, {}, {}};
    if (!text.empty())
        out.texts.push_back(text);
    return out;
}

TEST(Explain, EverySuspicionIsRaisedBySomeRequest) {
    static const std::string large(4'000'000, 'A');
    upstream::Request request;
    request.tools.assign(49, {"t", std::string_view(large).substr(0, 4000), R"({"anyOf":[]})"});
    request.fields = "{}";
    for (int i = 0; i < 200; i++)
        request.turns.push_back(turn(i % 2 == 0, "x"));
    request.turns.push_back(turn(false, "wrong side"));
    request.turns.push_back(turn(true, ""));
    request.turns[0].images.assign(11, {kiro::chat::ImageFormat::png, large});
    request.turns[0].documents.push_back({"d", "JVBERi", ""});
    request.turns[1].thought = upstream::Thought{"t", "s"};
    request.turns[3].calls.push_back({"a", "other", "{}", "a", "other"});

    std::set<std::string> seen;
    for (const auto &suspicion : upstream::suspicions(request, 50'000'000, false))
        seen.insert(kiro::chat::row_of(suspicion.rule).name);
    for (size_t i = 0; const kiro_rule *rule = kiro_rule_at(i); i++) {
        if (rule->kind == KIRO_RULE_SUSPICION) {
            EXPECT_EQ(seen.count(rule->name), 1u) << rule->name;
        }
    }
}

TEST(Explain, NoSuspicionIsAMistakeOfOurs) {
    const std::set<std::string> mistakes = {"history-order", "call-pairing", "tool-names", "blank-turn"};
    kiro_failure refused{};
    kiro_upstream_failure(400, {}, {}, {R"({"reason":"REQUEST_BODY_INVALID"})", 33}, &refused);
    for (const Golden &golden : corpus()) {
        ClientRequest request = asked(golden.api());
        if (!parse(golden, request) || request.write().empty())
            continue;
        const std::string text = explanation(request.request.get(), refused);
        for (const std::string &mistake : mistakes)
            EXPECT_EQ(text.find(mistake), std::string::npos) << golden.name() << ": " << text;
    }
}

TEST(Explain, TheServicesRefusalIsExplained) {
    ClientRequest request = asked(openai);
    ASSERT_TRUE(
        request.parse(R"({"model":"nova-9","messages":[{"role":"user","content":"x"}],"temperature":1})"));
    ASSERT_NE(request.write(), "");
    const std::string body =
        R"({"__type":"ValidationException","message":"SECRET","reason":"REQUEST_BODY_INVALID"})";
    kiro_failure refused{};
    kiro_upstream_failure(400, {}, {}, {body.data(), body.size()}, &refused);
    EXPECT_EQ(
        explanation(request.request.get(), refused),
        "Kiro says: REQUEST_BODY_INVALID; suspicious: unlisted-model;n=1; normalized: parameter-ignored");
    const std::string odd = R"({"__type":"ValidationException","reason":"SECRET1 token"})";
    kiro_upstream_failure(400, {}, {}, {odd.data(), odd.size()}, &refused);
    EXPECT_STREQ(refused.reason, "ValidationException");
    kiro_upstream_failure(400, {}, {}, {R"({"reason":"CONTENT_LENGTH_EXCEEDS_THRESHOLD"})", 45}, &refused);
    EXPECT_TRUE(explanation(request.request.get(), refused)
                    .starts_with("rule: prompt-size; Kiro says: CONTENT_LENGTH_EXCEEDS_THRESHOLD"));
}

TEST(Explain, AnErrorTellsWhatIsKnown) {
    ClientRequest request = asked(anthropic);
    ASSERT_FALSE(request.parse(messages(R"({"role":"wizard","content":"x"})")));
    const std::string more = explanation(request.request.get(), request.failure);
    EXPECT_EQ(more, "rule: known-role; path: messages[0].role");
    for (kiro_api api : {openai, anthropic, responses}) {
        char body[4096];
        const size_t n = kiro_failure_body_explained(api, &request.failure, {"req", 3},
                                                     {more.data(), more.size()}, body, sizeof(body));
        EXPECT_NE(std::string(body, n).find(" [rule: known-role; path: messages[0].role]\""),
                  std::string::npos);
    }
}

TEST(Explain, TheOperatorsPageHasTheTable) {
    std::ifstream file(data_path("../../docs/operations.md"));
    const std::string page(std::istreambuf_iterator<char>(file), {});
    std::map<std::string, std::string> rows;
    const size_t begin = page.find("\n## Explain\n");
    ASSERT_NE(begin, std::string::npos);
    const std::string section = page.substr(begin, page.find("\n## ", begin + 1) - begin);
    for (size_t at = section.find("\n| `"); at != std::string::npos; at = section.find("\n| `", at + 1)) {
        const size_t name = at + 4, bar = section.find("` | ", name), end = section.find(" |\n", bar);
        ASSERT_NE(end, std::string::npos);
        rows[section.substr(name, bar - name)] = section.substr(bar + 4, end - bar - 4);
    }
    size_t count = 0;
    for (; const kiro_rule *rule = kiro_rule_at(count); count++)
        EXPECT_EQ(rows[rule->name], rule->text) << rule->name;
    EXPECT_EQ(rows.size(), count);
}

} // namespace
