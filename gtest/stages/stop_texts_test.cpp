#include "core/stages/stop_texts.h"

#include <algorithm>
#include <optional>

#include "core/json/writer.h"
#include "stages/run.h"

namespace {

using namespace kiro;
using json::Raw;
using test::expect_any_cut;

struct Case {
    std::vector<Raw> stops;
    const char *raw;
    const char *expected;
};

TEST(StopTexts, AnyCut) {
    const Case cases[] = {
        {{"END"}, "one END two", "one "},
        {{"END"}, "one EN two", "one EN two"},
        {{"END"}, "one EN", "one EN"},
        {{"END"}, "ENENEND", "ENEN"},
        {{"aab"}, "aaaaab", "aaa"},
        {{"aaa"}, "aabaaab", "aab"},
        {{"END"}, "ENDmore", ""},
        {{"a"}, "bca", "bc"},
        // the first to be complete, then the longest
        {{"abcd", "bc"}, "xabcd", "xa"},
        {{"bc", "abc"}, "xabc", "x"},
        {{"she", "he", "hers"}, "ushers", "u"},
        {{"abc", "abd"}, "ababd", "ab"},
        // escapes differ between client and upstream
        {{R"(\n\nHuman:)"}, R"(Yes.\n\nHuman: no)", "Yes."},
        {{R"(\u000aObservation)"}, R"(Act\nObservation: x)", "Act"},
        {{R"(\n)"}, R"(a\u000Ab)", "a"},
        {{"</s>"}, R"(a<\/s>b)", "a"},
        {{R"(\u003c/s\u003e)"}, "a</s>b", "a"},
        {{R"(\")"}, R"(say \"no\")", "say "},
        {{R"(\\)"}, R"(a\\nb)", "a"},
        {{R"(\n)"}, R"(a\\nb)", R"(a\\nb)"},
        {{"日"}, R"(é日)", "é"},
        {{R"(\u65e5)"}, R"(é日)", "é"},
        {{"é"}, R"(è\u00e9)", "è"},
        {{"🙂!"}, R"(a\ud83d\ude42!b)", "a"},
        {{"🙂!"}, R"(a\ud83d\ude42?b)", R"(a\ud83d\ude42?b)"},
        {{R"(\ud83d\ude42)"}, "a🙂", "a"},
        {{"🙂"}, "🙃🙂", "🙃"},
        // none
        {{}, "text", "text"},
        {{""}, "text", "text"},
    };
    for (const Case &row : cases)
        expect_any_cut([&row] { return stages::StopTexts(row.stops); }, row.raw, row.expected);
}

TEST(StopTexts, TellsWhichOne) {
    const std::vector<Raw> stops{"x", R"(\nEND)"};
    stages::StopTexts stage(stops);
    test::Shown shown;
    test::feed(stage, R"(a\n)", shown);
    EXPECT_FALSE(stage.hit());
    test::feed(stage, "END", shown);
    EXPECT_TRUE(stage.hit());
    EXPECT_EQ(stage.text(), R"(\nEND)");
    test::feed(stage, "more", shown);
    test::call(stage, shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), "a");
}

TEST(StopTexts, NotOverACall) {
    const std::vector<Raw> stops{"END"};
    stages::StopTexts stage(stops);
    test::Shown shown;
    test::feed(stage, "aEN", shown);
    test::call(stage, shown);
    test::feed(stage, "D", shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), "aEN(f)D");
    EXPECT_FALSE(stage.hit());
}

TEST(StopTexts, ReasoningIsNotSearched) {
    const std::vector<Raw> stops{"END"};
    stages::StopTexts stage(stops);
    test::Shown shown;
    stage.take(chat::ReasoningDelta{"the END"}, shown);
    test::feed(stage, "b", shown);
    stage.finish(shown);
    EXPECT_EQ(shown.text(), "{the END}b");
}

// Holds no more than it must: what is out plus the longest beginning of a stop text is all.
TEST(StopTexts, HoldsTheLongestPartialMatchOnly) {
    const std::vector<Raw> stops{"abac"};
    stages::StopTexts stage(stops);
    test::Shown shown;
    test::feed(stage, "xabab", shown);
    EXPECT_EQ(shown.text(), "xab");
    test::feed(stage, "a", shown);
    EXPECT_EQ(shown.text(), "xab");
    test::feed(stage, "d", shown);
    EXPECT_EQ(shown.text(), "xababad");
}

// The plain way to the same result: the earliest end, of those the earliest start.
std::string slow(const std::vector<std::string> &stops, const std::string &text) {
    std::optional<std::size_t> best_end;
    std::size_t best_start = 0;
    for (const std::string &stop : stops) {
        const std::size_t start = text.find(stop);
        if (start == std::string::npos)
            continue;
        const std::size_t end = start + stop.size();
        if (!best_end || end < *best_end || (end == *best_end && start < best_start)) {
            best_end = end;
            best_start = start;
        }
    }
    return best_end ? text.substr(0, best_start) : text;
}

TEST(StopTexts, LikeThePlainSearch) {
    std::mt19937 random(7);
    const std::string alphabet = "ab\n";
    const auto word = [&](std::size_t least, std::size_t most) {
        std::string out;
        const std::size_t size = least + random() % (most - least + 1);
        for (std::size_t i = 0; i < size; i++)
            out += alphabet[random() % alphabet.size()];
        return out;
    };
    for (int round = 0; round < 3000; round++) {
        std::vector<std::string> stops, raws;
        for (std::size_t i = 0; i < 1 + random() % 4; i++) {
            stops.push_back(word(1, 5));
            raws.push_back(json::escaped(stops.back()));
        }
        const std::vector<Raw> views(raws.begin(), raws.end());
        const std::string text = word(0, 40);
        const std::string raw = json::escaped(text);
        const auto pieces = test::characters(raw);
        std::vector<bool> cut(pieces.size());
        for (std::size_t i = 0; i < cut.size(); i++)
            cut[i] = random() % 2 == 0;
        const std::string out = test::run_cut([&] { return stages::StopTexts(views); }, pieces, cut);
        ASSERT_EQ(json::unescaped(out), slow(stops, text)) << raw;
    }
}

} // namespace
