// A request that is a web search: what goes up, and what comes of each answer.

#include "support/client_request.h"
#include "support/reply_run.h"

#include <string>

namespace {

using kiro::test::ClientRequest;
using kiro::test::view;

constexpr std::string_view arn = "arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE";
constexpr const char *search_tool = R"({"type":"web_search_20250305","name":"web_search","max_uses":8})";

std::string body(const std::string &content, const std::string &tools = search_tool,
                 const std::string &more = "") {
    return R"({"model":"claude-sonnet-4.5","max_tokens":100,"messages":[{"role":"user","content":)" +
           content + R"(}],"tools":[)" + tools + "]" + more + "}";
}

std::string rpc(const std::string &inner, const std::string &more = R"(,"isError":false)") {
    std::string text;
    for (const char c : inner) {
        text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
    return R"({"id":"x","jsonrpc":"2.0","result":{"content":[{"type":"text","text":")" + text + R"("}])" +
           more + "}}";
}

const std::string found =
    R"({"results":[{"title":"A \"T\"","url":"https://example.com/a","snippet":"S \u00e9\n2","publishedDate":1767225600000},)"
    R"({"title":"","url":"https://news.example.org/b?c=1"},{"title":"no address"}],"totalResults":3,"error":null})";

struct Answer {
    kiro_gate gate = KIRO_GATE_WAIT;
    kiro_failure failure{};
    std::string output;
    kiro_reply_info info{};
    std::string stop;
    test::Seen seen; // of a whole answer
};

Answer answer(const ClientRequest &request, bool stream, std::string_view bytes,
              const kiro_failure *transport = nullptr) {
    const test::Reply reply =
        test::make_reply(test::reply_options({KIRO_API_ANTHROPIC, stream, ""}, request.request.get()));
    for (std::size_t i = 0; i < bytes.size(); i += 7) {
        EXPECT_EQ(kiro_reply_feed(reply.get(), bytes.data() + i, std::min<std::size_t>(7, bytes.size() - i)),
                  KIRO_OK);
        EXPECT_EQ(kiro_reply_gate(reply.get()), KIRO_GATE_WAIT);
    }
    if (transport == nullptr) {
        kiro_reply_eof(reply.get());
    } else {
        EXPECT_EQ(kiro_reply_settle(reply.get(), transport), KIRO_OK);
    }
    Answer out;
    out.gate = kiro_reply_gate(reply.get());
    for (kiro_str piece; kiro_reply_next(reply.get(), &piece) == KIRO_OK;) {
        out.output.append(piece.data, piece.len);
    }
    out.failure = *kiro_reply_failure(reply.get());
    kiro_reply_get_info(reply.get(), &out.info);
    out.stop = view(out.info.stop_reason);
    if (out.gate == KIRO_GATE_COMPLETE) {
        out.seen = stream ? test::read_anthropic_stream(out.output) : test::read_anthropic_object(out.output);
    }
    return out;
}

std::string query_of(const std::string &client_body) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    EXPECT_TRUE(request.parse(client_body)) << request.failure.message;
    if (request.info().call != KIRO_CALL_SEARCH) {
        return "-";
    }
    const std::string up = request.write(KIRO_WIRE_V3, arn);
    const std::size_t at = up.find("\"query\":\"") + 9;
    return up.substr(at, up.find("\"}}", at) - at);
}

TEST(Search, GoesUpAsJsonRpc) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(body(R"("red \"fox\"")")));
    EXPECT_EQ(request.info().call, KIRO_CALL_SEARCH);
    const std::string up = request.write(KIRO_WIRE_V3, arn);
    const std::string rest =
        R"(","jsonrpc":"2.0","method":"tools/call","params":{"name":"web_search","arguments":{"query":"red \"fox\""}},)"
        R"("profileArn":"arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE"})";
    EXPECT_TRUE(up.starts_with(R"({"id":"web_search_)")) << up;
    EXPECT_TRUE(up.ends_with(rest)) << up;
    EXPECT_EQ(up.size(), std::string(R"({"id":"web_search_)").size() + 36 + rest.size());
    EXPECT_EQ(up, request.write(KIRO_WIRE_REST, arn)) << "the same on all wires";
    EXPECT_EQ(request.write(KIRO_WIRE_V3).find("profileArn"), std::string::npos);
}

TEST(Search, TakesTheQueryFromTheLastUserText) {
    EXPECT_EQ(query_of(body(R"("Perform a web search for the query:  red fox ")")), "red fox");
    EXPECT_EQ(query_of(body(R"([{"type":"text","text":"<system-reminder>x</system-reminder>"},)"
                            R"({"type":"text","text":"Perform a web search for the query: red fox"},)"
                            R"({"type":"text","text":"<system-reminder>y</system-reminder>"}])")),
              "red fox");
    EXPECT_EQ(query_of(body(R"([{"type":"text","text":"a"},{"type":"text","text":"b"}])")), "b");
    EXPECT_EQ(query_of(body(
                  R"("x","role":"user"},{"role":"assistant","content":"y"},{"role":"user","content":"z")")),
              "z");
    EXPECT_EQ(query_of(body("\"" + std::string(999, 'x') + "\u00e9\"")), std::string(999, 'x')) << "cut";
}

TEST(Search, IsOnlyWhatCanBeNothingElse) {
    const std::string own = R"({"name":"web_search","description":"d","input_schema":{"type":"object"}})";
    EXPECT_EQ(query_of(body(R"("q")", own)), "-") << "a client's own function";
    EXPECT_EQ(
        query_of(body(R"("q")", R"({"type":"custom","name":"web_search","input_schema":{"type":"object"}})")),
        "-");
    EXPECT_EQ(query_of(body(R"("q")", std::string(search_tool) + "," + own)), "-") << "beside another";
    EXPECT_EQ(query_of(body(R"("q")", R"({"name":"web_search"})")), "q") << "without a schema";
    EXPECT_EQ(query_of(body(R"("q")", search_tool, R"(,"tool_choice":{"type":"none"})")), "-");
    EXPECT_EQ(query_of(body(R"("q")", search_tool, R"(,"tool_choice":{"type":"tool","name":"web_search"})")),
              "q");
    EXPECT_EQ(query_of(body(R"(" ")")), "-") << "nothing to look for";
    EXPECT_EQ(
        query_of(body(R"([{"type":"text","text":"what is this?"},{"type":"image","source":{"type":"base64",)"
                      R"("media_type":"image/png","data":"iVBORw0KGgo="}}])")),
        "-");
    EXPECT_EQ(query_of(body(R"("x"},{"role":"assistant","content":"y")")), "-");
}

TEST(Search, BothFormsTellTheSame) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(body(R"("red fox")")));
    for (const bool stream : {true, false}) {
        const Answer out = answer(request, stream, rpc(found));
        ASSERT_EQ(out.gate, KIRO_GATE_COMPLETE);
        EXPECT_EQ(out.failure.kind, KIRO_FAIL_NONE);
        EXPECT_EQ(out.seen.blocks,
                  (std::vector<std::string>{"server_tool_use", "web_search_tool_result", "text"}));
        ASSERT_EQ(out.seen.searches.size(), 1u);
        EXPECT_EQ(out.seen.searches[0].id.size(), 9u + 32u);
        EXPECT_EQ(out.seen.searches[0].input, R"({"query":"red fox"})");
        EXPECT_EQ(
            out.seen.searches[0].result,
            R"([{"type":"web_search_result","title":"A \"T\"","url":"https://example.com/a","encrypted_content":"text:S é\n2","page_age":"January 1, 2026"},)"
            R"({"type":"web_search_result","title":"https://news.example.org/b?c=1","url":"https://news.example.org/b?c=1","encrypted_content":"text:","page_age":null}])");
        EXPECT_EQ(out.seen.text, "Web search results for \"red fox\":\n\n1. A \"T\"\nhttps://example.com/a\n"
                                 "January 1, 2026\nS é\n2\n\n2. https://news.example.org/b?c=1\n"
                                 "https://news.example.org/b?c=1");
        EXPECT_EQ(out.seen.stop, "end_turn");
        EXPECT_EQ(out.stop, "end_turn");
        EXPECT_GT(out.seen.output, 0u);
        EXPECT_EQ(out.info.output_tokens, out.seen.output);
        EXPECT_EQ(out.info.input_tokens, out.seen.input);
        EXPECT_EQ(answer(request, stream, rpc(found)).output, out.output) << "deterministic";
    }
}

TEST(Search, NothingFoundIsASuccess) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(body(R"("red fox")")));
    for (const bool stream : {true, false}) {
        const Answer out = answer(request, stream, rpc(R"({"results":[]})"));
        EXPECT_EQ(out.seen.searches.at(0).result, "[]");
        EXPECT_EQ(out.failure.kind, KIRO_FAIL_NONE);
        EXPECT_EQ(out.seen.text, "No web page was found for \"red fox\".");
    }
}

TEST(Search, AFailedSearchSaysSo) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(body(R"("red fox")")));
    const std::string failures[] = {
        rpc(found, R"(,"isError":true)"),
        rpc("<html>"),
        rpc(""),
        rpc("[]"),
        rpc(R"({"totalResults":0})"),
        rpc(R"({"results":null})"),
        rpc(R"({"results":[],"error":"boom"})"),
        R"({"id":"x","jsonrpc":"2.0","error":{"code":-32000,"message":"m"}})",
        R"({"id":"x","jsonrpc":"2.0","result":{}})",
        R"({"id":"x","jsonrpc":"2.0","result":{"content":[]}})",
        R"({"id":"x","jsonrpc":"2.0","result":{"content":[{"type":"image"},{"type":"text","text":"{\"results\":[]}"}]}})",
    };
    for (const std::string &bytes : failures) {
        for (const bool stream : {true, false}) {
            const Answer out = answer(request, stream, bytes);
            ASSERT_EQ(out.gate, KIRO_GATE_COMPLETE) << bytes;
            EXPECT_EQ(out.seen.searches.at(0).result,
                      R"({"type":"web_search_tool_result_error","error_code":"unavailable"})")
                << bytes;
            EXPECT_EQ(out.seen.stop, "end_turn");
            EXPECT_EQ(out.failure.kind, KIRO_FAIL_UPSTREAM_ERROR);
        }
    }
}

TEST(Search, WhatIsNoAnswerCanBeTriedAgain) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(body(R"("red fox")")));
    for (const std::string bytes :
         {"", "<html></html>", "[]", "{}", R"({"id":"x","jsonrpc":"2.0"})", "{\"result\":"}) {
        const Answer out = answer(request, true, bytes);
        EXPECT_EQ(out.gate, KIRO_GATE_FAILED) << bytes;
        EXPECT_EQ(out.failure.kind, KIRO_FAIL_UPSTREAM_PROTOCOL);
        EXPECT_EQ(out.failure.retry, KIRO_RETRY_BACKOFF);
    }
}

TEST(Search, TheLastFailureBecomesTheAnswer) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(body(R"("red fox")")));
    kiro_failure failure;
    kiro_failure_set(&failure, KIRO_FAIL_UPSTREAM_ERROR, "500");
    for (const bool stream : {true, false}) {
        const Answer out = answer(request, stream, "", &failure);
        EXPECT_EQ(out.gate, KIRO_GATE_COMPLETE);
        EXPECT_EQ(out.seen.searches.at(0).result,
                  R"({"type":"web_search_tool_result_error","error_code":"unavailable"})");
        EXPECT_EQ(out.failure.kind, KIRO_FAIL_UPSTREAM_ERROR);
        EXPECT_FALSE(out.info.failed);
    }
    constexpr test::Mode object = test::kModes[3];
    const test::Reply reply = test::make_reply(test::reply_options(object, request.request.get()));
    for (const kiro_failure_kind kind : {KIRO_FAIL_QUOTA, KIRO_FAIL_RATE_LIMITED, KIRO_FAIL_LOGIN_REQUIRED}) {
        kiro_failure_set(&failure, kind, "x");
        EXPECT_EQ(kiro_reply_settle(reply.get(), &failure), KIRO_ERROR) << "not the search's own";
    }
    const test::Reply talk = test::make_reply(object);
    kiro_failure_set(&failure, KIRO_FAIL_UPSTREAM_ERROR, "x");
    EXPECT_EQ(kiro_reply_settle(talk.get(), &failure), KIRO_ERROR) << "not a search";
}

TEST(Search, TheClientsDomains) {
    const struct {
        const char *limit;
        bool first, second;
    } cases[] = {
        {R"("allowed_domains":["example.com"])", true, false},
        {R"("allowed_domains":["example.org"])", false, true},
        {R"("allowed_domains":["NEWS.example.org"])", false, true},
        {R"("allowed_domains":["ample.com"])", false, false},
        {R"("allowed_domains":["example.com/a","https://example.org"])", true, true},
        {R"("allowed_domains":["example.com/other"])", false, false},
        {R"("blocked_domains":["example.com"])", false, true},
        {R"("blocked_domains":["example.org"])", true, false},
        {R"("allowed_domains":null,"blocked_domains":[])", true, true},
    };
    for (const auto &row : cases) {
        ClientRequest request(KIRO_API_ANTHROPIC);
        ASSERT_TRUE(request.parse(
            body(R"("q")",
                 std::string(R"({"type":"web_search_20250305","name":"web_search",)") + row.limit + "}")));
        const Answer out = answer(request, false, rpc(found));
        EXPECT_EQ(out.output.find("https://example.com/a") != std::string::npos, row.first) << row.limit;
        EXPECT_EQ(out.output.find("https://news.example.org/b") != std::string::npos, row.second)
            << row.limit;
    }
    ClientRequest bad(KIRO_API_ANTHROPIC);
    EXPECT_FALSE(bad.parse(
        body(R"("q")", R"({"type":"web_search_20250305","name":"web_search","allowed_domains":[1]})")));
    EXPECT_STREQ(bad.failure.param, "tools[0].allowed_domains[0]");
}

TEST(Search, TooMuchIsRefused) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    ASSERT_TRUE(request.parse(body(R"("q")")));
    const test::Reply reply = test::make_reply(test::reply_options(test::kModes[3], request.request.get()));
    const std::string mega(1 << 20, ' ');
    for (int i = 0; i < 9; ++i) {
        kiro_reply_feed(reply.get(), mega.data(), mega.size());
    }
    EXPECT_EQ(kiro_reply_gate(reply.get()), KIRO_GATE_FAILED);
    EXPECT_EQ(kiro_reply_failure(reply.get())->retry, KIRO_RETRY_NEVER);
}

} // namespace
