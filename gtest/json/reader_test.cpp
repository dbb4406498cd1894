#include "core/json/reader.h"

#include <gtest/gtest.h>
#include <random>
#include <simdjson.h>
#include <string>
#include <vector>

#include "core/json/cursor.h"

namespace {

using namespace kiro::json;

TEST(Reader, HandsOutSlices) {
    std::string text = R"( { "s" : "a\"\\b" , "o" : { "x" : [ 1 , { } ] } , "e" : { } , "a" : [ ] ,
        "n" : -1.5e2 , "t" : true, "f":false,"z":null , "k\u0065y" : "" , "last" : [ [ ] , "]" ] } )";
    const Document document(text);
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
    std::string text = R"({"a":{"deep":[1,[2,{"x":"}"}]]},"b":[{"c":1},"d",[[]],{},3],"e":"last"})";
    const Document document(text);
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
    std::string text = R"({"a":[1,2,{"b":3}],"c":4})";
    const Document document(text);
    EXPECT_THROW(document.root().members([](std::string_view, Value value) {
        value.items([](size_t index, Value) {
            if (index == 1)
                throw std::runtime_error("enough");
        });
    }),
                 std::runtime_error);
}

TEST(Reader, ScalarsAtTheVeryEnd) {
    std::string text = "[12]";
    const Document document(text);
    document.root().items([](size_t, Value value) { EXPECT_EQ(value.slice(), "12"); });
}

TEST(Reader, RefusesWhatIsAnotherType) {
    const std::string text = R"({"a":[]})";
    const Document document(text);
    EXPECT_THROW(document.root().string(), std::logic_error);
    EXPECT_THROW(document.root().items([](size_t, Value) {}), std::logic_error);
    EXPECT_THROW(Document(R"({"a":)"), std::logic_error);
}

std::string told(const Value &value) {
    std::string out;
    switch (value.type()) {
    case Type::object:
        value.members([&](std::string_view key, Value member) {
            out += std::string(key) + '=' + told(member) + ';';
            EXPECT_EQ(told(Document(member.slice()).root()), told(member));
        });
        return '{' + out + '}';
    case Type::array:
        value.items([&](size_t, Value item) { out += told(item) + ';'; });
        return '[' + out + ']';
    case Type::string:
        return unescaped(value.string());
    case Type::number:
        return std::to_string(value.number());
    default:
        return std::string(value.slice());
    }
}

std::string told(simdjson::dom::element value) {
    std::string out;
    switch (value.type()) {
    case simdjson::dom::element_type::OBJECT:
        for (auto [key, member] : value.get_object())
            out += std::string(key) + '=' + told(member) + ';';
        return '{' + out + '}';
    case simdjson::dom::element_type::ARRAY:
        for (simdjson::dom::element item : value.get_array())
            out += told(item) + ';';
        return '[' + out + ']';
    case simdjson::dom::element_type::STRING:
        return std::string(std::string_view(value));
    case simdjson::dom::element_type::BOOL:
        return bool(value) ? "true" : "false";
    case simdjson::dom::element_type::NULL_VALUE:
        return "null";
    default:
        return std::to_string(value.get_double().value());
    }
}

// simdjson's DOM parser is the independent judge.
TEST(Reader, AgreesWithSimdjsonOnMutations) {
    const std::string seed =
        R"({"a":[1,-2.5e3,true,false,null,"x\n\u00e9"],"b":{"c":"\"\\","e":{},"f":[[],[{}]]},"d":[]} )";
    const std::string_view pool = "{}[]\",:\\0123eE+-.ntfu \n a";
    std::mt19937 random(7);
    simdjson::dom::parser parser;
    int accepted = 0;
    for (int round = 0; round < 40000; round++) {
        std::string text = seed;
        for (unsigned edits = random() % 4; edits > 0; edits--) {
            size_t at = random() % text.size();
            if (random() % 2 == 0)
                text[at] = pool[random() % pool.size()];
            else
                text.insert(at, 1, pool[random() % pool.size()]);
        }
        simdjson::dom::element element;
        if (parser.parse(text).get(element) != simdjson::SUCCESS)
            continue;
        accepted++;
        ASSERT_EQ(told(Document(text).root()), told(element)) << text;
    }
    EXPECT_GT(accepted, 1000);
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
