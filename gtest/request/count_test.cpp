// The tokens of a request: every part counts, by the numbers that tiktoken gives for its texts.
#include "core/kiro/count.h"

#include <gtest/gtest.h>

#include "core/chat/image_size.h"
#include "core/tokens/counter.h"
#include "support/client_request.h"

namespace {

using namespace kiro;
using test::ClientRequest;

constexpr uint64_t message = 4, end = 3; // what surrounds texts

uint64_t tokens_of(const std::string &body, kiro_api api = KIRO_API_ANTHROPIC) {
    ClientRequest request(api);
    request.options.count_only = 1;
    EXPECT_TRUE(request.parse(body)) << request.failure.message;
    EXPECT_EQ(kiro_request_count(request.request.get()), KIRO_OK);
    return kiro_request_tokens(request.request.get());
}

std::string asking(const std::string &content, const std::string &more = {}) {
    return R"({"model":"gpt-5.5",)" + more + R"("messages":[{"role":"user","content":)" + content + "}]}";
}

uint64_t text(std::string_view utf8) {
    return tokens::Counter().count(utf8);
}

TEST(Count, AText) {
    EXPECT_EQ(tokens_of(asking(R"("Hello, world! It's 2024.")")), 10 + message + end);
    EXPECT_EQ(tokens_of(asking(R"("a\n\n\n  x\u0041")")), text("a\n\n\n  xA") + message + end);
}

TEST(Count, ClaudeHasAnotherVocabulary) {
    std::string body = asking(R"("Hello, world! It's 2024.")");
    body.replace(body.find("gpt-5.5"), 7, "claude-sonnet-4.5");
    EXPECT_EQ(tokens_of(body), (17 * 115 + 99) / 100);
}

TEST(Count, SameInEveryDialect) {
    std::string body = asking(R"("Hello, world! It's 2024.")");
    EXPECT_EQ(tokens_of(body, KIRO_API_OPENAI_CHAT), tokens_of(body));
}

TEST(Count, EveryPart) {
    uint64_t last = tokens_of(asking(R"("hi")"));
    auto grows = [&last](const std::string &body, const char *what) {
        uint64_t now = tokens_of(body);
        EXPECT_GT(now, last) << what;
        last = now;
    };
    const std::string tool = R"("tools":[{"name":"f","description":"Does it.","input_schema":)";
    grows(asking(R"("hi")", R"("system":"Be brief.",)"), "system");
    grows(asking(R"("hi")", R"("system":"Be brief.",)" + tool + R"({"type":"object"}}],)"), "tool");
    grows(asking(R"("hi")", R"("system":"Be brief.",)" + tool +
                                R"({"type":"object","properties":{"path":{"type":"string"}}}}],)"),
          "schema");
    const std::string call =
        R"([{"type":"text","text":"hi"}]},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f",)"
        R"("input":{"path":"/tmp/x"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",)"
        R"("content":"RESULT"}])";
    auto with = [&](std::string result) {
        std::string copy = call;
        copy.replace(copy.find("RESULT"), 6, result);
        return asking(copy, tool + R"({"type":"object"}}],)");
    };
    grows(with("a"), "call and result");
    grows(with("a long result of a call"), "result");
}

TEST(Count, WithoutMessages) {
    EXPECT_GT(tokens_of(R"({"model":"gpt-5.5","tools":[{"name":"f","input_schema":{"type":"object"}}]})"),
              10u);
    EXPECT_GT(tokens_of(R"({"model":"gpt-5.5","messages":[],"system":"Be brief."})"), 5u);
    ClientRequest request(KIRO_API_ANTHROPIC);
    EXPECT_FALSE(request.parse(R"({"model":"gpt-5.5","max_tokens":5,"messages":[]})"));
    EXPECT_STREQ(request.failure.param, "messages");
}

TEST(Count, OfTheWholeRequestOnlyTexts) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(asking(R"("0123456789")", R"("system":"12345",)")));
    EXPECT_GE(kiro_request_text(request.request.get()), 15u);
    EXPECT_LT(kiro_request_text(request.request.get()), 50u);
}

TEST(Count, EstimateUntilCounted) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(asking(R"("------------------------------------------------")")));
    uint64_t estimate = kiro_request_tokens(request.request.get());
    kiro_request *other = kiro_request_ref(request.request.get());
    request.request.reset();
    EXPECT_EQ(kiro_request_tokens(other), estimate);
    EXPECT_EQ(kiro_request_count(other), KIRO_OK);
    EXPECT_LT(kiro_request_tokens(other), estimate);
    kiro_request_free(other);
}

TEST(ImageSize, OfEveryFormat) {
    using chat::ImageFormat;
    const struct {
        ImageFormat format;
        const char *base64; // the first bytes of a file
        uint32_t width, height;
    } files[] = {
        {ImageFormat::png, "iVBORw0KGgoAAAANSUhEUgAAAyAAAAJYCAYAAACadoJw", 800, 600},
        {ImageFormat::gif, "R0lGODlhQAHwAIAA", 320, 240},
        // SOI, APP0 of 16 bytes, SOF0
        {ImageFormat::jpeg, "/9j/4AAQSkZJRgABAQAAAQABAAD/wAARCAJYAyADASIA", 800, 600},
        {ImageFormat::webp, "UklGRgAAAABXRUJQVlA4WAoAAAAAAAAAHwMAVwIA", 800, 600},
        {ImageFormat::webp, "UklGRgAAAABXRUJQVlA4TAAAAAAvH8OVAAAA", 800, 600},
        {ImageFormat::webp, "UklGRgAAAABXRUJQVlA4IAAAAAAAAACdASogA1gC", 800, 600},
    };
    for (const auto &file : files) {
        std::string_view base64 = file.base64;
        auto size = chat::image_size({file.format, base64});
        ASSERT_TRUE(size) << base64;
        EXPECT_EQ(size->width, file.width) << base64;
        EXPECT_EQ(size->height, file.height) << base64;
        for (size_t cut = 0; cut < base64.size(); cut++) // of any length, any size or none
            chat::image_size({file.format, base64.substr(0, cut)});
        EXPECT_FALSE(chat::image_size({file.format, base64.substr(0, 8)}));
    }
    EXPECT_FALSE(chat::image_size({ImageFormat::jpeg, "/9j/////////////////////////"}));
}

TEST(Count, Images) {
    auto image = [](const std::string &base64) {
        return asking(R"([{"type":"image","source":{"type":"base64","media_type":"image/png","data":")" +
                      base64 + R"("}},{"type":"text","text":"hi"}])");
    };
    uint64_t plain = tokens_of(asking(R"("hi")"));
    EXPECT_EQ(tokens_of(image("iVBORw0KGgoAAAANSUhEUgAAAyAAAAJYCAYAAACadoJw")), plain + 800 * 600 / 750);
    EXPECT_EQ(tokens_of(image("iVBORw0KGgoAAAANSUhEUgAAH0AAAB9ACAYAAACadoJw")), plain + 1600);
    EXPECT_EQ(tokens_of(image("iVBORw0KGgoAAAANSUhEUgAA")), plain + 1000);
}

} // namespace
