#include "core/kiro/record_update.h"

#include <gtest/gtest.h>
#include <string>

#include "support/credentials.h"

namespace {

using namespace kiro::kiro;
using kiro::test::access_token;
using kiro::test::refresh_token;

Credential login(char tail) {
    Credential cred;
    cred.access_token = Secret(access_token(tail));
    cred.refresh_token = Secret(refresh_token(tail));
    cred.expires_at = 1795608123456; // 2026-11-25T12:02:03.456Z
    cred.fingerprint = fingerprint_of(refresh_token('0'));
    return cred;
}

std::string updated(const std::string &text, const Credential &used = login('1'),
                    const Credential &fresh = login('2')) {
    kiro_failure f{};
    const auto out = update_record(text, used, fresh, &f);
    return out ? std::string(out->view()) : "failed: " + std::string(f.message);
}

// The text with the tokens and times of a record: old or new ones.
std::string fill(std::string text, char tail, const std::string &expiry) {
    const std::pair<std::string, std::string> marks[] = {
        {"<A>", access_token(tail)}, {"<R>", refresh_token(tail)}, {"<E>", expiry}};
    for (const auto &[mark, value] : marks) {
        for (size_t i = text.find(mark); i != text.npos; i = text.find(mark)) {
            text.replace(i, mark.size(), value);
        }
    }
    return text;
}

TEST(RecordUpdate, ReplacesTheseMembersAndNothingElse) {
    const struct {
        const char *text, *before, *after;
    } cases[] = {
        {R"({"accessToken":"<A>","refreshToken":"<R>","expiresAt":"<E>","authMethod":"social"})",
         "2026-10-01T12:00:00.000Z", "2026-11-25T12:02:03.456Z"},
        {R"({"access_token":"<A>","expires_at":"<E>","refresh_token":"<R>","region":"us-east-1"})",
         "2026-10-01T12:00:00.123456789Z", "2026-11-25T12:02:03.456000000Z"},
        {"\xef\xbb\xbf\r\n { \"refreshToken\" :\t\"<R>\" ,\n  \"x\": [1, {\"accessToken\": \"mine\"}],\n"
         "  \"expiresAt\": <E>, \"accessToken\":\"<A>\" }\n\n",
         "1790000000", "1795608123"},
        {R"({"expiresAt":<E>,"\u0061ccessToken":"<A>","refresh\u0054oken":"<R>","n":1.0e+2,"u":"\u00e4/\/"})",
         "1790000000000", "1795608123456"},
        {R"({"refreshToken":"<R>"})", "", ""},
        {R"({"accessToken":"<A>","refreshToken":"<R>","access_token":"<A>","refresh_token":"<R>"})", "", ""},
    };
    for (const auto &c : cases) {
        EXPECT_EQ(updated(fill(c.text, '1', c.before)), fill(c.text, '2', c.after));
    }
}

TEST(RecordUpdate, FillsNullAndEmptyMembers) {
    EXPECT_EQ(updated(fill(R"({"accessToken":null,"refreshToken":"<R>","expiresAt":null})", '1', "")),
              fill(R"({"accessToken":"<A>","refreshToken":"<R>","expiresAt":"2026-11-25T12:02:03.456Z"})",
                   '2', ""));
    EXPECT_EQ(updated(fill(R"({"expiresAt":"","refreshToken":"<R>"})", '1', "")),
              fill(R"({"expiresAt":"2026-11-25T12:02:03.456Z","refreshToken":"<R>"})", '2', ""));
}

TEST(RecordUpdate, EscapesAToken) {
    Credential fresh = login('2');
    fresh.refresh_token = Secret(R"(a"b\c)");
    EXPECT_EQ(updated(R"({"refreshToken":"x"})", login('1'), fresh), R"({"refreshToken":"a\"b\\c"})");
}

TEST(RecordUpdate, TheProfileArnOnlyWhereThereWasOneAndTheRefreshBroughtAnother) {
    const std::string text = R"({"refreshToken":"<R>","profileArn":"old"})";
    const std::string before = fill(text, '1', "");
    Credential used = login('1');
    Credential fresh = login('2');
    used.profile_arn = fresh.profile_arn = "arn:of:another:source";
    EXPECT_EQ(updated(before, used, fresh), fill(text, '2', ""));
    fresh.profile_arn = "arn:new";
    EXPECT_EQ(updated(before, used, fresh),
              fill(R"({"refreshToken":"<R>","profileArn":"arn:new"})", '2', ""));
    for (const char *none : {R"({"refreshToken":"<R>","profileArn":null})",
                             R"({"refreshToken":"<R>","profileArn":""})", R"({"refreshToken":"<R>"})"}) {
        EXPECT_EQ(updated(fill(none, '1', ""), used, fresh), fill(none, '2', ""));
    }
}

TEST(RecordUpdate, RefusesWhatIsNoRecord) {
    for (const char *text :
         {"", " ", "null", "[]", "{", R"({"refreshToken":"x")", R"({"refreshToken":"x"} x)",
          "\"refreshToken\"", "{\"refreshToken\":\"\xff\"}"}) {
        EXPECT_EQ(updated(text), "failed: it is not a valid JSON object") << text;
    }
    EXPECT_EQ(updated(R"({"a":{"refreshToken":"x"}})"), "failed: there is no refresh token in it");
}

TEST(RecordUpdate, ABareTokenKeepsWhatIsAroundIt) {
    for (const char *around : {"<R>", "<R>\n", " \t<R>\r\n\n", "\xef\xbb\xbf<R>\n"}) {
        EXPECT_EQ(update_refresh_token(fill(around, '1', ""), login('2')).view(), fill(around, '2', ""));
    }
}

TEST(RecordUpdate, KnowsTheTokensThatWereSpent) {
    Credential fresh = login('2');
    fresh.lineage = {fingerprint_of(refresh_token('a')), fingerprint_of(refresh_token('1'))};
    for (char spent : {'0', 'a', '1'}) {
        EXPECT_TRUE(spent_for(refresh_token(spent), login('1'), fresh)) << spent;
    }
    EXPECT_TRUE(spent_for(refresh_token('u'), login('u'), fresh));
    EXPECT_FALSE(spent_for(refresh_token('x'), login('1'), fresh));
    EXPECT_FALSE(spent_for("", Credential(), Credential()));
}

} // namespace
