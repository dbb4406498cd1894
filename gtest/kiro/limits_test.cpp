// A result of more than 800,000 characters loses its middle. The limits of numbers have goldens.
#include <gtest/gtest.h>
#include <string>

#include "core/abi/request_internal.h"
#include "core/json/raw.h"
#include "support/client_request.h"

namespace {

using namespace kiro;

std::string repeated(std::string_view piece, size_t times) {
    std::string out;
    out.reserve(piece.size() * times);
    while (times-- > 0)
        out += piece;
    return out;
}

// The raw text that goes out for a tool's result with these texts.
std::string sent(const std::vector<std::string> &texts) {
    std::string content;
    for (const std::string &text : texts)
        content +=
            (content.empty() ? R"({"type":"text","text":")" : R"(,{"type":"text","text":")") + text + "\"}";
    test::ClientRequest request(KIRO_API_ANTHROPIC);
    EXPECT_TRUE(request.parse(
        R"({"model":"claude-opus-4.6","max_tokens":9,"messages":[{"role":"user","content":"Go"},)"
        R"({"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},)"
        R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[)" +
        content + "]}]}]}"))
        << request.failure.message;
    std::string out;
    for (json::Raw text : request.request->upstream.turns.back().results.front().texts)
        out += (out.empty() ? "" : "\\n") + std::string(text);
    return out;
}

TEST(Limits, ResultsThatFitStayWhole) {
    const std::string text = repeated("x", 799000);
    EXPECT_TRUE(sent({text}) == text);
    const std::string escapes = repeated("\\\"", 799000); // characters count, not bytes
    EXPECT_TRUE(sent({escapes}) == escapes);
}

TEST(Limits, LongResultsLoseTheirMiddle) {
    const std::string text = repeated("h", 600000) + repeated("m", 50000) + repeated("t", 190000);
    const std::string kept =
        repeated("h", 600000) + "\\n[50000 characters left out]\\n" + repeated("t", 190000);
    EXPECT_TRUE(sent({text}) == kept);
    EXPECT_TRUE(sent({kept}) == kept); // the next request has the same
    EXPECT_LE(json::length(kept), 800000U);
}

TEST(Limits, TextsOfAResultCountTogether) {
    const std::string head = repeated("h", 600000), tail = repeated("t", 300000);
    EXPECT_TRUE(sent({head, tail}) == head + "\\n[110001 characters left out]\\n" + repeated("t", 190000));
}

TEST(Limits, CutsBetweenCharacters) {
    // A pair counts as two and begins at odd places, so both cuts would fall into one.
    const std::string pair = "\\ud83d\\ude00", text = "a" + repeated(pair, 450000);
    const std::string out = sent({text});
    const size_t gap = out.find("\\n[");
    ASSERT_NE(gap, out.npos);
    EXPECT_TRUE(out.substr(0, gap) == "a" + repeated(pair, (gap - 1) / pair.size()));
    const std::string tail = out.substr(out.find("]\\n") + 3);
    EXPECT_TRUE(tail == repeated(pair, tail.size() / pair.size()));
    EXPECT_NEAR(static_cast<double>(json::length(out.substr(0, gap))), 600000, 1);
    EXPECT_NEAR(static_cast<double>(json::length(tail)), 190000, 1);
    EXPECT_LE(json::length(out), 800000U);
}

} // namespace
