// gtest/data/request/*.json: {"about", "request": what a client sends, "upstream": what goes out (V3)}. The
// file name's first word is the dialect.

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "core/json/cursor.h"
#include "support/client_request.h"
#include "support/upstream_rules.h"

namespace {

using namespace kiro::test;
namespace fs = std::filesystem;

std::string minified(std::string_view text) {
    std::string out(text.size(), '\0');
    size_t size = 0;
    EXPECT_EQ(simdjson::minify(text.data(), text.size(), out.data(), size), simdjson::SUCCESS);
    out.resize(size);
    return out;
}

struct Golden {
    std::string text;
    std::string_view request, upstream;
};

Golden load(const fs::path &path) {
    Golden golden;
    std::ifstream file(path);
    golden.text.assign(std::istreambuf_iterator<char>(file), {});
    kiro::json::Cursor(golden.text).members([&](kiro::json::Raw key, kiro::json::Cursor &cursor) {
        auto value = cursor.value();
        if (key == "request")
            golden.request = value;
        else if (key == "upstream")
            golden.upstream = value;
    });
    return golden;
}

std::vector<fs::path> files() {
    std::vector<fs::path> out;
    for (const auto &entry : fs::directory_iterator(KIRO_TEST_DATA "/request"))
        out.push_back(entry.path());
    std::sort(out.begin(), out.end());
    return out;
}

kiro_api api_of(const fs::path &path) {
    return path.filename().string().starts_with("anthropic_") ? KIRO_API_ANTHROPIC : KIRO_API_OPENAI_CHAT;
}

TEST(Golden, RequestsComeOutAsWritten) {
    ASSERT_GE(files().size(), 30u);
    for (const auto &path : files()) {
        SCOPED_TRACE(path.filename().string());
        Golden golden = load(path);
        ClientRequest request(api_of(path));
        ASSERT_TRUE(request.parse(golden.request)) << request.failure.message;
        std::string body = request.write(KIRO_WIRE_V3, "arn:x");
        EXPECT_EQ(minified(body), minified(golden.upstream));
        EXPECT_EQ(broken_rule(body), "");
    }
}

TEST(Golden, MinifiedAndSpacedRequestsAreTheSame) {
    for (const auto &path : files()) {
        SCOPED_TRACE(path.filename().string());
        Golden golden = load(path);
        ClientRequest spaced(api_of(path)), tight(api_of(path));
        ASSERT_TRUE(spaced.parse(golden.request));
        ASSERT_TRUE(tight.parse(minified(golden.request)));
        EXPECT_EQ(minified(spaced.write()), minified(tight.write()));
    }
}

TEST(Golden, TheOtherWiresKeepTheRulesToo) {
    for (const auto &path : files()) {
        SCOPED_TRACE(path.filename().string());
        ClientRequest request(api_of(path));
        ASSERT_TRUE(request.parse(load(path).request));
        std::string v2 = request.write(KIRO_WIRE_V2), rest = request.write(KIRO_WIRE_REST);
        EXPECT_EQ(broken_rule(v2), "");
        EXPECT_EQ(broken_rule(rest), "");
        for (const std::string &body : {v2, rest}) {
            EXPECT_EQ(body.find("agentMode"), std::string::npos);
            EXPECT_EQ(body.find("sess_"), std::string::npos);
            EXPECT_EQ(body.find("profileArn"), std::string::npos);
        }
        EXPECT_NE(v2.find(R"("origin":"KIRO_CLI")"), std::string::npos);
        EXPECT_NE(v2.find(R"("envState":{"operatingSystem":"linux")"), std::string::npos);
        EXPECT_EQ(v2.find("messageId") != std::string::npos, v2.find("toolUses") != std::string::npos);
        EXPECT_NE(rest.find(R"("origin":"AI_EDITOR")"), std::string::npos);
    }
}

// Every cut of every request, in a buffer of just its size.
TEST(Golden, TruncationsAreRefused) {
    for (const auto &path : files()) {
        std::string body = minified(load(path).request);
        for (size_t n = 0; n < body.size(); n++) {
            ClientRequest request(api_of(path));
            ASSERT_FALSE(request.parse(std::string_view(body).substr(0, n)));
            ASSERT_EQ(request.failure.kind, KIRO_FAIL_INVALID_JSON);
        }
    }
}

} // namespace
