// Each file of gtest/data/requests. KIRO_UPDATE_GOLDEN=1 writes what comes out into the files, for review.

#include <cstdlib>
#include <gtest/gtest.h>
#include <set>

#include "core/json/writer.h"
#include "support/client_request.h"
#include "support/corpus.h"
#include "support/upstream_rules.h"

namespace {

using namespace kiro::test;

bool updating() {
    return std::getenv("KIRO_UPDATE_GOLDEN") != nullptr;
}

std::vector<Golden> accepted() {
    std::vector<Golden> out;
    for (Golden &golden : corpus()) {
        if (golden.refused.empty())
            out.push_back(std::move(golden));
    }
    return out;
}

std::string refusal(const kiro_failure &failure) {
    std::string out = "{\"param\":";
    kiro::json::append_string(out, failure.param);
    out += ",\"message\":";
    kiro::json::append_string(out, failure.message);
    return out + "}";
}

TEST(Golden, RequestsComeOutAsWritten) {
    for (const Golden &golden : corpus()) {
        SCOPED_TRACE(golden.name());
        ClientRequest request(golden.api());
        bool taken = parse(golden, request);
        std::string body =
            taken
                ? request.write(KIRO_WIRE_V3, "arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE")
                : "";
        std::string out = body.empty() ? refusal(request.failure) : body;
        if (updating()) {
            update(golden, body.empty() ? "refused" : "upstream", out);
            continue;
        }
        EXPECT_EQ(minified(out), minified(body.empty() ? golden.refused : golden.upstream));
        EXPECT_EQ(body.empty() ? "" : broken_rule(body), "");
    }
}

TEST(Golden, TheCorpusIsLarge) {
    std::set<kiro_api> apis;
    for (const Golden &golden : corpus())
        apis.insert(golden.api());
    EXPECT_GE(corpus().size(), 150u);
    EXPECT_EQ(apis.size(), 3u);
}

TEST(Golden, MinifiedAndSpacedRequestsAreTheSame) {
    for (const Golden &golden : accepted()) {
        SCOPED_TRACE(golden.name());
        ClientRequest spaced(golden.api()), tight(golden.api());
        ASSERT_TRUE(spaced.parse(pretty(golden.request)));
        ASSERT_TRUE(tight.parse(minified(golden.request)));
        EXPECT_EQ(minified(spaced.write()), minified(tight.write()));
    }
}

TEST(Golden, TheOtherWiresKeepTheRulesToo) {
    for (const Golden &golden : accepted()) {
        SCOPED_TRACE(golden.name());
        ClientRequest request(golden.api());
        ASSERT_TRUE(parse(golden, request));
        std::string v2 = request.write(KIRO_WIRE_V2), rest = request.write(KIRO_WIRE_REST);
        EXPECT_EQ(broken_rule(v2), "");
        EXPECT_EQ(broken_rule(rest), "");
        for (const std::string &body : {v2, rest}) {
            EXPECT_EQ(body.find(R"("agentMode")"), std::string::npos);
            EXPECT_EQ(body.find(R"("sess_)"), std::string::npos);
            EXPECT_EQ(body.find(R"("profileArn")"), std::string::npos);
        }
        EXPECT_NE(v2.find(R"("origin":"KIRO_CLI")"), std::string::npos);
        EXPECT_NE(v2.find(R"("envState":{"operatingSystem":"linux")"), std::string::npos);
        EXPECT_EQ(v2.find(R"("messageId")") != std::string::npos,
                  v2.find(R"("toolUses")") != std::string::npos);
        EXPECT_NE(rest.find(R"("origin":"AI_EDITOR")"), std::string::npos);
    }
}

// Every cut of a request, in a buffer of just its size; of long ones some.
TEST(Golden, TruncationsAreRefused) {
    for (const Golden &golden : corpus()) {
        std::string body = minified(golden.request);
        for (size_t n = 0; n < body.size(); n += 1 + body.size() / 2000) {
            ClientRequest request(golden.api());
            ASSERT_FALSE(request.parse(std::string_view(body).substr(0, n)));
            ASSERT_EQ(request.failure.kind, KIRO_FAIL_INVALID_JSON);
        }
    }
}

} // namespace
