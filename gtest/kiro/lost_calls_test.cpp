#include "core/kiro/lost_calls.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "core/json/validate.h"
#include "kiro/reply.h"

namespace {

using namespace kiro::kiro;

std::string joined(const std::vector<std::string_view> &names) {
    LostCalls lost;
    add_names(lost, names);
    return lost.names;
}

TEST(LostCalls, NamesAreJoinedOnce) {
    EXPECT_EQ(joined({}), "");
    EXPECT_EQ(joined({"write_file"}), "write_file");
    EXPECT_EQ(joined({"write_file", "read-2", "write_file"}), "write_file,read-2");
    LostCalls lost;
    add_names(lost, std::vector<std::string_view>{"one", "two"});
    add_names(lost, std::vector<std::string_view>{"two", "three"});
    EXPECT_EQ(lost.names, "one,two,three");
}

TEST(LostCalls, OnlyNamesOfToolsAreTaken) {
    EXPECT_EQ(joined({"", "a b", "a,b", "x\\u0041", "\"", "caf\xc3\xa9", std::string_view("a\0b", 3), "ok"}),
              "ok");
    EXPECT_EQ(joined({std::string(64, 'a'), std::string(65, 'b')}), std::string(64, 'a'));
}

TEST(LostCalls, NamesAreBounded) {
    std::vector<std::string> names;
    for (int i = 0; i < 100; i++)
        names.push_back("tool_number_" + std::to_string(i));
    const std::string all = joined({names.begin(), names.end()});
    EXPECT_LE(all.size(), static_cast<size_t>(KIRO_LOST_CALLS));
    EXPECT_GT(all.size(), static_cast<size_t>(KIRO_LOST_CALLS) - 20);
    EXPECT_TRUE(all.starts_with("tool_number_0,tool_number_1,"));
}

TEST(LostCalls, TheNoticeNamesThem) {
    EXPECT_NE(lost_calls_notice("").find("before a tool call was complete. This call was not run"),
              std::string::npos);
    EXPECT_NE(lost_calls_notice("a").find(R"(before the call of the tool \"a\" was complete. This call)"),
              std::string::npos);
    EXPECT_NE(
        lost_calls_notice("a,b").find(R"(the calls of the tools \"a\", \"b\" were complete. These calls)"),
        std::string::npos);
}

// Whatever stands in the zone: nothing but names gets into the request.
TEST(LostCalls, TheNoticeTakesNothingElse) {
    EXPECT_EQ(lost_calls_notice("\"}]"), lost_calls_notice(""));
    EXPECT_EQ(lost_calls_notice(",,\n,a,\\,"), lost_calls_notice("a"));
    for (const char *names : {"", "a", "a,b,c", "x\",\"y", "a,\x01"}) {
        const std::string json = "\"" + lost_calls_notice(names) + "\"";
        EXPECT_TRUE(kiro::json::validate(json)) << json;
        EXPECT_LT(json.size(), 700u);
    }
}

} // namespace
