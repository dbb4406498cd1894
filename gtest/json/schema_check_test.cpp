#include "core/json/schema_check.h"

#include <gtest/gtest.h>

namespace {

using kiro::json::schema_mismatch;

struct Case {
    const char *schema;
    const char *value;
    const char *wrong;
};

TEST(SchemaCheck, Keywords) {
    constexpr Case cases[] = {
        {"{}", "1", ""},
        {"true", "1", ""},
        {"false", "1", "$: no value is allowed here"},
        {R"({"type":"string"})", R"("a")", ""},
        {R"({"type":"string"})", "1", "$: expected string, got number"},
        {R"({"type":"integer"})", "1", ""},
        {R"({"type":"integer"})", "1.0", ""},
        {R"({"type":"integer"})", "1.5", "$: expected integer, got number"},
        {R"({"type":"number"})", "-1e3", ""},
        {R"({"type":"boolean"})", "false", ""},
        {R"({"type":"null"})", "null", ""},
        {R"({"type":["string","null"]})", "null", ""},
        {R"({"type":["string","null"]})", "[]", "$: expected string or null, got array"},
        {R"( { "type" : "array" , "items" : { "type" : "integer" } } )", "[1, 2]", ""},
        {R"({"items":{"type":"integer"}})", R"([1,"2"])", "$[1]: expected integer, got string"},
        {R"({"prefixItems":[{"type":"string"}],"items":{"type":"integer"}})", R"(["a",1])", ""},
        {R"({"prefixItems":[{"type":"string"}],"items":false})", R"(["a",1])",
         "$[1]: no value is allowed here"},
        {R"({"minItems":2})", "[1]", "$: expected at least 2 items, got 1"},
        {R"({"maxItems":1})", "[1,2]", "$: expected at most 1 items, got 2"},
        {R"({"required":["a","b"]})", R"({"a":null})", "$: \"b\" is missing"},
        {R"({"required":["\u0061"]})", R"({"a":null})", ""},
        {R"({"properties":{"a":{"properties":{"b":{"type":"null"}}}}})", R"({"a":{"b":1}})",
         "$.a.b: expected null, got number"},
        {R"({"properties":{"a":{}},"additionalProperties":false})", R"({"a":1,"b":2})",
         "$: \"b\" is not allowed"},
        {R"({"additionalProperties":{"type":"string"}})", R"({"b":2})", "$.b: expected string, got number"},
        {R"({"patternProperties":{"^x":{}},"additionalProperties":false})", R"({"x1":2})", ""},
        {R"({"enum":["a",1,null,{"x":[1,2]}]})", R"({ "x" : [ 1.0 , 2 ] })", ""},
        {R"({"enum":["a"]})", R"("\u0061")", ""},
        {R"({"enum":["a","b"]})", R"("c")", R"($: "c" is none of ["a","b"])"},
        {R"({"const":true})", "false", "$: expected true"},
        {R"({"const":{"a":1,"b":2}})", R"({"b":2,"a":1})", ""},
        {R"({"anyOf":[{"type":"string"},{"type":"null"}]})", "null", ""},
        {R"({"anyOf":[{"type":"string"},{"type":"null"}]})", "1", "$: expected string, got number"},
        {R"({"oneOf":[{"type":"number"},{"type":"integer"}]})", "1",
         "$: fits more than one of the alternatives"},
        {R"({"oneOf":[{"type":"number"},{"type":"integer"}]})", "1.5", ""},
        {R"({"allOf":[{"required":["a"]},{"required":["b"]}]})", R"({"a":1})", "$: \"b\" is missing"},
        {R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"number"}}})", R"("a")",
         "$: expected number, got string"},
        {R"({"$ref":"#/definitions/a~1b","definitions":{"a/b":{"type":"number"}}})", "true",
         "$: expected number, got boolean"},
        {R"({"$ref":"#/$defs/none"})", "1", ""},
        {R"({"$ref":"https://x/y"})", "1", ""},
        {R"({"properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["v"]})",
         R"({"v":1,"next":{"v":2,"next":{"next":null}}})", "$.next.next: \"v\" is missing"},
        // not known: a match
        {R"({"minimum":5,"pattern":"^a","format":"date"})", "1", ""},
        {R"({"type":7})", "1", ""},
    };
    for (const Case &row : cases)
        EXPECT_EQ(schema_mismatch(row.schema, row.value), row.wrong) << row.schema << "  " << row.value;
}

TEST(SchemaCheck, EndlessReferencesEnd) {
    EXPECT_EQ(schema_mismatch(R"({"$ref":"#"})", "1"), "");
    EXPECT_EQ(schema_mismatch(R"({"anyOf":[{"$ref":"#"},{"$ref":"#"},false]})", "1"), "");
    EXPECT_EQ(schema_mismatch(R"({"oneOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}],)"
                              R"("$defs":{"a":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}})",
                              "1"),
              "$: fits more than one of the alternatives");
}

// A hundred thousand values times ten thousand members: what takes too long counts as a match.
TEST(SchemaCheck, LongListsOfValuesEnd) {
    std::string schema = R"({"enum":[{})", value = R"({"k":1)";
    for (int i = 0; i < 100'000; i++)
        schema += ",{}";
    for (int i = 0; i < 10'000; i++)
        value += ",\"k" + std::to_string(i) + "\":1";
    schema += "]}";
    value += "}";
    EXPECT_EQ(schema_mismatch(schema, value), "");
    EXPECT_NE(schema_mismatch(R"({"enum":[{},{}]})", value), "");
}

TEST(SchemaCheck, DeepValues) {
    const std::string deep = std::string(120, '[') + std::string(120, ']');
    EXPECT_EQ(schema_mismatch(R"({"items":{"$ref":"#"},"type":"array"})", deep), "");
}

} // namespace
