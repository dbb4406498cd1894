#include "core/tokens/counter.h"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/json/writer.h"
#include "core/tokens/pieces.h"

namespace {

using namespace kiro;
using tokens::Counter;

std::string repeated(std::string_view piece, size_t times) {
    std::string text;
    while (times-- > 0)
        text += piece;
    return text;
}

uint64_t count(std::string_view text) {
    return Counter().count(text);
}

// The numbers are tiktoken's.
TEST(Counter, KnownTexts) {
    const struct {
        std::string text;
        uint64_t tokens;
    } known[] = {
        {"", 0},
        {"a", 1},
        {"hello world", 2},
        {"Hello, world! It's 2024.", 10},
        {"tiktoken is great!", 6},
        {" antidisestablishmentarianism", 6},
        {"2 + 2 = 4", 7},
        {"お誕生日おめでとう", 9},
        {"<|endoftext|>", 7},
        {"\n\n\n  x", 3},
        {"a\r\n\r\n  \t b   ", 5},
        {"I'd've WE'LL", 6},
        {"123456789", 3},
        {"👩‍👩‍👧‍👦👍🏽", 24},
        {"人工知能", 4},
        {"    return x;\n}\n", 5},
        {std::string(2, '\0'), 2},
        {"e\u0301\u00a0\u3000\ufeff", 5},
        {"Привет, как дела?", 8},
        {R"({"a":[1,2.5,null,"\u0041"]})", 14},
    };
    for (const auto &row : known)
        EXPECT_EQ(count(row.text), row.tokens) << row.text;
}

// One piece each: what takes other tokenizers a time that grows with the square.
TEST(Counter, LongRuns) {
    constexpr size_t million = 1 << 20;
    EXPECT_EQ(count(repeated("a", million)), million / 8);
    EXPECT_EQ(count(repeated(" ", million)), million / 128);
    EXPECT_EQ(count(repeated("\n", million)), million / 32);
    EXPECT_EQ(count(repeated("-", million)), million / 64);
    EXPECT_EQ(count(repeated(std::string_view("\0", 1), million)), million);
    EXPECT_EQ(count(repeated("0", million)), (million + 2) / 3);
    EXPECT_EQ(count(repeated("中", million / 3)), million / 3);
    EXPECT_EQ(count(repeated("😀", million / 4)), 2 * (million / 4));
    EXPECT_EQ(count(repeated("ab", million / 2)), million / 2);
}

TEST(Counter, Escapes) {
    Counter counter;
    EXPECT_EQ(counter.count_raw(R"(a\n\n\"b\" \/ \u0041\u4eba\ud83d\ude00 \t\\)"),
              counter.count("a\n\n\"b\" / A人😀 \t\\"));
    EXPECT_EQ(counter.count_raw("plain"), counter.count("plain"));
    EXPECT_EQ(counter.count_raw(R"(\ud83d)"), counter.count("\ufffd"));
}

TEST(Counter, AnyBytes) {
    std::mt19937 random(1);
    Counter counter;
    for (int round = 0; round < 2000; round++) {
        std::string text(random() % 40, '\0');
        for (char &c : text)
            c = static_cast<char>(random());
        uint64_t n = counter.count(text);
        EXPECT_LE(n, text.size());
        EXPECT_EQ(n == 0, text.empty());
    }
}

// Merges one pair after the other, as the encoding is defined.
class Reference {
public:
    Reference() {
        const auto &tables = tokens::kiro_token_tables;
        std::vector<std::string> texts(tokens::vocabulary_size);
        for (unsigned byte = 0; byte < 256; byte++) {
            auto state = tables.states[tables.states[0].base() ^ byte];
            texts[state.token()] = std::string(1, static_cast<char>(byte));
        }
        for (tokens::Token t = 0; t < tokens::vocabulary_size; t++) {
            const auto &facts = tables.facts[t];
            if (t >= 256)
                texts[t] = texts[facts.left()] + texts[facts.right()];
            ranks.emplace(texts[t], t);
        }
    }

    size_t merge(std::string_view piece) const {
        std::vector<std::string> parts;
        for (char c : piece)
            parts.emplace_back(1, c);
        for (;;) {
            size_t best = 0;
            tokens::Token lowest = tokens::no_token;
            for (size_t i = 0; i + 1 < parts.size(); i++) {
                auto found = ranks.find(parts[i] + parts[i + 1]);
                if (found != ranks.end() && found->second < lowest) {
                    best = i;
                    lowest = found->second;
                }
            }
            if (lowest == tokens::no_token)
                return parts.size();
            parts[best] += parts[best + 1];
            parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
        }
    }

    size_t count(std::string_view text) const {
        size_t n = 0;
        for (const char *p = text.data(), *end = p + text.size(); p != end;) {
            const char *behind = tokens::piece_end(p, end);
            n += merge({p, behind});
            p = behind;
        }
        return n;
    }

private:
    std::unordered_map<std::string, tokens::Token> ranks;
};

TEST(Counter, IsWhatMergingGives) {
    const Reference reference;
    const std::vector<std::vector<std::string>> alphabets = {
        {"a", "b"},
        {"a", "b", "ab", "ba", "aa"},
        {"e", "t", "a", "o", "i", "n", "s", "r", "h", "l", "d", "c", "u"},
        {"-", "=", "--", "*", "#", "----------------"},
        {" ", "\n", "\t", "    ", "\r\n", "x"},
        {"中", "文", "字", "の", "、", "。"},
        {"😀", "👍", "🏽", "\u200d", "\ufe0f", "❤"},
        {"'", "s", "ll", "'re", "S", " ", "1", "23"},
        {"\xe4", "\xb8", "\xad", "\xf0", "\x9f", "\xff", "\x80"},
    };
    std::mt19937 random(7);
    Counter counter;
    for (const auto &alphabet : alphabets) {
        for (int round = 0; round < 60; round++) {
            std::string text;
            for (size_t n = 1 + random() % 90; n > 0; n--)
                text += alphabet[random() % alphabet.size()];
            ASSERT_EQ(counter.count(text), reference.count(text)) << text;
        }
    }
}

TEST(Pieces, Cuts) {
    const std::pair<std::string, std::vector<std::string>> cases[] = {
        {"Hello, world!", {"Hello", ",", " world", "!"}},
        {"it's IT'LL we'x 'tis", {"it", "'s", " IT", "'LL", " we", "'x", " '", "tis"}},
        {"a1234b", {"a", "123", "4", "b"}},
        {"a  b", {"a", " ", " b"}},
        {"a   ", {"a", "   "}},
        {"a \n\n  b", {"a", " \n\n", " ", " b"}},
        {"x  12", {"x", " ", " ", "12"}},
        {"f(x);\r\n\ty", {"f", "(x", ");\r\n", "\ty"}},
        {" ...\n!", {" ...\n", "!"}},
        {"\nword", {"\n", "word"}},
        {"\u00a0word\u3000\u3000word", {"\u00a0word", "\u3000", "\u3000word"}},
        {"\u0085\ufeffé", {"\u0085", "\ufeffé"}},
        {"٣٤٥٦", {"٣٤٥", "٦"}},
    };
    for (const auto &[text, wanted] : cases) {
        std::vector<std::string> seen;
        for (const char *p = text.data(), *end = p + text.size(); p != end;) {
            const char *behind = tokens::piece_end(p, end);
            seen.emplace_back(p, behind);
            p = behind;
        }
        EXPECT_EQ(seen, wanted) << text;
    }
}

} // namespace
