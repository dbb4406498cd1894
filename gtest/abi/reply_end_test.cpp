// What the last words of an answer carry beside the stop reason: times, details of a refusal, ids.

#include "support/frames.h"
#include "support/reply_run.h"

namespace {

using test::event;
using test::text_event;

constexpr test::Mode kAnthropic[] = {test::kModes[2], test::kModes[3]};
constexpr test::Mode kResponses[] = {test::kModes[4], test::kModes[5]};

bool has(const std::string &text, std::string_view part) {
    return text.find(part) != text.npos;
}

std::string ended(const test::Mode &mode, const std::string &bytes, int64_t now) {
    test::Run run(mode);
    run.feed(text_event("x"));
    kiro_reply_time(run.get(), now);
    run.feed(bytes);
    return run.eof().output;
}

TEST(ReplyEnd, ResponsesTellWhenTheyWereComplete) {
    for (const test::Mode &mode : kResponses) {
        const std::string whole = ended(mode, test::tail(), 1790000042);
        EXPECT_TRUE(has(whole, R"("created_at":1790000000,)")) << whole;
        EXPECT_TRUE(has(whole, R"("status":"completed","completed_at":1790000042,)")) << whole;
        const std::string cut = ended(mode, test::tail("MAX_TOKENS"), 1790000042);
        EXPECT_TRUE(has(cut, R"("status":"incomplete","completed_at":null,)")) << cut;
    }
    EXPECT_TRUE(has(ended(kResponses[0], test::exception("throttlingError", "{}"), 1790000042),
                    R"("status":"failed","completed_at":null,"error":{)"));
}

TEST(ReplyEnd, ARefusalTellsItsCategory) {
    struct Row {
        const char *details;
        const char *shown;
    };
    const Row rows[] = {
        {R"({"refusal":{"category":"cyber","explanation":"do not repeat me"}})", "\"cyber\""},
        {R"({"refusal":{"explanation":"do not repeat me","category":"BIO"}})", "\"bio\""},
        {R"({"refusal":{"category":"arn:aws:do not repeat me"}})", "null"},
        {R"({"refusal":{"category":7}})", "null"},
        {R"({"refusal":{"category":""}})", "null"},
        {R"({"refusal":null})", "null"},
        {"null", "null"},
    };
    for (const Row &row : rows) {
        const std::string bytes = event("metadataEvent", std::string(R"({"stopReason":"CONTENT_FILTERED",)") +
                                                             R"("stopDetails":)" + row.details + "}");
        for (const test::Mode &mode : test::kModes) {
            const std::string output = ended(mode, bytes, 0);
            EXPECT_FALSE(has(output, "do not repeat me")) << output;
            if (mode.api == KIRO_API_ANTHROPIC) {
                EXPECT_TRUE(has(output, R"("stop_reason":"refusal","stop_sequence":null,"stop_details":)"
                                        R"({"type":"refusal","category":)" +
                                            std::string(row.shown) + R"(,"explanation":null})"))
                    << output;
            }
        }
    }
    for (const test::Mode &mode : kAnthropic) {
        EXPECT_TRUE(has(ended(mode, test::tail(), 0),
                        R"("stop_sequence":null,"stop_details":null,"container":null)"));
    }
}

TEST(ReplyEnd, AnErrorInTheStreamNamesTheRequest) {
    kiro_reply_options opts = test::reply_options(kAnthropic[0]);
    opts.request_id = {"req_42", 6};
    const test::Reply reply = test::make_reply(opts);
    kiro_reply_commit(reply.get());
    kiro_failure failure{};
    kiro_failure_set(&failure, KIRO_FAIL_OVERLOADED, "later");
    kiro_reply_abort(reply.get(), &failure);
    kiro_str piece;
    ASSERT_EQ(kiro_reply_next(reply.get(), &piece), KIRO_OK);
    EXPECT_EQ(std::string_view(piece.data, piece.len),
              "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
              "\"message\":\"later\"},\"request_id\":\"req_42\"}\n\n");
}

} // namespace
