#include "core/stages/leaked_calls.h"

#include "stages/run.h"

#include <deque>

#include "core/chat/reply_context.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

namespace {

using namespace kiro;

const std::vector<chat::Tool> &tools() {
    static const std::vector<chat::Tool> all{
        {"get", "", "", "",
         R"({"type":"object","properties":{"n":{"type":"integer"},"s":{"type":"string"},)"
         R"("l":{"type":["array","null"]},"m":{"type":["string","null"]},"any":{"enum":[1]}}})"},
        {"odd\\u0020name", "", "", "", ""},
        {"ns__f", "f", "ns", "", ""},
        {"patch", "", "", "", "", true},
    };
    return all;
}

const std::vector<chat::ToolAlias> aliases{
    {"odd_name_1", "odd\\u0020name", "", false}, {"ns__f", "f", "ns", false}, {"patch", "patch", "", true}};

stages::LeakedCalls make() {
    static const chat::CallableTools all(tools(), aliases, {});
    return {all, "answer"};
}

// Text as it is, calls as <id|namespace|name|input>.
std::string show(const chat::Event &event) {
    if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
        EXPECT_FALSE(text->text.empty());
        return std::string(text->text);
    }
    const auto &call = std::get<chat::FinishedCall>(event);
    EXPECT_TRUE(json::validate(call.input));
    EXPECT_EQ(json::unescaped(call.arguments), call.input);
    return "<" + std::string(call.id) + "|" + std::string(call.name_space) + "|" + std::string(call.name) +
           "|" + std::string(call.freeform ? call.text : call.input) + ">";
}

// In two pieces at each place, and character by character.
void expect(std::string_view plain, std::string_view expected) {
    SCOPED_TRACE(plain);
    const std::string raw = json::escaped(plain);
    const std::vector<std::string_view> pieces = test::characters(raw);
    for (std::size_t cut = 0; cut <= pieces.size() + 1; cut++) {
        stages::LeakedCalls stage = make();
        std::string out;
        const auto sink = [&](const chat::Event &event) { out += show(event); };
        std::string piece;
        for (std::size_t i = 0; i < pieces.size(); i++) {
            piece += pieces[i];
            if (i == cut || i + 1 == pieces.size() || cut > pieces.size()) {
                stage.take(chat::TextDelta{piece}, sink);
                piece.assign(piece.size(), '#'); // so that a view kept too long is noticed
                piece.clear();
            }
        }
        stage.finish(sink);
        const std::size_t calls =
            static_cast<std::size_t>(std::count(expected.begin(), expected.end(), '|')) / 3;
        ASSERT_EQ(stage.rescued(), calls) << cut;
        ASSERT_EQ(calls > 0 ? out : json::unescaped(out), expected) << cut;
    }
}

std::string id(int n) {
    return "<tooluse_answer_" + std::to_string(n) + "|";
}

TEST(LeakedCalls, TheThreeForms) {
    expect(R"([Called get with args: {"n": 1}])", id(1) + R"(|get|{"n": 1}>)");
    expect(R"(<tool_call>{"name": "get", "arguments": {"a]": "}\""}}</tool_call>)",
           id(1) + R"(|get|{"a]": "}\""}>)");
    expect("<tool_call>\n{\"arguments\":{},\"id\":7,\"name\":\"get\"}\n</tool_call>\n", id(1) + "|get|{}>");
    expect(
        R"(<function_calls><invoke name="get"><parameter name="s">v</parameter></invoke></function_calls>)",
        id(1) + R"(|get|{"s":"v"}>)");
    expect(
        "<function_calls>\n<invoke name=\"get\">\n<parameter name=\"s\">a \"b\"\n<c></parameter>\n"
        "<parameter name=\"n\">5</parameter>\n</invoke>\n<invoke name=\"get\">\n</invoke>\n</function_calls>",
        id(1) + R"(|get|{"s":"a \"b\"\n<c>","n":5}>)" + id(2) + "|get|{}>");
}

TEST(LeakedCalls, TypesOfParameters) {
    const auto call = [](const std::string &name, const std::string &value) {
        return "<function_calls><invoke name=\"get\"><parameter name=\"" + name + "\">" + value +
               "</parameter></invoke></function_calls>";
    };
    expect(call("n", "5"), id(1) + R"(|get|{"n":5}>)");
    expect(call("n", "five"), id(1) + R"(|get|{"n":"five"}>)");
    expect(call("s", "5"), id(1) + R"(|get|{"s":"5"}>)");
    expect(call("m", "5"), id(1) + R"(|get|{"m":"5"}>)");
    expect(call("l", "[1, 2]"), id(1) + R"(|get|{"l":[1, 2]}>)");
    expect(call("any", "1"), id(1) + R"(|get|{"any":"1"}>)");
    expect(call("unknown", "true"), id(1) + R"(|get|{"unknown":"true"}>)");
    expect(call("n", ""), id(1) + R"(|get|{"n":""}>)");
}

TEST(LeakedCalls, NamesOfClientAndUpstream) {
    expect("[Called odd_name_1 with args: {}]", id(1) + "|odd\\u0020name|{}>");
    expect(R"(<tool_call>{"name":"odd name","arguments":{}}</tool_call>)", id(1) + "|odd\\u0020name|{}>");
    expect("[Called ns__f with args: {}]", id(1) + "ns|f|{}>");
    expect(R"([Called patch with args: {"input": "raw\n"}])", id(1) + "|patch|raw\\n>");
}

TEST(LeakedCalls, WhereLinesBegin) {
    expect("Well.\n\n[Called get with args: {}]\n\nSo.", "Well.\\n\\n" + id(1) + "|get|{}>So.");
    expect("[Called get with args: {}][Called get with args: {}] \n [Called get with args: {}]",
           id(1) + "|get|{}>" + id(2) + "|get|{}>" + id(3) + "|get|{}>");
    expect("```\nx\n```\n[Called get with args: {}]", "```\\nx\\n```\\n" + id(1) + "|get|{}>");
    expect("```x``` y\n[Called get with args: {}]", "```x``` y\\n" + id(1) + "|get|{}>");
    expect("<tool_call>\n[Called get with args: {}]", "<tool_call>\\n" + id(1) + "|get|{}>");
    expect("[Called get with\n[Called get with args: {}]", "[Called get with\\n" + id(1) + "|get|{}>");
    expect("[[Called get with args: {}]", "[[Called get with args: {}]");
}

TEST(LeakedCalls, EverythingElseIsText) {
    const char *texts[] = {
        "",
        "plain [Called get with args: {}]",
        " [Called get with args: {}]",
        "```\n[Called get with args: {}]\n```",
        "~~~~ x\n```\n~~~\n[Called get with args: {}]",
        "````\n```\n[Called get with args: {}]",
        "```\n``` x\n[Called get with args: {}]",
        "   ```\n<tool_call>{\"name\":\"get\",\"arguments\":{}}</tool_call>",
        "[Called get with args: {}",
        "[Called get with args: {]}",
        "[Called get with args: [1]]",
        "[Called get with args: {\"a\":}]",
        "[Called get with args: {} or so]",
        "[Called unknown with args: {}]",
        "[Called  with args: {}]",
        "[Called GET with args: {}]",
        "<tool_call>{\"name\":\"get\"}</tool_call>",
        "<tool_call>{\"name\":\"get\",\"arguments\":\"{}\"}</tool_call>",
        "<tool_call>{\"name\":\"unknown\",\"arguments\":{}}</tool_call>",
        "<tool_call>{\"name\":\"get\",\"arguments\":{}}</tool_calls>",
        "<tool_call>x",
        "<function_calls></function_calls>",
        "<function_calls><invoke name=\"get\"></function_calls>",
        "<function_calls><invoke name=\"get\"></invoke>",
        "<function_calls><invoke name=\"unknown\"></invoke></function_calls>",
        "<function_calls><invoke name=\"get\"><parameter name=\"a\">b</invoke></function_calls>",
        "<function_calls><invoke name=\"get\"></invoke>x</function_calls>",
        "<div>\n<tool\n<",
        "é<日🙂[\n🙂<tool_call>é",
    };
    for (const char *text : texts)
        expect(text, text);
}

// Not longer than what came may still become a call.
TEST(LeakedCalls, TextIsNotKeptWaiting) {
    const std::pair<const char *, const char *> rows[] = {
        {"a", "a"},
        {"[", ""},
        {"[C", ""},
        {"[x", "[x"},
        {"<b", "<b"},
        {"[Called unknown ", "[Called unknown "},
        {"[Called get ", ""},
        {"[Called get args", "[Called get args"},
        {"<tool_call>x", "<tool_call>x"},
        {"<tool_call>{\"name\":\"unknown\",\"arguments\":{}}",
         "<tool_call>{\"name\":\"unknown\",\"arguments\":{}}"},
        {"<function_calls><invoke name=\"unknown\">", "<function_calls><invoke name=\"unknown\">"},
    };
    for (const auto &[text, out] : rows) {
        stages::LeakedCalls stage = make();
        std::string got;
        stage.take(chat::TextDelta{json::escaped(text)},
                   [&](const chat::Event &event) { got += show(event); });
        EXPECT_EQ(got, json::escaped(out));
    }
    stages::LeakedCalls stage = make();
    std::size_t got = 0;
    const auto sink = [&](const chat::Event &event) { got += std::get<chat::TextDelta>(event).text.size(); };
    stage.take(chat::TextDelta{R"(<function_calls><invoke name=\"get\"><parameter name=\"s\">)"}, sink);
    for (int i = 0; i < 300; i++)
        stage.take(chat::TextDelta{std::string(1024, 'x')}, sink);
    EXPECT_GT(got, 299u * 1024);
}

TEST(LeakedCalls, OnlyWhatMayBeCalled) {
    const std::vector<json::Raw> allowed{"patch"};
    const chat::CallableTools some(tools(), aliases, allowed);
    stages::LeakedCalls stage(some, "answer");
    const auto sink = [](const chat::Event &) {};
    stage.take(chat::TextDelta{R"([Called get with args: {}]\n[Called patch with args: {}])"}, sink);
    EXPECT_EQ(stage.rescued(), 1u);
}

TEST(LeakedCalls, OtherEventsEndAText) {
    stages::LeakedCalls stage = make();
    std::string out;
    const auto sink = [&](const chat::Event &event) { out += show(event); };
    stage.take(chat::TextDelta{"x[Called get with args: {"}, sink);
    stage.take(chat::TextDelta{R"(\n[Called get with args: {)"}, sink);
    stage.take(chat::FinishedCall{"id", "f", "{}", "{}"}, sink);
    stage.take(chat::TextDelta{"}][Called get with args: {}]"}, sink);
    EXPECT_EQ(out,
              R"(x[Called get with args: {\n[Called get with args: {<id||f|{}>}][Called get with args: {}])");
}

// A test that hangs where each line looks through all tools.
TEST(LeakedCalls, ManyToolsCostLittle) {
    std::deque<std::string> texts;
    std::vector<chat::Tool> many;
    std::vector<chat::ToolAlias> renamed;
    for (int i = 0; i < 2000; i++) {
        const std::string &name = texts.emplace_back("a tool " + std::to_string(i));
        const std::string &alias = texts.emplace_back("a_tool_" + std::to_string(i));
        many.push_back({name, "", "", "", ""});
        renamed.push_back({alias, name, "", false});
    }
    std::string properties;
    for (int i = 0; i < 5000; i++)
        properties += R"("p)" + std::to_string(i) + R"(":{"type":"string","description":"what it is"},)";
    const std::string schema = R"({"properties":{)" + properties + R"("n":{"type":"integer"}}})";
    many.push_back({"get", "", "", "", schema});

    std::string text;
    for (int i = 0; i < 20000; i++)
        text += R"([Called b with\n)";
    text += R"([Called a_tool_1999 with args: {}]\n<function_calls><invoke name=\"get\">)";
    for (int i = 0; i < 5000; i++)
        text += R"(<parameter name=\"n\">1</parameter>)";
    text += "</invoke></function_calls>";

    std::vector<std::string> calls;
    const chat::CallableTools callable(many, renamed, {});
    stages::LeakedCalls stage(callable, "answer");
    stage.take(chat::TextDelta{text}, [&](const chat::Event &event) {
        if (const auto *call = std::get_if<chat::FinishedCall>(&event))
            calls.push_back(std::string(call->name) + std::string(call->input.substr(0, 12)));
    });
    EXPECT_EQ(calls, (std::vector<std::string>{"a tool 1999{}", R"(get{"n":1,"n":1)"}));
}

} // namespace
