#include "core/kiro/schema.h"

#include <gtest/gtest.h>

#include "core/json/validate.h"
#include "support/corpus.h"

namespace {

using kiro::test::minified;

std::string cleaned(std::string_view schema) {
    std::string out;
    kiro::kiro::append_schema(out, schema);
    return out;
}

struct Case {
    const char *rule, *schema, *expected; // of a property "p" at the root
};

// What becomes of one property's schema.
constexpr Case properties[] = {
    {"known keywords stay", R"j({"type":"array","items":{"type":"string"},"description":"d"})j",
     R"j({"type":"array","description":"d","items":{"type":"string"}})j"},
    {"unknown keywords go",
     R"j({"type":"string","$id":"i","title":"t","x-y":{},"$comment":"c","readOnly":true})j",
     R"j({"type":"string"})j"},
    {"constraints are told", R"j({"type":"integer","description":"Count","minimum":1,"maximum":9})j",
     R"j({"type":"integer","description":"Count (minimum: 1; maximum: 9)"})j"},
    {"patterns keep their escapes", R"j({"type":"string","pattern":"^\\d\"$"})j",
     R"j({"type":"string","description":"(pattern: ^\\d\"$)"})j"},
    {"closed objects are told", R"j({"type":"object","additionalProperties":false})j",
     R"j({"type":"object","description":"(no other properties)"})j"},
    {"maps are told", R"j({"type":"object","additionalProperties":{"type":"number"}})j",
     R"j({"type":"object","description":"(other properties: {\"type\":\"number\"})"})j"},
    {"open objects are not", R"j({"type":"object","additionalProperties":true})j", R"j({"type":"object"})j"},
    {"negations and conditions are told", R"j({"not":{"type":"string"},"if":{"a":1},"then":{"b":2}})j",
     R"j({"description":"(not: {\"type\":\"string\"}; if: {\"a\":1}; then: {\"b\":2})"})j"},
    {"const is an enum of one", R"j({"const":"a"})j", R"j({"enum":["a"]})j"},
    {"null leaves an enum", R"j({"enum":["a",null]})j", R"j({"description":"(may be null)","enum":["a"]})j"},
    {"an empty enum goes", R"j({"type":"string","enum":[]})j", R"j({"type":"string"})j"},
    {"null leaves a list of types", R"j({"type":["string","null"]})j",
     R"j({"type":"string","description":"(may be null)"})j"},
    {"several types are told", R"j({"type":["string","integer"]})j",
     R"j({"description":"(string or integer)"})j"},
    {"nullable is told", R"j({"type":"string","nullable":true})j",
     R"j({"type":"string","description":"(may be null)"})j"},
    {"an unknown type goes", R"j({"type":"any","description":"d"})j", R"j({"description":"d"})j"},
    {"null default and required go",
     R"j({"type":"object","default":null,"required":null,"properties":null})j", R"j({"type":"object"})j"},
    {"an empty required goes", R"j({"type":"object","required":[],"properties":{}})j",
     R"j({"type":"object","properties":{}})j"},
    {"required names once", R"j({"properties":{"a":{}},"required":["a","a",1]})j",
     R"j({"properties":{"a":{}},"required":["a"]})j"},
    {"big integers are told", R"j({"type":"integer","default":2147483648})j",
     R"j({"type":"integer","description":"(default: 2147483648)"})j"},
    {"32 bits stay", R"j({"type":"integer","default":2147483647})j",
     R"j({"type":"integer","default":2147483647})j"},
    {"enums of big integers are told", R"j({"enum":[1,-99999999999]})j",
     R"j({"description":"(one of: [1,-99999999999])"})j"},
    {"the limits of JavaScript's integers say nothing",
     R"j({"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991})j",
     R"j({"type":"integer"})j"},
    {"boolean schemas", R"j({"properties":{"a":true,"b":false},"items":true})j",
     R"j({"properties":{"a":{}}})j"},
    {"tuples", R"j({"type":"array","items":[{"type":"string"},{"type":"number"}]})j",
     R"j({"type":"array","description":"(items in order: [{\"type\":\"string\"},{\"type\":\"number\"}])",)j"
     R"j("items":{"anyOf":[{"type":"string"},{"type":"number"}]}})j"},
    {"prefixItems", R"j({"type":"array","prefixItems":[{"type":"string"},{"type":"string"}]})j",
     R"j({"type":"array","description":"(items in order: [{\"type\":\"string\"},{\"type\":\"string\"}])",)j"
     R"j("items":{"type":"string"}})j"},
    {"or null is told", R"j({"anyOf":[{"type":"string"},{"type":"null"}],"default":null})j",
     R"j({"type":"string","description":"(may be null)"})j"},
    {"one variant is no union", R"j({"oneOf":[{"type":"string","format":"uri"}]})j",
     R"j({"type":"string","description":"(format: uri)"})j"},
    {"equal variants are one", R"j({"anyOf":[{"type":"string"},{"type":"string","title":"T"}]})j",
     R"j({"type":"string"})j"},
    {"constants become an enum",
     R"j({"oneOf":[{"const":"a","description":"A"},{"const":"b","description":"B"}]})j",
     R"j({"description":"(a = A; b = B)","enum":["a","b"]})j"},
    {"other unions stay as anyOf", R"j({"oneOf":[{"type":"string","minLength":2},{"type":"number"}]})j",
     R"j({"anyOf":[{"type":"string","description":"(minLength: 2)"},{"type":"number"}]})j"},
    {"allOf is merged", R"j({"allOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}}}]})j",
     R"j({"properties":{"a":{},"b":{}},"required":["a"]})j"},
    {"a strange reference is told", R"j({"$ref":"other.json#/x"})j",
     R"j({"description":"(see other.json#/x)"})j"},
};

TEST(Schema, RulesOfAProperty) {
    for (const Case &c : properties) {
        SCOPED_TRACE(c.rule);
        std::string schema = std::string(R"({"type":"object","properties":{"p":)") + c.schema + "}}";
        std::string expected = std::string(R"({"type":"object","properties":{"p":)") + c.expected + "}}";
        EXPECT_EQ(cleaned(schema), expected);
        EXPECT_EQ(cleaned(expected), expected);
    }
}

constexpr Case roots[] = {
    {"no schema", "", R"j({"type":"object","properties":{}})j"},
    {"an empty one", "{}", R"j({"type":"object","properties":{}})j"},
    {"another type", R"j({"type":"string"})j", R"j({"type":"object","properties":{}})j"},
    {"a reference",
     R"j({"$ref":"#/$defs/A","$defs":{"A":{"properties":{"x":{"$ref":"#/$defs/B"}}},"B":{"type":"number"}}})j",
     R"j({"type":"object","properties":{"x":{"type":"number"}}})j"},
    {"a pointer with escapes",
     R"j({"properties":{"x":{"$ref":"#/definitions/a~1b%20c"}},"definitions":{"a/b c":{"type":"number"}}})j",
     R"j({"type":"object","properties":{"x":{"type":"number"}}})j"},
    {"recursion ends",
     R"j({"properties":{"n":{"$ref":"#/$defs/N"}},"$defs":{"N":{"type":"object","properties":{"n":{"$ref":"#/$defs/N"}}}}})j",
     R"j({"type":"object","properties":{"n":{"type":"object","properties":)j"
     R"j({"n":{"type":"object","description":"(same form as N)"}}}}})j"},
    {"recursion of the whole", R"j({"type":"object","properties":{"n":{"$ref":"#"}}})j",
     R"j({"type":"object","properties":{"n":{"type":"object","description":"(same form as the whole)"}}})j"},
    {"a union becomes one object",
     R"j({"oneOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}},"required":["b"]}]})j",
     R"j({"type":"object","description":"(required, one of: a | b)","properties":{"a":{},"b":{}}})j"},
    {"allOf binds", R"j({"allOf":[{"properties":{"a":{}},"required":["a"]}]})j",
     R"j({"type":"object","properties":{"a":{}},"required":["a"]})j"},
    {"twice the same reference",
     R"j({"properties":{"a":{"$ref":"#/$defs/T"},"b":{"$ref":"#/$defs/T"}},"$defs":{"T":{"type":"string"}}})j",
     R"j({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}}})j"},
};

TEST(Schema, RulesOfTheRoot) {
    for (const Case &c : roots) {
        SCOPED_TRACE(c.rule);
        EXPECT_EQ(cleaned(c.schema), c.expected);
        EXPECT_EQ(cleaned(c.expected), c.expected);
    }
}

// Each definition refers to the next one twice: inlined in full it would be 2^40 schemas.
TEST(Schema, MultiplyingReferencesAreBounded) {
    std::string schema = R"({"properties":{"x":{"$ref":"#/$defs/d0"}},"$defs":{)";
    for (int i = 0; i < 40; i++) {
        std::string next = R"({"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"}";
        schema += (i > 0 ? ",\"d" : "\"d") + std::to_string(i) + R"(":{"properties":{"a":)" + next +
                  ",\"b\":" + next + "}}";
    }
    schema += R"(,"d40":{"type":"string"}}})";
    std::string out = cleaned(schema);
    EXPECT_LT(out.size(), 2u << 20);
    EXPECT_TRUE(kiro::json::validate(out));
}

TEST(Schema, ReferencesLeadThroughListsAndEscapes) {
    EXPECT_EQ(cleaned(R"j({"properties":{"a":{"$ref":"#/$defs/l/1"},"b":{"$ref":"#/$defs/a~1b%20c"},
        "c":{"$ref":"#/$defs/l/01"},"d":{"$ref":"#/$defs/\u0078"}},
        "$defs":{"l":[{},{"type":"string"}],"a/b c":{"type":"number"},"x":{"type":"array"},"\u0078":{"type":"boolean"}}})j"),
              R"j({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"number"},)j"
              R"j("c":{"description":"(see #/$defs/l/01)"},"d":{"type":"boolean"}}})j");
}

// Each of these took minutes when every name or reference was looked for among all the others.
TEST(Schema, ManyNamesAndReferences) {
    constexpr int count = 100'000;
    std::string members, required, parts, references, pad;
    for (int i = 0; i < count; i++) {
        const std::string name = "\"p" + std::to_string(i) + "\"", comma = i > 0 ? "," : "";
        members += comma + name + ":{}";
        required += comma + name;
        parts += comma + R"({"properties":{)" + name + ":{}}}";
        pad += comma + std::to_string(i);
        if (i < 1500)
            references += comma + name + R"(:{"$ref":"#/$defs/a"})";
    }
    const std::string some = cleaned(R"({"properties":{)" + members + R"(},"required":[)" + required + "]}");
    EXPECT_NE(some.find(R"("p99999":{})"), std::string::npos);
    EXPECT_NE(some.find(R"(,"p99999"])"), std::string::npos);
    EXPECT_NE(cleaned(R"({"allOf":[)" + parts + "]}").find(R"("p3000":{})"), std::string::npos);
    EXPECT_NE(cleaned(R"({"properties":{)" + references + R"(},"$defs":{"pad":[)" + pad +
                      R"(],"a":{"type":"string"}}})")
                  .find(R"("p1499":{"type":"string"})"),
              std::string::npos);
}

// A tool of a few lines can become a hundred kilobytes, a thousand of them not a hundred megabytes.
TEST(Schema, ManySchemasShareABound) {
    std::string schema = R"({"properties":{"x":{"$ref":"#/$defs/d0"}},"$defs":{"d20":{"type":"string"})";
    for (int i = 0; i < 20; i++) {
        std::string next = R"({"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"}";
        schema += ",\"d" + std::to_string(i) + R"(":{"properties":{"a":)" + next + ",\"b\":" + next + "}}";
    }
    schema += "}}";
    std::string out;
    size_t nodes = 50'000;
    for (int i = 0; i < 1000; i++)
        kiro::kiro::append_schema(out, schema, nodes);
    EXPECT_EQ(nodes, 0u);
    EXPECT_LT(out.size(), 4u << 20);
    EXPECT_TRUE(out.ends_with(R"({"type":"object","properties":{}})"));
}

TEST(Schema, DepthIsBounded) {
    std::string schema = R"({"type":"string"})";
    for (int i = 0; i < 50; i++)
        schema = R"j({"type":"object","properties":{"n":)j" + schema + "}}";
    std::string out = cleaned(schema), unions = R"({"type":"string"})";
    EXPECT_LT(out.size(), 1000u);
    for (int i = 0; i < 50; i++)
        unions = R"({"anyOf":[{"type":"null"},{"items":)" + unions + R"(},{"type":"number"}]})";
    EXPECT_TRUE(kiro::json::validate(cleaned(R"({"properties":{"p":)" + unions + "}}")));
}

} // namespace
