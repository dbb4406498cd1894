#include "core/stages/token_limit.h"

#include "stages/run.h"

namespace {

using namespace kiro;
using test::expect_any_cut;

auto limit(std::uint64_t tokens) {
    return [tokens] { return stages::TokenLimit(tokens); };
}

TEST(TokenLimit, AnyCut) {
    expect_any_cut(limit(2), "123456789", "123456789");
    expect_any_cut(limit(2), "1234567890", "123456789");
    expect_any_cut(limit(1), "12345", "1234");
    expect_any_cut(limit(2), "日本語だよ", "日本語");
    expect_any_cut(limit(1), "éèêë", "éèê");
    expect_any_cut(limit(1), "🙂🙃🙂🙃", "🙂🙃🙂");
    expect_any_cut(limit(1), R"(\n\n\n\n\n)", R"(\n\n\n\n)");
    expect_any_cut(limit(1), R"(\u00e9\u00e9\u00e9\u00e9)", R"(\u00e9\u00e9\u00e9)");
    expect_any_cut(limit(1), R"(\ud83d\ude42\ud83d\ude42\ud83d\ude42\ud83d\ude42)",
                   R"(\ud83d\ude42\ud83d\ude42\ud83d\ude42)");
    expect_any_cut(limit(UINT64_MAX), "1234567890", "1234567890");
}

TEST(TokenLimit, AnAnswerThatJustFitsIsNotCut) {
    stages::TokenLimit stage(2);
    test::Shown shown;
    test::feed(stage, "123456789", shown);
    EXPECT_FALSE(stage.reached());
    test::feed(stage, "0", shown);
    EXPECT_TRUE(stage.reached());
    EXPECT_EQ(shown.text(), "123456789");
}

TEST(TokenLimit, ReasoningCounts) {
    stages::TokenLimit stage(2);
    test::Shown shown;
    stage.take(chat::ReasoningDelta{"1234567"}, shown);
    test::feed(stage, "abcde", shown);
    EXPECT_EQ(shown.text(), "{1234567}ab");
    EXPECT_TRUE(stage.reached());
}

TEST(TokenLimit, ACallIsWholeOrNotThere) {
    const chat::FinishedCall call{"id", "f", R"({\"a\":1})", R"({"a":1})"};
    for (const std::uint64_t tokens : {2, 3}) { // text and call need 22 ninths
        stages::TokenLimit stage(tokens);
        test::Shown shown;
        test::feed(stage, "abc", shown);
        stage.take(call, shown);
        EXPECT_EQ(stage.reached(), tokens == 2);
        EXPECT_EQ(shown.text(), tokens == 2 ? "abc" : "abc(f)");
    }
}

TEST(TokenLimit, AStreamedCallEndsAtTheLimit) {
    stages::TokenLimit stage(1); // 9 ninths: 4 characters of ASCII, one of them the name
    std::string input;
    bool ended = false;
    const auto sink = [&](const chat::Event &event) {
        EXPECT_FALSE(ended);
        if (const auto *piece = std::get_if<chat::CallInput>(&event))
            input += piece->text;
        if (const auto *end = std::get_if<chat::CallEnd>(&event))
            ended = !end->whole;
    };
    stage.take(chat::CallStart{"id", "f"}, sink);
    stage.take(chat::CallInput{R"({\")"}, sink);
    EXPECT_FALSE(ended);
    stage.take(chat::CallInput{R"(a\":1})"}, sink);
    stage.take(chat::CallEnd{true}, sink);
    EXPECT_EQ(input, R"({\"a)");
    EXPECT_TRUE(ended && stage.reached());
}

} // namespace
