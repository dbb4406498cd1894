#include "core/stages/tags.h"

#include "stages/run.h"

namespace {

using namespace kiro;
using test::expect_any_cut;

stages::TagParser make() {
    return stages::TagParser(true);
}

struct Case {
    const char *raw;
    const char *expected;
};

TEST(Tags, AnyCut) {
    constexpr Case cases[] = {
        // the grammar
        {R"(<thinking>two plus two</thinking>\n\nIt is 4.)", "{two plus two}It is 4."},
        {R"(\n \n<thinking>a</thinking>\n\nb)", "{a}b"},
        {R"(<think>a</think>\n\nb)", "{a}b"},
        {R"(<reasoning>a</reasoning>\n\nb)", "{a}b"},
        {R"(<thought>a</thought>\n\nb)", "{a}b"},
        {R"(<thinking>\na\n</thinking>\n\nb)", R"({a\n}b)"},
        {R"(<thinking>\r\na</thinking>\r\n\r\nb)", "{a}b"},
        {R"(<thinking>\n\na</thinking>\n\n\nb)", R"({\na}\nb)"},
        {R"(<thinking>a</thinking> \n \n b)", "{a} b"},
        // no tag
        {"plain", "plain"},
        {R"(  \n plain)", R"(  \n plain)"},
        {"<thin", "<thin"},
        {"<thinkin>x", "<thinkin>x"},
        {"< thinking>x", "< thinking>x"},
        {"</thinking>x", "</thinking>x"},
        {"a <thinking>b</thinking>c", "a <thinking>b</thinking>c"},
        {"<<thinking>b", "<<thinking>b"},
        {"<thoughtful>b", "<thoughtful>b"},
        {R"(\u003cthinking>a</thinking>\n\nb)", "{a}b"},
        // at a line start, once
        {R"(So:\n<thinking>a</thinking>\n\nb)", R"(So:\n{a}b)"},
        {R"(<think>a</think>\n\nb\n<think>c</think>\n\nd)", R"({a}b\n<think>c</think>\n\nd)"},
        {R"(x\n<thi\n<thinking>a)", R"(x\n<thi\n{a})"},
        // not in code
        {R"(So:\n```\n<thinking>a\n```\n<thinking>b)", R"(So:\n```\n<thinking>a\n```\n{b})"},
        {R"(```xml\n<think>a</think>\n\nb)", R"(```xml\n<think>a</think>\n\nb)"},
        {R"(\n  ```\n<think>a)", R"(\n  ```\n<think>a)"},
        {R"(````\n<think>a\n````\n<think>b)", R"(````\n<think>a\n````\n{b})"},
        {R"(a ```\n<think>b)", R"(a ```\n{b})"},
        {R"(``\n<think>b)", R"(``\n{b})"},
        {R"(<thi```\n<think>b)", R"(<thi```\n{b})"},
        // quoted closing tags
        {R"(<thinking>say `</thinking>` now</thinking>\n\nb)", "{say `</thinking>` now}b"},
        {R"(<thinking>a</thinking>b</thinking>\n\nc)", "{a</thinking>b}c"},
        {R"(<thinking>a</thinking>\nb</thinking>\n\nc)", R"({a</thinking>\nb}c)"},
        {R"(<thinking>a</think>\n\nb</thinking>\n\nc)", R"({a</think>\n\nb}c)"},
        {R"(<thinking>a<b </thinkin </thinking>\n\nc)", "{a<b </thinkin }c"},
        {R"(<thinking></thinking</thinking>\n\nc)", "{</thinking}c"},
        // alone on its line
        {R"(<thinking>\na\n</thinking>\nb)", R"({a\n}b)"},
        {R"(<thinking>\na\n</thinking>\n  b)", R"({a\n}  b)"},
        // the end
        {"<thinking>a</thinking>", "{a} "},
        {R"(<thinking>a</thinking>\n)", "{a} "},
        {"<thinking>a", "{a} "},
        {"<thinking>a</thinki", "{a</thinki} "},
        {"<thinking>", ""},
        {R"(<thinking>\n</thinking>\n\nb)", "b"},
        {R"( \n)", R"( \n)"},
        // characters of all lengths
        {R"(<thinking>é\u00e9\ud83d\ude42日</thinking>\n\n日é)", R"({é\u00e9\ud83d\ude42日}日é)"},
    };
    for (const Case &row : cases)
        expect_any_cut(make, row.raw, row.expected);
}

TEST(Tags, ACallEndsReasoning) {
    stages::TagParser stage(true);
    test::Shown shown;
    test::feed(stage, "<thinking>a</think", shown);
    test::call(stage, shown);
    test::feed(stage, R"(b\n<thinking>c)", shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), R"({a</think}(f)b\n<thinking>c)");
}

TEST(Tags, ClosedBeforeACall) {
    stages::TagParser stage(true);
    test::Shown shown;
    test::feed(stage, R"(<thinking>a</thinking>\n)", shown);
    test::call(stage, shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), "{a}(f)");
}

TEST(Tags, TextIsAskedForOnlyBesideVisibleReasoning) {
    stages::TagParser stage(false);
    test::Shown shown;
    test::feed(stage, "<thinking>a", shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), "{a}");
}

TEST(Tags, MuchWhiteSpaceBehindATagIsNotHeldForever) {
    stages::TagParser stage(true);
    test::Shown shown;
    test::feed(stage, "<thinking>a</thinking>" + std::string(1000, ' ') + R"(\n\nb)", shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), "{a</thinking>" + std::string(1000, ' ') + R"(\n\nb} )");
}

} // namespace
