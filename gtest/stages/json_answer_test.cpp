#include "core/stages/json_answer.h"

#include "stages/run.h"

namespace {

using namespace kiro;
using chat::OutputKind;

struct Result {
    std::string text, problem;
};

Result run(OutputKind kind, std::string_view raw, std::string_view schema = {}) {
    stages::JsonAnswer stage(kind, schema);
    test::Shown shown;
    for (std::string_view piece : test::characters(raw))
        test::feed(stage, piece, shown);
    EXPECT_EQ(shown.text(), "");
    EXPECT_EQ(stage.size(), raw.size());
    stage.finish(shown);
    return {shown.text(), stage.problem()};
}

struct Case {
    const char *raw;
    const char *text;
    const char *problem;
};

TEST(JsonAnswer, Object) {
    constexpr Case cases[] = {
        {R"({\"a\":1})", R"({\"a\":1})", ""},
        {R"( {\"a\":1}\n)", R"({\"a\":1})", ""},
        {R"(```json\n{\"a\":1}\n```)", R"({\"a\":1})", ""},
        {R"(Here you are:\n```json\n{\"a\":1}\n```\nDone.)", R"({\"a\":1})", ""},
        {R"(Sure: {\"a\":1}. Done.)", R"({\"a\":1})", ""},
        {R"([1])", "[1]", "it is JSON, but not an object"},
        {R"(42)", "42", "it is JSON, but not an object"},
        {R"(I cannot.)", "I cannot.", "it is not JSON"},
        {R"({\"a\":)", R"({\"a\":)", "it is not JSON"},
        {R"({\"a\":\"\\u00e9\"})", R"({\"a\":\"\\u00e9\"})", ""},
    };
    for (const Case &row : cases) {
        SCOPED_TRACE(row.raw);
        const Result result = run(OutputKind::json_object, row.raw);
        EXPECT_EQ(result.text, row.text);
        EXPECT_EQ(result.problem, row.problem);
    }
}

TEST(JsonAnswer, Schema) {
    constexpr std::string_view schema = R"({"type":"object","required":["a"]})";
    EXPECT_EQ(run(OutputKind::json_schema, R"({\"a\":1})", schema).problem, "");
    EXPECT_EQ(run(OutputKind::json_schema, R"({\"b\":1})", schema).problem, "$: \"a\" is missing");
    EXPECT_EQ(run(OutputKind::json_schema, R"([])", schema).problem, "$: expected object, got array");
    EXPECT_EQ(run(OutputKind::json_schema, R"([])").problem, "");
}

TEST(JsonAnswer, NothingIsExpectedBesideACall) {
    stages::JsonAnswer stage(OutputKind::json_object, {});
    test::Shown shown;
    test::feed(stage, "Let me look.", shown);
    test::call(stage, shown);
    test::feed(stage, "More.", shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), "Let me look.(f)More.");
    EXPECT_EQ(stage.problem(), "");
}

} // namespace
