#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <vector>

#include "core/json/character.h"
#include "core/json/raw.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

namespace {

using namespace kiro::json;

TEST(Raw, Unescape) {
    EXPECT_EQ(unescaped("plain"), "plain");
    EXPECT_EQ(unescaped(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
    EXPECT_EQ(unescaped(R"(\u0041\u00e9\u20AC\ud83d\ude00!)"), "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80!");
    EXPECT_EQ(unescaped(R"(\ud83dx\ude00)"), "\xEF\xBF\xBDx\xEF\xBF\xBD");
    EXPECT_EQ(unescaped(R"(a\u0000b)"), std::string("a\0b", 3));
}

TEST(Raw, MalformedEscapes) {
    for (const char *raw : {"a\\", "a\\x", "a\\u12", "a\\u12g4", "a\\u"}) {
        std::string out;
        EXPECT_FALSE(unescape(raw, out)) << raw;
        EXPECT_EQ(out, "a");
    }
}

TEST(Raw, SlicesEndBetweenCharacters) {
    const std::string text = R"(a\\\"\u00e9\ud83d\ude00\n)"
                             "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
    const std::vector<size_t> ends{0, 1, 3, 5, 11, 23, 25, 27, 30, 34, 35};
    for (size_t limit = 12; limit < 40; limit++) {
        size_t best = 0;
        for (size_t end : ends)
            best = end <= limit ? end : best;
        EXPECT_EQ(slice(text, limit), text.substr(0, best)) << limit;
    }
    std::string joined;
    for (Raw rest = text; !rest.empty();) {
        const Raw piece = slice(rest, 12);
        ASSERT_FALSE(piece.empty());
        EXPECT_TRUE(validate('"' + std::string(piece) + '"'));
        EXPECT_FALSE(validate('"' + std::string(piece) + '"').lone_surrogates);
        joined += piece;
        rest.remove_prefix(piece.size());
    }
    EXPECT_EQ(joined, text);
}

TEST(Raw, EqualsAndBlank) {
    EXPECT_TRUE(equals("user", "user"));
    EXPECT_TRUE(equals("us\\u0065r", "user"));
    EXPECT_FALSE(equals("usér", "user"));
    for (const char *raw : {"", " ", " \\n\\t\\r\\f", "\\u0020\\u00a0", "\xC2\xA0", "\\u000b"})
        EXPECT_TRUE(is_blank(raw)) << raw;
    for (const char *raw : {".", "\\u0000", " \\\\n", "\\u200b", "\xC3\xA9"})
        EXPECT_FALSE(is_blank(raw)) << raw;
}

TEST(Writer, EscapesAndReadsBack) {
    std::string all;
    for (int c = 0; c < 128; c++)
        all.push_back(static_cast<char>(c));
    all += "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    std::string json;
    append_string(json, all);
    EXPECT_TRUE(validate(json));
    EXPECT_EQ(unescaped(std::string_view(json).substr(1, json.size() - 2)), all);
    EXPECT_EQ(escaped("a\"b\\c\n\x01"), "a\\\"b\\\\c\\n\\u0001");
}

TEST(Writer, BrokenUtf8) {
    EXPECT_EQ(escaped("a\xFF\"\xC3"), "a\xEF\xBF\xBD\\\"\xEF\xBF\xBD");
    EXPECT_EQ(escaped("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Writer, Numbers) {
    std::string out;
    append_int(out, std::numeric_limits<int64_t>::min());
    out += ' ';
    append_uint(out, std::numeric_limits<uint64_t>::max());
    out += ' ';
    append_double(out, 0.1);
    out += ' ';
    append_double(out, 12);
    out += ' ';
    append_double(out, -1e300);
    out += ' ';
    append_double(out, std::nan(""));
    EXPECT_EQ(out, "-9223372036854775808 18446744073709551615 0.1 12 -1e+300 null");
}

TEST(Writer, MinifiedTextHasNoSpaceBetweenItsParts) {
    std::string out = "x";
    append_minified(out, " {\n \"a b\" : [ 1 ,\t\"c\\n d\" ] } ");
    EXPECT_EQ(out, "x{\"a b\":[1,\"c\\n d\"]}");
}

} // namespace
