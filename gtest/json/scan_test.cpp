#include "core/json/scan.h"
#include "core/json/surrogates.h"

#include <gtest/gtest.h>
#include <random>
#include <simdjson.h>
#include <string>
#include <vector>

namespace {

using namespace kiro::json;

bool scan(std::string_view text) {
    const std::vector<char> exact(text.begin(), text.end());
    ObjectScanner scanner({exact.data(), exact.size()});
    for (Member member; scanner.next(member);) {
    }
    return scanner.valid();
}

TEST(ObjectScanner, GivesRawSlices) {
    ObjectScanner scanner(
        R"( { "a" : "x\n\"\ud83dy" , "b":{"c":[1,2,{}]},"d":-1.5e3,"e":true,"f":false,"g":null } )");
    std::string seen;
    for (Member m; scanner.next(m);) {
        seen += std::string(m.key) + "=" + std::string(m.value) + (m.surrogates ? "!" : "") + ";";
    }
    EXPECT_TRUE(scanner.valid());
    EXPECT_EQ(seen, R"(a=x\n\"\ud83dy!;b={"c":[1,2,{}]};d=-1.5e3;e=true;f=false;g=null;)");
}

TEST(ObjectScanner, RefusesWhatIsNoObject) {
    const char *bad[] = {"",
                         "[]",
                         "1",
                         "{",
                         "}",
                         "{}x",
                         "{,}",
                         R"({"a"})",
                         R"({"a":})",
                         R"({"a":1,})",
                         R"({"a":01})",
                         R"({"a":1.})",
                         R"({"a":.5})",
                         R"({"a":1e})",
                         R"({"a":+1})",
                         R"({"a":"x})",
                         R"({"a":"\x"})",
                         R"({"a":"\u12g4"})",
                         R"({"a":"\u12"})",
                         "{\"a\":\"\n\"}",
                         R"({a:1})",
                         R"({"a":tru})",
                         R"({"a":[1,]})",
                         R"({"a":[1 2]})",
                         R"({"a":1 "b":2})",
                         "{\"a\":\"\xff\"}",
                         "{\"\xc3\":1}",
                         "{\"a\":\"\xed\xa0\x80\"}",
                         R"({"a":--1})",
                         R"({"a":nan})"};
    for (const char *text : bad) {
        EXPECT_FALSE(scan(text)) << text;
    }
}

TEST(ObjectScanner, DepthIsBounded) {
    const auto nested = [](int n) { return "{\"a\":" + std::string(n, '[') + std::string(n, ']') + "}"; };
    EXPECT_TRUE(scan(nested(200)));
    EXPECT_FALSE(scan(nested(100000)));
}

// Small damage to good texts; a reader of another make is the judge.
TEST(ObjectScanner, AgreesWithSimdjson) {
    const std::string seeds[] = {
        R"({"content":"Hello, \"world\" \ud83d\ude42 ok","modelId":"claude"})",
        "{\"content\":\"na\xc3\xafve \xe2\x80\x93 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x99\x82 plain text "
        "behind\"}",
        R"({"n":-12.5e+3,"t":true,"f":false,"z":null,"o":{"x":[1,2,[3]]},"e":{}})",
    };
    std::mt19937 random(7);
    const std::string alphabet = "{}[]\",:\\u01d8e.-+ tfn\x01\xc3\xa9\xff";
    simdjson::dom::parser parser;
    int good = 0;
    for (int round = 0; round < 60000; ++round) {
        std::string text = seeds[round % 3];
        for (int k = round % 4; k > 0; --k) {
            const size_t at = random() % text.size();
            if (random() % 3 == 0) {
                text.erase(at, 1);
            } else {
                text[at] = alphabet[random() % alphabet.size()];
            }
        }
        simdjson::dom::element doc;
        // Lone surrogates are a matter of their own: replaced, not refused.
        if (text.find("\\ud") != text.npos || text.find("\\uD") != text.npos) {
            continue;
        }
        const auto error = parser.parse(text).get(doc);
        if (error == simdjson::NUMBER_ERROR) {
            continue; // out of range there, a slice here
        }
        const bool want = error == simdjson::SUCCESS && doc.is_object();
        ASSERT_EQ(scan(text), want) << text;
        good += want;
    }
    EXPECT_GT(good, 5000);
}

TEST(Numbers, ToUintAndToDouble) {
    EXPECT_EQ(to_uint("12"), 12u);
    EXPECT_EQ(to_uint("12.9"), 12u);
    EXPECT_EQ(to_uint("-1"), std::nullopt);
    EXPECT_EQ(to_uint("1e99"), std::nullopt);
    EXPECT_EQ(to_double("1e999"), std::nullopt);
    EXPECT_EQ(to_double("-2.5"), -2.5);
}

// The pieces joined, and whether each result is free of halves.
std::string join(const std::vector<std::string> &pieces) {
    SurrogateJoiner joiner;
    std::string out;
    for (const std::string &piece : pieces) {
        out += joiner.join(piece, piece.find("\\ud") != piece.npos || piece.find("\\uD") != piece.npos);
        out += '|';
    }
    out += joiner.finish();
    EXPECT_EQ(joiner.finish(), "");
    return out;
}

TEST(SurrogateJoiner, Joins) {
    EXPECT_EQ(join({"a", "b"}), "a|b|");
    EXPECT_EQ(join({R"(A\ud83d)", R"(\ude42B)"}), R"(A|\ud83d\ude42B|)");
    EXPECT_EQ(join({R"(A\uD83D)", "", R"(\uDE42)"}), R"(A||\uD83D\uDE42|)");
    EXPECT_EQ(join({R"(\ud83d\ude42)"}), R"(\ud83d\ude42|)");
    EXPECT_EQ(join({R"(\ud83d)"}), R"(|\ufffd)");
    EXPECT_EQ(join({R"(\ud83d)", "x"}), R"(|\ufffdx|)");
    EXPECT_EQ(join({R"(\ud83d)", R"(\ud83d)", R"(\ude42)"}), R"(|\ufffd|\ud83d\ude42|)");
    EXPECT_EQ(join({R"(\ude42x)"}), R"(\ufffdx|)");
    EXPECT_EQ(join({R"(\ud83d\n\ude42)"}), R"(\ufffd\n\ufffd|)");
    EXPECT_EQ(join({R"(\\ud83d)"}), R"(\\ud83d|)");
    EXPECT_EQ(join({R"(\\\ud83d)", R"(\ude42)"}), R"(\\|\ud83d\ude42|)");
    EXPECT_EQ(join({R"(\ud83d)", R"(\\ude42)"}), R"(|\ufffd\\ude42|)");
}

} // namespace
