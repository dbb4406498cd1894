#include "core/stages/fence.h"

#include "stages/run.h"

namespace {

using namespace kiro;
using test::expect_any_cut;

stages::Fence make() {
    return {};
}

struct Case {
    const char *raw;
    const char *expected;
};

TEST(Fence, AnyCut) {
    constexpr Case cases[] = {
        {R"(```json\n{\"a\":1}\n```)", R"({\"a\":1})"},
        {R"(```\n{}\n```)", "{}"},
        {R"(\n ```JSON \r\n{}\r\n```\n\n)", "{}"},
        {R"(```json\n{\n  \"a\": [\n    1\n  ]\n}\n```\n)", R"({\n  \"a\": [\n    1\n  ]\n})"},
        {R"(```json\n{}```)", "{}"},
        // no fence, or not only one
        {R"({\"a\":1}\n)", R"({\"a\":1}\n)"},
        {R"( {} )", " {} "},
        {"Here: ```json\\n{}\\n```", "Here: ```json\\n{}\\n```"},
        {"``{}", "``{}"},
        {"````json", "````json"},
        {"```{}", "```{}"},
        {"```an unusually long line", "```an unusually long line"},
        {R"(```averyveryverylongname\n)", R"(```averyveryverylongname\n)"},
        {"```json", "```json"},
        // what looks like the end
        {R"(```json\n{\"a\":\"``` b\"}\n```)", R"({\"a\":\"``` b\"})"},
        {R"(```json\n{}\n```\nAnd so on.)", R"({}\n```\nAnd so on.)"},
        {R"(```json\n{}\n````)", R"({}\n````)"},
        {R"(```json\n{} ``  \n```)", R"({} ``)"},
        {R"(```json\n{}\n``)", R"({}\n``)"},
        {R"(```json\n{\n)", R"({\n)"},
        {R"(```json\n[1, 2])", "[1, 2]"},
    };
    for (const Case &row : cases)
        expect_any_cut(make, row.raw, row.expected);
}

TEST(Fence, ACallEndsIt) {
    stages::Fence stage;
    test::Shown shown;
    test::feed(stage, R"(```json\n{}\n```)", shown);
    test::call(stage, shown);
    test::feed(stage, R"(```json\n[]\n``)", shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), R"({}(f)[]\n``)");
}

} // namespace
