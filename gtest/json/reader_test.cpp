#include "core/json/reader.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "core/json/cursor.h"

namespace {

using namespace kiro::json;

std::string padded(std::string text) {
    text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    return text;
}

TEST(Reader, HandsOutSlices) {
    std::string text = padded(R"( { "s" : "a\"\\b" , "o" : { "x" : [ 1 , { } ] } , "e" : { } , "a" : [ ] ,
        "n" : -1.5e2 , "t" : true, "f":false,"z":null , "k\u0065y" : "" , "last" : [ [ ] , "]" ] } )");
    Document document(text.data(), text.size());
    std::vector<std::string> seen;
    document.root().members([&](std::string_view key, Value value) {
        std::string entry(key);
        entry += '=';
        if (key == "s") {
            EXPECT_TRUE(value.is_string());
            entry += value.string();
        } else if (key == "t" || key == "f") {
            entry += value.boolean() ? "yes" : "no";
        } else if (key == "n") {
            EXPECT_EQ(value.number(), -150);
        } else {
            entry += value.slice();
        }
        seen.push_back(entry);
    });
    const std::vector<std::string> expected = {
        R"(s=a\"\\b)", R"(o={ "x" : [ 1 , { } ] })", "e={ }", "a=[ ]", "n=", "t=yes", "f=no", "z=null",
        R"(key="")",   R"(last=[ [ ] , "]" ])"};
    EXPECT_EQ(seen, expected);
}

TEST(Reader, SkipsWhatTheVisitorLeaves) {
    std::string text = padded(R"({"a":{"deep":[1,[2,{"x":"}"}]]},"b":[{"c":1},"d",[[]],{},3],"e":"last"})");
    Document document(text.data(), text.size());
    std::string keys;
    size_t items = 0;
    document.root().members([&](std::string_view key, Value value) {
        keys += key;
        if (key == "b") {
            value.items([&](size_t index, Value item) {
                EXPECT_EQ(index, items++);
                if (item.is_object() && index == 0)
                    item.members([&](std::string_view inner, Value) { keys += inner; });
            });
        }
    });
    EXPECT_EQ(keys, "abce");
    EXPECT_EQ(items, 5u);
}

TEST(Reader, LeavesAVisitEarlyByException) {
    std::string text = padded(R"({"a":[1,2,{"b":3}],"c":4})");
    Document document(text.data(), text.size());
    EXPECT_THROW(document.root().members([](std::string_view, Value value) {
        value.items([](size_t index, Value) {
            if (index == 1)
                throw std::runtime_error("enough");
        });
    }),
                 std::runtime_error);
}

TEST(Reader, ScalarsAtTheVeryEnd) {
    std::string text = padded("[12]");
    Document document(text.data(), text.size());
    document.root().items([](size_t, Value value) { EXPECT_EQ(value.slice(), "12"); });
}

TEST(Cursor, WalksAndSlices) {
    Cursor cursor(R"( { "a" : "x\"y" , "b" : [ 1 , "]" , { "c" : null } ] , "d" : { } , "e" : -1e5 } )");
    std::string seen;
    cursor.members([&](Raw key, Cursor &c) {
        seen += key;
        seen += '=';
        if (c.is_array())
            c.items([&](Cursor &item) {
                seen += item.value();
                seen += ';';
            });
        else
            seen += c.value();
        seen += ' ';
    });
    EXPECT_EQ(seen, R"(a="x\"y" b=1;"]";{ "c" : null }; d={ } e=-1e5 )");
}

TEST(Cursor, StaysInsideBrokenText) {
    const std::string text = R"({"a":[1,"b\"",{"c":{}}],"d":nul)";
    for (size_t n = 0; n <= text.size(); n++) {
        std::vector<char> exact(text.begin(), text.begin() + static_cast<long>(n));
        Cursor cursor(std::string_view(exact.data(), exact.size()));
        size_t rounds = 0;
        cursor.members([&](Raw, Cursor &c) {
            ASSERT_LT(rounds++, 10u);
            c.value();
        });
    }
}

} // namespace
