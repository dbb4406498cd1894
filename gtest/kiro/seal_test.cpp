#include "core/kiro/seal.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "core/json/writer.h"

namespace {

using namespace kiro::kiro;

std::string sealed(SealKind kind, std::string_view key, const std::vector<Raw> &pieces, Raw payload) {
    SealedText text;
    for (Raw piece : pieces)
        text.add(piece);
    return seal(kind, key, text, payload);
}

std::string opened(std::string_view key, const std::vector<Raw> &texts, Raw seal) {
    const auto result = open_seal(key, texts, seal);
    return result ? result->payload : "nothing";
}

const std::string mine = seal_key("main/arn", "claude-opus-4.6");

TEST(Seal, OpensForWhatItWasMadeFor) {
    const std::string s = sealed(SealKind::text, mine, {"First ", "I read."}, "EpSIM+/=");
    EXPECT_TRUE(s.starts_with("kr1s"));
    EXPECT_TRUE(s.ends_with(".EpSIM+/="));
    EXPECT_EQ(s.size(), 3u + 1 + 16 + 1 + 8);
    EXPECT_EQ(opened(mine, {"First I read."}, s), "EpSIM+/=");
    EXPECT_EQ(opened(mine, {"First I", " read."}, s), "EpSIM+/=");
    EXPECT_EQ(open_seal(mine, std::vector<Raw>{"First I read."}, s)->kind, SealKind::text);
    EXPECT_EQ(s, sealed(SealKind::text, mine, {"First I read."}, "EpSIM+/=")) << "not deterministic";
}

TEST(Seal, KnowsTheTextHoweverItIsEscaped) {
    const std::string s = sealed(SealKind::text, mine, {R"(Zeile\n \ud83d\ude42 /)"}, R"(a\/b\u003d)");
    EXPECT_EQ(opened(mine, {"Zeile\\u000a 🙂 \\/"}, s), "a/b=");
    std::string other = s;
    other.replace(other.find("\\/"), 2, "/");
    EXPECT_EQ(opened(mine, {"Zeile\\n 🙂 /"}, other), "a/b=");
}

TEST(Seal, StaysShutForAllElse) {
    const std::vector<Raw> text{"First I read."};
    const std::string s = sealed(SealKind::text, mine, text, "EpSIM==");
    for (const std::string &key :
         {seal_key("main/arn", "claude-opus-4.7"), seal_key("other/arn", "claude-opus-4.6"),
          seal_key("main/arnclaude-", "opus-4.6"), std::string()})
        EXPECT_EQ(opened(key, text, s), "nothing");
    EXPECT_EQ(opened(mine, {"First I read!"}, s), "nothing");
    EXPECT_EQ(opened(mine, {}, s), "nothing");
    for (size_t i = 0; i < s.size(); i++) {
        std::string altered = s;
        altered[i] = altered[i] == 'A' ? 'B' : 'A';
        EXPECT_EQ(opened(mine, text, altered), "nothing") << altered;
        EXPECT_EQ(opened(mine, text, s.substr(0, i)), "nothing") << i;
    }
    EXPECT_EQ(opened(mine, text, s + "x"), "nothing");
    for (Raw foreign : {"", "s", "EpSIM==", "kr1", "kr1s", "kr1sAAAAAAAAAAAAAAAA.", "kr1sAAAAAAAAAAAAAAAA.x",
                        "kr1xAAAAAAAAAAAAAAAA.x", "kr2sAAAAAAAAAAAAAAAA.x", "\\u0000", "\\ud83d"})
        EXPECT_EQ(opened(mine, text, foreign), "nothing") << foreign;
}

TEST(Seal, OpaqueReasoningHasNoText) {
    for (SealKind kind : {SealKind::placeholder, SealKind::redacted}) {
        const std::string s = sealed(kind, mine, {}, ".KTR~~b3BhcXVl");
        EXPECT_EQ(opened(mine, {}, s), ".KTR~~b3BhcXVl");
        EXPECT_EQ(opened(mine, {"a summary"}, s), ".KTR~~b3BhcXVl");
        EXPECT_EQ(open_seal(mine, {}, s)->kind, kind);
        std::string other = s;
        other[3] = 's';
        EXPECT_EQ(opened(mine, {}, other), "nothing");
    }
}

} // namespace
