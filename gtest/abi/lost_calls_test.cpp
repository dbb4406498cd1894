// Which tool calls an answer lost, as the next request of the conversation tells the model.

#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"

#include <gtest/gtest.h>
#include <string>

namespace {

using std::string;
using test::kModes;
using test::Mode;

string call(const string &id, const string &name, const string &input, bool stop) {
    return test::tool_event(id, name, ",\"input\":\"" + input + "\"" + (stop ? R"(,"stop":true)" : ""));
}

string lost(test::Run &run) {
    kiro_reply_info info{};
    kiro_reply_get_info(run.get(), &info);
    const string names(info.lost_calls.data != nullptr ? info.lost_calls.data : "", info.lost_calls.len);
    EXPECT_TRUE(info.lost_call || names.empty());
    return info.lost_call ? "lost:" + names : "";
}

TEST(ReplyLostCalls, OfAWholeAnswer) {
    const struct {
        string bytes;
        const char *lost;
    } cases[] = {
        {test::text_event("x") + call("a", "write_file", R"({\"x\":1})", true), ""},
        {test::text_event("x") + call("a", "write_file", R"({\"x\":)", false), "lost:write_file"},
        {test::text_event("x") + call("a", "write_file", R"({\"x\":)", true), "lost:write_file"},
        {call("a", "write_file", R"({\"x\":)", true) + call("b", "read", "{", false), "lost:write_file,read"},
        {call("a", "run", "{", true) + call("b", "run", "{", false), "lost:run"},
        {call("a", "run", "{", false) + call("b", "read", "{}", true), "lost:run"},
        {call("a", "run", "{}", true) + call("a", "run", "{", true), ""},
        {test::text_event("x") + call("a", "no name", "{", false), "lost:"},
        {test::text_event("x") + call("a", "", "{", true), "lost:"},
    };
    for (const Mode &mode : kModes) {
        for (const auto &row : cases) {
            SCOPED_TRACE(string(mode.name) + " " + row.lost);
            test::Run run(mode);
            run.feed(row.bytes);
            EXPECT_EQ(lost(run), "") << "not before the end";
            run.feed(test::tail());
            run.eof();
            EXPECT_EQ(lost(run), row.lost);
        }
    }
}

TEST(ReplyLostCalls, OfAnAnswerThatBroke) {
    const string bytes = test::text_event("x") + call("a", "write_file", "{", false);
    kiro_failure broken;
    kiro_failure_set(&broken, KIRO_FAIL_UPSTREAM_CUT, "cut");
    for (const Mode &mode : kModes) {
        SCOPED_TRACE(mode.name);
        test::Run cut(mode), aborted(mode), exception(mode);
        cut.feed(bytes);
        cut.eof();
        EXPECT_EQ(lost(cut), "lost:write_file");
        aborted.feed(bytes);
        kiro_reply_abort(aborted.get(), &broken);
        EXPECT_EQ(lost(aborted), "lost:write_file");
        exception.feed(bytes + test::exception("internalServerException", R"({"message":"no"})"));
        exception.eof();
        EXPECT_EQ(lost(exception), "lost:write_file");
    }
}

// What the client's own limits cut is not the service's doing.
TEST(ReplyLostCalls, NotOfAnAnswerThatWasEndedHere) {
    kiro::test::ClientRequest request(KIRO_API_OPENAI_CHAT);
    ASSERT_TRUE(request.parse(
        R"({"model":"m","stream":true,"stop":"END","messages":[{"role":"user","content":"x"}]})"));
    for (const bool broken : {false, true}) {
        const test::Reply reply = test::make_reply(test::reply_options(kModes[0], request.request.get()));
        const string bytes = call("a", "write_file", "{", broken) + test::text_event("one END two");
        ASSERT_EQ(kiro_reply_feed(reply.get(), bytes.data(), bytes.size()), KIRO_OK);
        ASSERT_TRUE(kiro_reply_done(reply.get()));
        kiro_reply_info info{};
        kiro_reply_get_info(reply.get(), &info);
        EXPECT_EQ(info.lost_call, broken);
    }
}

} // namespace
