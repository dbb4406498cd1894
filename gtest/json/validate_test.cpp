#include "core/json/validate.h"

#include <gtest/gtest.h>
#include <random>
#include <simdjson.h>
#include <string>

namespace {

using kiro::json::validate;

std::string nested(size_t n) {
    return std::string(n, '[') + std::string(n, ']');
}

TEST(Validate, TakesEveryValidForm) {
    const std::string good[] = {
        "{}",
        "[]",
        " \t\r\n{ } ",
        "0",
        "-0",
        "-0.5e+10",
        "1E-7",
        "12345678901234567890123456789",
        "true",
        "false",
        "null",
        R"("")",
        R"("\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")",
        R"({"a":[1,2,{"b":null}],"":{},"c":"x"})",
        R"([[],[[]],{},"",0])",
        "\"\xC3\xA9 \xF0\x9F\x98\x80 \x7F\"",
        nested(128),
    };
    for (const auto &text : good) {
        auto v = validate(text);
        EXPECT_TRUE(v) << text << ": " << v.reason << " at " << v.offset;
        EXPECT_FALSE(v.lone_surrogates) << text;
    }
}

TEST(Validate, NamesTheBadByte) {
    struct Case {
        std::string text;
        size_t offset;
        const char *reason;
    };
    const Case cases[] = {
        {"", 0, "unexpected end"},
        {"  ", 2, "unexpected end"},
        {"{", 1, "unexpected end"},
        {"[1,", 3, "unexpected end"},
        {R"({"a")", 4, "unexpected end"},
        {R"({"a":)", 5, "unexpected end"},
        {R"({"a":1)", 6, "unexpected end"},
        {R"({"a":1,})", 7, "expected a string as key"},
        {R"({a:1})", 1, "expected a string as key"},
        {R"({"a" 1})", 5, "expected ':'"},
        {R"({"a":1 "b":2})", 7, "expected ',' or '}'"},
        {"[1 2]", 3, "expected ',' or ']'"},
        {"[1}", 2, "expected ',' or ']'"},
        {"[1,]", 3, "unexpected character"},
        {"[,1]", 1, "unexpected character"},
        {"{} {}", 3, "data after the JSON value"},
        {"nul", 0, "unexpected end"},
        {"nulL", 0, "unknown literal"},
        {"truex", 4, "data after the JSON value"},
        {"01", 1, "number with a leading zero"},
        {"-", 1, "unexpected end"},
        {"-a", 1, "malformed number"},
        {"1.", 2, "unexpected end"},
        {"1.e", 2, "malformed number"},
        {"1e+", 3, "unexpected end"},
        {"+1", 0, "unexpected character"},
        {"NaN", 0, "unexpected character"},
        {"'a'", 0, "unexpected character"},
        {R"("abc)", 4, "unterminated string"},
        {R"("abc\)", 5, "unterminated string"},
        {R"("\x")", 1, "unknown escape"},
        {R"("\u12")", 1, "malformed \\u escape"},
        {R"("\u12g4")", 1, "malformed \\u escape"},
        {"\"a\nb\"", 2, "control character in a string"},
        {std::string("\"a\0b\"", 5), 2, "control character in a string"},
        {std::string("{}\0", 3), 2, "data after the JSON value"},
        {"\"ab\xFFz\"", 3, "invalid UTF-8"},
        {"\"\xC0\xAF\"", 1, "invalid UTF-8"},
        {"\"\xED\xA0\x80\"", 1, "invalid UTF-8"},
        {"\"\xF4\x90\x80\x80\"", 1, "invalid UTF-8"},
        {nested(129), 128, "nested too deeply"},
    };
    for (const auto &c : cases) {
        auto v = validate(c.text);
        ASSERT_FALSE(v) << c.text;
        EXPECT_STREQ(v.reason, c.reason) << c.text;
        EXPECT_EQ(v.offset, c.offset) << c.text;
    }
}

TEST(Validate, ControlCharactersAtEveryAlignment) {
    for (size_t length = 0; length < 40; length++) {
        for (size_t at = 0; at < length; at++) {
            for (char c : {'\x1F', '\x00', '\x01'}) {
                std::string text = "\"" + std::string(length, 'a') + "\"";
                text[1 + at] = c;
                auto v = validate(text);
                ASSERT_FALSE(v);
                ASSERT_EQ(v.offset, 1 + at);
            }
        }
    }
}

TEST(Validate, ReplacesLoneSurrogatesInPlace) {
    struct Case {
        std::string in, out;
    };
    const Case cases[] = {
        {R"("\ud83d")", R"("\ufffd")"},
        {R"("\uDE00x")", R"("\ufffdx")"},
        {R"("\ud83d\ude00")", R"("\ud83d\ude00")"},
        {R"("\ud83d\ud83d\ude00")", R"("\ufffd\ud83d\ude00")"},
        {R"("\ud83d\u0041")", R"("\ufffd\u0041")"},
        {R"("\ud83d\n")", R"("\ufffd\n")"},
        {R"("\\ud83d")", R"("\\ud83d")"},
        {R"({"\udc00":"a\\\udfff"})", R"({"\ufffd":"a\\\ufffd"})"},
    };
    for (const auto &c : cases) {
        auto v = validate(c.in);
        ASSERT_TRUE(v) << c.in;
        EXPECT_EQ(v.lone_surrogates, c.in != c.out) << c.in;
        std::string text = c.in;
        kiro::json::replace_lone_surrogates(text.data(), text.size());
        EXPECT_EQ(text, c.out);
        EXPECT_FALSE(validate(text).lone_surrogates);
    }
}

// simdjson's DOM parser is the independent judge.
TEST(Validate, AgreesWithSimdjsonOnMutations) {
    const std::string seed =
        R"({"a":[1,-2.5e3,true,false,null,"x\n\u00e9\ud83d\ude00"],"b":{"c":"\"\\"},"d":[]})";
    const char pool[] = "{}[]\",:\\0123eE+-.ntfu \n\x01\x80 a";
    std::mt19937 random(42);
    simdjson::dom::parser parser;
    int accepted = 0;
    for (int round = 0; round < 60000; round++) {
        std::string text = seed;
        for (unsigned edits = 1 + random() % 3; edits > 0 && !text.empty(); edits--) {
            size_t at = random() % text.size();
            char c = pool[random() % (sizeof(pool) - 1)];
            switch (random() % 3) {
            case 0:
                text[at] = c;
                break;
            case 1:
                text.erase(at, 1 + random() % 3);
                break;
            default:
                text.insert(at, 1, c);
            }
        }
        auto v = validate(text);
        auto error = parser.parse(text).error();
        if (v && v.lone_surrogates)
            continue; // refused by some versions
        if (error == simdjson::NUMBER_ERROR && v)
            continue; // valid but beyond double
        ASSERT_EQ(static_cast<bool>(v), error == simdjson::SUCCESS)
            << text << " ours: " << (v ? "ok" : v.reason) << ", simdjson: " << simdjson::error_message(error);
        accepted += static_cast<bool>(v);
    }
    EXPECT_GT(accepted, 1000);
}

} // namespace
