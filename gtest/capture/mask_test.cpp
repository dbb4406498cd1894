#include "core/capture/mask.h"

#include <ctime>

#include <gtest/gtest.h>

#include "support/capture_property.h"

namespace {

using kiro::capture::mask;
using kiro::capture::Needles;
using kiro::capture::SecretList;

std::string masked(std::string text, std::initializer_list<std::string_view> list = {}) {
    SecretList secrets;
    for (const std::string_view secret : list) {
        secrets.add(secret);
    }
    mask(text, Needles(secrets));
    return text;
}

TEST(Mask, LeavesWhatIsNoSecret) {
    const std::string text =
        R"({"messages":[{"role":"user","content":"a token is a word; sk-8, Basic rules"}]})";
    EXPECT_EQ(masked(text), text);
    EXPECT_EQ(masked(text, {"another-SECRET"}), text);
    EXPECT_EQ(masked(""), "");
}

TEST(Mask, FindsASecretInEachForm) {
    constexpr std::string_view secret = "k/SECRET+1\"2";
    EXPECT_EQ(masked("<k/SECRET+1\"2>", {secret}), "<************>");
    EXPECT_EQ(masked(R"({"a":"k\/SECRET+1\"2"})", {secret}), R"({"a":"**************"})");
    EXPECT_EQ(masked(R"({"a":"k\/SECR\u0045T+1\"2"})", {secret}), R"({"a":"*******************"})");
    EXPECT_EQ(masked(R"({"a":"{\"b\":\"k\\/SECRET+1\\\"2\"}"})", {secret}),
              R"({"a":"{\"b\":\"*****************\"}"})");
    EXPECT_EQ(masked("/x?key=k%2FSECRET%2b1%222&y=1", {secret}), "/x?key=******************&y=1");
    for (const std::string_view front : {"", "u", "us", "use", "user:"}) {
        const std::string text = test::base64_of(std::string(front) + std::string(secret) + " and more");
        const std::string out = masked("<" + text + ">", {secret});
        EXPECT_NE(out.find("***********"), out.npos) << text << " " << out;
    }
}

TEST(Mask, FindsASecretAtAnyDepth) {
    std::string text = "k\"SECRET\\1";
    for (int depth = 0; depth < 6; ++depth) {
        EXPECT_EQ(masked("<" + text + ">", {"k\"SECRET\\1"}).find("SECRET"), std::string::npos) << text;
        text = test::escape_of(text, 0);
    }
}

TEST(Mask, FindsASecretOverDeltas) {
    EXPECT_EQ(
        masked("data: {\"delta\":{\"content\":\"my SEC\"}}\n\ndata: {\"x\":\"y\",\"delta\":{\"content\":"
               "\"RET-1 is\"}}\n\n",
               {"SECRET-1"}),
        "data: {\"delta\":{\"content\":\"my ***\"}}\n\ndata: {\"x\":\"y\",\"delta\":{\"content\":"
        "\"***** is\"}}\n\n");
}

TEST(Mask, ASecretThatIsCutIsOne) {
    EXPECT_EQ(masked("so SECRET-0", {"SECRET-0123"}), "so ********");
    EXPECT_EQ(masked("so SECR", {"SECRET-0123"}), "so SECR");
    EXPECT_EQ(masked(R"({"content":"so SECR"}{"content":"ET-0"})", {"SECRET-0123"}),
              R"({"content":"so ****"}{"content":"****"})");
}

TEST(Mask, WhatLooksLikeASecret) {
    EXPECT_EQ(masked("key ksk_abcDEF012, done"), "key ksk_*********, done");
    EXPECT_EQ(masked("Authorization: Bearer abc.def-123456\r\nHost: x"),
              "Authorization: *********************\r\nHost: x");
    EXPECT_EQ(masked(R"({"refreshToken":"abcdefgh","expiresAt":"2026"})"),
              R"({"refreshToken":"********","expiresAt":"2026"})");
    EXPECT_EQ(masked(R"({"text":"{\"client_secret\": \"abcdefgh\"}"})"),
              R"({"text":"{\"client_secret\": \"********\"}"})");
    EXPECT_EQ(masked("GET /v1/models?api_key=abc12345&x=1 HTTP/1.1"),
              "GET /v1/models?api_key=********&x=1 HTTP/1.1");
    EXPECT_EQ(masked("arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEF, arn:aws:s3:::bucket"),
              "arn:aws:codewhisperer:us-east-1:************:profile/******, arn:aws:s3:::bucket");
    EXPECT_EQ(masked("password: string;"), "password: string;");
}

TEST(Mask, MessagesKeepGoodChecksumsAndBadOnes) {
    std::string stream = test::text_event("a SECRET-1 b") + test::text_event("clean");
    std::string out = masked(stream, {"SECRET-1"});
    EXPECT_EQ(test::text_of_stream(out), "a ******** bclean");
    stream[stream.size() - 1] = static_cast<char>(stream[stream.size() - 1] ^ 1);
    stream = stream.substr(stream.size() - test::text_event("clean").size()) + stream;
    EXPECT_TRUE(test::text_of_stream(masked(stream, {"SECRET-1"})).starts_with("?"));
}

// What a client may send so that each place is read to the end once more. A quadratic step would take
// minutes.
TEST(Mask, HostileTextsTakeLinearTime) {
    const auto repeated = [](std::string_view unit) {
        std::string text;
        while (text.size() < 500'000) {
            text += unit;
        }
        return text;
    };
    const std::string key(8000, 'q');
    const std::clock_t start = std::clock();
    for (const std::string_view prefix : {"eyJ", "AKIA", "aoa", "ksk_"}) {
        masked("a" + repeated(prefix));
    }
    for (const std::string_view name :
         {"cookie:", "passwd=", "a_a_a_a_a_a_a_a_a_a_a_a_a_a_a=", "password='", "password=\\\""}) {
        masked(R"({"a":")" + repeated(name) + R"("})");
    }
    masked("\"" + repeated("\\\"") + "\x01");
    masked(R"({"a":")" + repeated("q") + R"("})", {key});
    EXPECT_LT(std::clock() - start, 30 * CLOCKS_PER_SEC);
}

// The headers of a request have room for thousands.
TEST(Mask, ManySecretsTakeNoLonger) {
    const std::clock_t start = std::clock();
    SecretList secrets;
    for (int i = 0; i < 20000; ++i) {
        secrets.add("qqqqqqq-SECRET-" + std::to_string(i));
    }
    const Needles needles(secrets);
    for (const std::string_view unit : {"q", "qqqqqqq-SECRET-1", "qqqqqqq-SECRE"}) {
        std::string text;
        while (text.size() < 500'000) {
            text += unit;
        }
        mask(text, needles);
        EXPECT_EQ(text.find("SECRET-"), text.npos);
    }
    EXPECT_LT(std::clock() - start, 30 * CLOCKS_PER_SEC);
}

TEST(Mask, TheLongestOfThoseThatBeginAlike) {
    EXPECT_EQ(masked("<SECRETS-12-34-5>", {"SECRET", "SECRETS", "SECRETS-12", "SECRETS-13", "SECRETS-12-35"}),
              "<**********-34-5>");
    EXPECT_EQ(masked("<SECRETS><SECREU><SECRET>", {"SECRETS", "SECRET", "SECRES"}),
              "<*******><SECREU><******>");
}

// As nginx does with long lines of its log.
TEST(Mask, ASecretThatALineCutsIsOne) {
    const std::string front = "user-agent: " + std::string(2000, 'a') + " ";
    EXPECT_EQ(masked(front + "SECRET-0\nnext\n", {"SECRET-0123"}), front + "********\nnext\n");
    EXPECT_EQ(masked("a: SECRET-0\nnext\n", {"SECRET-0123"}), "a: SECRET-0\nnext\n");
}

TEST(Mask, NamesInWhatIsMaskedAlready) {
    EXPECT_EQ(masked("cookie: a=1; password=word, cookie: b\nx"), "cookie: " + std::string(29, '*') + "\nx");
    EXPECT_EQ(masked("password=secret=word apikey=passwd=hunter2 x"),
              "password=secret=word apikey=" + std::string(14, '*') + " x");
    EXPECT_EQ(masked("apikey=authorization: Some thing\nx"), "apikey=authorization: **********\nx");
    EXPECT_EQ(masked("cookie:password=\"hunter2\" x"), "cookie:*********\"*******\" x");
}

TEST(Mask, NamesThatEndAsSecretsDo) {
    EXPECT_EQ(masked("AWS_SECRET_ACCESS_KEY=wJal/rXUtnFEMI1 x"), "AWS_SECRET_ACCESS_KEY=*************** x");
    EXPECT_EQ(masked(R"({"MY-API-KEY":"plain-words","db_password":"hunter2"})"),
              R"({"MY-API-KEY":"***********","db_password":"*******"})");
    for (const std::string text : {"monkey=1234567", "a_b_c=1234567", "secret_agent=1234567", "_=1234567"}) {
        EXPECT_EQ(masked(text), text);
    }
}

TEST(Mask, SecretsThatOverlap) {
    EXPECT_EQ(masked("<abcabcabcabcd>", {"abcabc", "cabcd-", "bcabcd"}), "<*************>");
    EXPECT_EQ(masked("<" + test::base64_of("xSECRET-1SECRET-1") + ">", {"SECRET-1", "RET-1SEC"})
                  .find_first_of("UJT"),
              std::string::npos);
}

TEST(Mask, ALoginsSecrets) {
    SecretList secrets;
    kiro::capture::add_login_secrets(
        secrets, R"({"accessToken":"access-1", "expiresAt" : "later-0", "clientSecret": "client-2"})");
    kiro::capture::add_arn_secrets(secrets, "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEF");
    ASSERT_EQ(secrets.size(), 4U);
    EXPECT_EQ(secrets[0], "access-1");
    EXPECT_EQ(secrets[1], "client-2");
    EXPECT_EQ(secrets[2], "123456789012");
    EXPECT_EQ(secrets[3], "ABCDEF");
}

TEST(Mask, SpreadOverAnyMessages) {
    for (uint64_t seed = 0; seed < 500; ++seed) {
        const std::string bytes = test::seeded_bytes(seed, 600);
        test::Choices choices(bytes);
        ASSERT_EQ(test::judge_masked(test::spread_secrets(choices)), "") << "seed " << seed;
    }
}

} // namespace
