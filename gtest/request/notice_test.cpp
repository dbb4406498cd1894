// The notice about lost calls in the next request: kiro_request_notice().

#include <gtest/gtest.h>
#include <string>

#include "core/json/cursor.h"
#include "support/client_request.h"
#include "support/corpus.h"
#include "support/upstream_rules.h"

namespace {

using namespace kiro::test;

constexpr std::string_view mark = "[Note of the API gateway: ";

kiro_status notice(ClientRequest &request, std::string_view names) {
    return kiro_request_notice(request.request.get(), {names.data(), names.size()});
}

size_t times(std::string_view text, std::string_view what) {
    size_t n = 0;
    for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1))
        n++;
    return n;
}

// body without the notice in the content of its current message, and the blank line around it.
std::string without(std::string body) {
    const size_t at = body.find(mark, body.find(R"("currentMessage")"));
    if (at == body.npos)
        return "no notice in the current message";
    size_t from = at, to = body.find(']', at) + 1;
    constexpr std::string_view blank = "\\n\\n";
    if (std::string_view(body).substr(0, at).ends_with(blank))
        from -= blank.size();
    else if (std::string_view(body).substr(to).starts_with(blank))
        to += blank.size();
    return body.erase(from, to - from);
}

TEST(Notice, ChangesNothingButTheCurrentMessage) {
    constexpr kiro_wire wires[] = {KIRO_WIRE_V3, KIRO_WIRE_V2, KIRO_WIRE_REST};
    for (const Golden &golden : corpus()) {
        if (!golden.refused.empty())
            continue;
        SCOPED_TRACE(golden.name());
        ClientRequest plain(golden.api()), told(golden.api());
        ASSERT_TRUE(plain.parse(golden.request) && told.parse(golden.request));
        if (plain.info().call == KIRO_CALL_SEARCH) {
            EXPECT_EQ(notice(told, "run"), KIRO_ERROR);
            EXPECT_EQ(told.write(), plain.write());
            continue;
        }
        ASSERT_EQ(notice(told, "write_file,run"), KIRO_OK);
        for (const kiro_wire wire : wires) {
            const std::string body = told.write(wire);
            EXPECT_EQ(broken_rule(body), "");
            EXPECT_EQ(times(body, mark), 1u);
            EXPECT_EQ(without(body), plain.write(wire));
        }
        EXPECT_EQ(view(told.info().conversation), view(plain.info().conversation));
        EXPECT_EQ(kiro_request_tokens(told.request.get()), kiro_request_tokens(plain.request.get()));
        EXPECT_EQ(kiro_request_text(told.request.get()), kiro_request_text(plain.request.get()));
        ASSERT_EQ(kiro_request_count(told.request.get()), KIRO_OK);
        ASSERT_EQ(kiro_request_count(plain.request.get()), KIRO_OK);
        EXPECT_EQ(kiro_request_tokens(told.request.get()), kiro_request_tokens(plain.request.get()));
    }
}

TEST(Notice, StandsThereOnceAndTellsOfAll) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":"x"}]})"));
    EXPECT_FALSE(request.info().notice);
    ASSERT_EQ(notice(request, "one"), KIRO_OK);
    EXPECT_NE(request.write().find(R"(the tool \"one\" was)"), std::string::npos);
    ASSERT_EQ(notice(request, "two,one"), KIRO_OK);
    for (int attempt = 0; attempt < 3; attempt++) {
        const std::string body = request.write();
        EXPECT_EQ(times(body, mark), 1u);
        EXPECT_NE(body.find(R"(the tools \"one\", \"two\" were)"), body.npos);
        EXPECT_TRUE(request.info().notice);
        EXPECT_EQ(view(request.info().lost_calls), "one,two");
    }
}

// What is asked for in words comes last.
TEST(Notice, StandsBetweenTextAndSteering) {
    ClientRequest request;
    ASSERT_TRUE(request.parse(
        R"({"model":"m","response_format":{"type":"json_object"},"messages":[{"role":"user","content":"The text"}]})"));
    ASSERT_EQ(notice(request, "run"), KIRO_OK);
    ASSERT_EQ(request.change(KIRO_CHANGE_REPAIR_OUTPUT, "why not"), KIRO_OK);
    const std::string body = request.write();
    const size_t text = body.find("The text"), told = body.find(mark),
                 form = body.find("Answer with one JSON"),
                 repair = body.find("Your answer to this was refused");
    EXPECT_LT(text, told);
    EXPECT_LT(told, form);
    EXPECT_LT(form, repair);
    EXPECT_NE(repair, body.npos);
}

TEST(Notice, LeavesWhenThereIsNoRoom) {
    for (const size_t size : {598000, 599900, 600000}) {
        ClientRequest request;
        ASSERT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":")" +
                                  std::string(size, 'x') + R"("}]})"));
        ASSERT_EQ(notice(request, "run"), KIRO_OK);
        const std::string body = request.write();
        EXPECT_EQ(broken_rule(body), "");
        EXPECT_EQ(times(body, mark), size == 598000 ? 1u : 0u);
        EXPECT_EQ(request.info().notice, size == 598000);
        EXPECT_EQ(request.write(), body);
    }
    ClientRequest request; // too large either way
    ASSERT_TRUE(request.parse(R"({"model":"m","messages":[{"role":"user","content":")" +
                              std::string(600001, 'x') + R"("}]})"));
    ASSERT_EQ(notice(request, "run"), KIRO_OK);
    EXPECT_EQ(request.write(), "");
    EXPECT_EQ(request.failure.kind, KIRO_FAIL_CONTEXT_OVERFLOW);
}

TEST(Notice, NotForARequestThatWasNotParsed) {
    ClientRequest request;
    EXPECT_FALSE(request.parse("{}"));
    EXPECT_EQ(notice(request, "run"), KIRO_ERROR);
}

} // namespace
