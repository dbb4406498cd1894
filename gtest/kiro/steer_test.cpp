// What is asked for in words: behind the current message, and nowhere else.

#include <gtest/gtest.h>

#include "support/client_request.h"

namespace {

using kiro::test::ClientRequest;

constexpr std::string_view tools =
    R"("tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}])";

std::string ask(std::string_view messages, std::string_view more) {
    return R"({"model":"claude-sonnet-4.5","messages":[)" + std::string(messages) + "]," + std::string(more) +
           "}";
}

std::string written(const std::string &body) {
    ClientRequest request;
    EXPECT_TRUE(request.parse(body)) << request.failure.message;
    return request.write();
}

std::string history_of(const std::string &upstream) {
    return upstream.substr(0, upstream.find("\"currentMessage\""));
}

constexpr std::string_view first = R"({"role":"user","content":"hi"})";

TEST(Steer, TheConversationIsTheSameWithAndWithout) {
    ClientRequest plain, steered;
    ASSERT_TRUE(plain.parse(ask(first, tools)));
    ASSERT_TRUE(steered.parse(ask(first, std::string(tools) + R"(,"tool_choice":"required")")));
    EXPECT_EQ(kiro::test::view(plain.info().conversation), kiro::test::view(steered.info().conversation));
    EXPECT_NE(plain.write(), steered.write());
}

TEST(Steer, EarlierTurnsAreTheSameBytes) {
    const std::string later =
        std::string(first) + R"(,{"role":"assistant","content":"yes"},{"role":"user","content":"and?"})";
    const std::string more = std::string(tools) + R"(,"tool_choice":"required","parallel_tool_calls":false,)"
                                                  R"("response_format":{"type":"json_object"})";
    EXPECT_EQ(history_of(written(ask(later, tools))), history_of(written(ask(later, more))));
}

TEST(Steer, NothingIsSaidWithoutTools) {
    const std::string plain = written(ask(first, R"("stream":true)"));
    EXPECT_EQ(written(ask(first, R"("tool_choice":"required","parallel_tool_calls":false)")), plain);
    EXPECT_EQ(written(ask(first, std::string(tools) + R"(,"tool_choice":"none")")), plain);
}

TEST(Steer, ParallelCallsAreTheDefault) {
    EXPECT_EQ(written(ask(first, std::string(tools) + R"(,"parallel_tool_calls":true)")),
              written(ask(first, tools)));
}

TEST(Steer, ARepairSaysWhatWasWrongOnce) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(ask(first, R"("response_format":{"type":"json_object"})")));
    const std::string before = request.write();
    EXPECT_EQ(request.change(KIRO_CHANGE_REPAIR_OUTPUT, "it says \"no\""), KIRO_OK);
    const std::string after = request.write();
    EXPECT_NE(after.find(R"(it says \"no\")"), std::string::npos);
    EXPECT_EQ(history_of(before), history_of(after));
    EXPECT_EQ(request.change(KIRO_CHANGE_REPAIR_OUTPUT, "again"), KIRO_ERROR);
    EXPECT_EQ(request.write(), after);
}

TEST(Steer, NothingToRepairInPlainText) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(ask(first, R"("stream":false)")));
    EXPECT_EQ(request.change(KIRO_CHANGE_REPAIR_OUTPUT), KIRO_ERROR);
}

// Took many seconds when every tool was looked for among all that are allowed, and every alias among all.
TEST(Steer, ThousandsOfTools) {
    std::string many, chosen, custom;
    for (int i = 0; i < 10'000; i++) {
        const std::string name = R"("name":"t)" + std::to_string(i) + "\"", comma = i > 0 ? "," : "";
        many += comma + R"({"type":"function",)" + name + "}";
        custom += comma + R"({"type":"custom",)" + name + "}";
        chosen += comma + R"({"type":"function",)" + name + "}";
    }
    const auto body = [](const std::string &list, const std::string &choice) {
        return R"({"model":"claude-sonnet-4.5","input":"hi","tools":[)" + list +
               R"(],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[)" + choice + "]}}";
    };
    ClientRequest request(KIRO_API_OPENAI_RESPONSES);
    EXPECT_TRUE(request.parse(body(many, chosen))) << request.failure.message;
    EXPECT_TRUE(request.parse(body(custom, R"({"type":"custom","name":"t9999"})")))
        << request.failure.message;
    EXPECT_FALSE(request.parse(body(many, R"({"type":"function","name":"t10000"})")));
    EXPECT_STREQ(request.failure.param, "tool_choice.tools[0].name");
}

} // namespace
