#include "kiro/http.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Http = std::unique_ptr<kiro_http, decltype(&kiro_http_free)>;

constexpr size_t roomy = 65536;

Http make(size_t max = roomy) {
    return {kiro_http_create(max), kiro_http_free};
}

std::string text(kiro_str s) {
    return s.len == 0 ? std::string() : std::string(s.data, s.len);
}

struct Outcome {
    kiro_status fed = KIRO_AGAIN;
    kiro_status ended = KIRO_AGAIN;
    int status = 0;
    std::string body;

    bool operator==(const Outcome &) const = default;
};

void PrintTo(const Outcome &o, std::ostream *out) {
    *out << "fed " << o.fed << " ended " << o.ended << " status " << o.status << " body " << o.body;
}

Outcome run(const std::vector<std::string_view> &pieces, size_t max = roomy) {
    const Http http = make(max);
    Outcome outcome;
    for (std::string_view piece : pieces) {
        // An exact copy, so that ASan sees a read past the piece.
        const std::vector<char> copy(piece.begin(), piece.end());
        outcome.fed = kiro_http_feed(http.get(), copy.data(), copy.size());
    }
    outcome.ended = kiro_http_eof(http.get());
    if (outcome.ended == KIRO_OK) {
        outcome.status = kiro_http_status(http.get());
        outcome.body = text(kiro_http_body(http.get()));
    }
    return outcome;
}

struct Case {
    const char *name;
    std::string_view bytes;
    Outcome expected;
};

using namespace std::string_view_literals;

const Case cases[] = {
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"sv, {KIRO_OK, KIRO_OK, 200, "hello"}},
    {"length zero", "HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n"sv, {KIRO_OK, KIRO_OK, 500, ""}},
    {"no reason", "HTTP/1.1 404\r\ncontent-length: 1\r\n\r\nx"sv, {KIRO_OK, KIRO_OK, 404, "x"}},
    {"same length twice",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"sv,
     {KIRO_OK, KIRO_OK, 200, "x"}},
    {"line feeds alone", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx"sv, {KIRO_OK, KIRO_OK, 200, "x"}},
    {"until close", "HTTP/1.0 200 OK\r\n\r\nsome text"sv, {KIRO_AGAIN, KIRO_OK, 200, "some text"}},
    {"no content", "HTTP/1.1 204 No Content\r\n\r\n"sv, {KIRO_OK, KIRO_OK, 204, ""}},
    {"more than the length",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz"sv,
     {KIRO_OK, KIRO_OK, 200, "x"}},
    {"chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n"sv,
     {KIRO_OK, KIRO_OK, 200, "abc0123456789"}},
    {"chunk extensions and trailers",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b;c=\"d\"\r\nx\r\n1 ;e\r\ny\r\n00\r\nT: v\r\n\r\n"sv,
     {KIRO_OK, KIRO_OK, 200, "xy"}},
    {"interim answers",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 9\r\n\r\n"
     "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"sv,
     {KIRO_OK, KIRO_OK, 201, "ok"}},
    {"bytes above ASCII",
     "HTTP/1.1 200 \xc3\xa9\r\nX: \xff\r\nContent-Length: 1\r\n\r\n\0"sv,
     {KIRO_OK, KIRO_OK, 200, std::string(1, '\0')}},

    {"nothing", ""sv, {KIRO_AGAIN, KIRO_ERROR, 0, ""}},
    {"cut in the status", "HTTP/1.1 20"sv, {KIRO_AGAIN, KIRO_ERROR, 0, ""}},
    {"cut in the head", "HTTP/1.1 200 OK\r\nA: b\r\n"sv, {KIRO_AGAIN, KIRO_ERROR, 0, ""}},
    {"cut in the body",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"sv,
     {KIRO_AGAIN, KIRO_ERROR, 0, ""}},
    {"cut in a chunk",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"sv,
     {KIRO_AGAIN, KIRO_ERROR, 0, ""}},
    {"cut before the last line",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"sv,
     {KIRO_AGAIN, KIRO_ERROR, 0, ""}},
    {"only an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"sv, {KIRO_AGAIN, KIRO_ERROR, 0, ""}},
    {"not HTTP", "SSH-2.0-x\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"HTTP/2", "HTTP/2 200 OK\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"empty status line", "\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"status of two digits", "HTTP/1.1 20 OK\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"status of four digits", "HTTP/1.1 2000 OK\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"status 600", "HTTP/1.1 600 OK\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"switching protocols", "HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"no colon", "HTTP/1.1 200 OK\r\nA b\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"no name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"blank before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"NUL in a value", "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"bare CR in a value", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"two lengths",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"length with a plus",
     "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"sv, {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"length overflows",
     "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"length over the cap",
     "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"length and chunked",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"gzip",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"empty chunk size",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"chunk size not hex",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"chunk size overflows",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"chunk size over the cap",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"chunk longer than it says",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
    {"bad trailer",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n"sv,
     {KIRO_ERROR, KIRO_ERROR, 0, ""}},
};

TEST(HttpResponse, ReadsWhole) {
    for (const Case &c : cases) {
        EXPECT_EQ(run({c.bytes}), c.expected) << c.name;
    }
}

TEST(HttpResponse, ReadsByteByByte) {
    for (const Case &c : cases) {
        std::vector<std::string_view> pieces;
        for (size_t i = 0; i < c.bytes.size(); ++i) {
            pieces.push_back(c.bytes.substr(i, 1));
        }
        EXPECT_EQ(run(pieces), c.expected) << c.name;
    }
}

TEST(HttpResponse, ReadsSplitAnywhere) {
    for (const Case &c : cases) {
        for (size_t i = 0; i <= c.bytes.size(); ++i) {
            EXPECT_EQ(run({c.bytes.substr(0, i), c.bytes.substr(i)}), c.expected) << c.name << " at " << i;
        }
    }
}

TEST(HttpResponse, FindsHeaders) {
    const Http http = make();
    constexpr std::string_view bytes =
        "HTTP/1.1 100 Continue\r\nInterim: yes\r\n\r\n"
        "HTTP/1.1 429 Slow\r\nRetry-AFTER: \t 7 \r\nx-b:\r\nX-C: 1\r\nx-c: 2\r\n"
        "Content-Length: 0\r\n\r\n";
    ASSERT_EQ(kiro_http_feed(http.get(), bytes.data(), bytes.size()), KIRO_OK);
    EXPECT_EQ(kiro_http_status(http.get()), 429);
    EXPECT_EQ(text(kiro_http_header(http.get(), "retry-after")), "7");
    EXPECT_EQ(text(kiro_http_header(http.get(), "x-b")), "");
    EXPECT_EQ(text(kiro_http_header(http.get(), "x-c")), "1");
    EXPECT_EQ(kiro_http_header(http.get(), "interim").len, 0u);
    EXPECT_EQ(kiro_http_header(http.get(), "absent").len, 0u);
}

TEST(HttpResponse, TakesExactlyTheCap) {
    const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
    const std::string body(100, 'b');
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(run({head, body}, head.size() + 100).ended, KIRO_OK);
    EXPECT_EQ(run({head, body}, head.size() + 99).ended, KIRO_ERROR);
    EXPECT_EQ(run({chunked, "64\r\n" + body + "\r\n0\r\n\r\n"}, chunked.size() + 102).ended, KIRO_OK);
    EXPECT_EQ(run({chunked, "64\r\n" + body + "\r\n0\r\n\r\n"}, chunked.size() + 99).ended, KIRO_ERROR);
}

TEST(HttpResponse, StopsEndlessInput) {
    const std::string line(5000, 'a');
    EXPECT_EQ(run({"HTTP/1.1 200 " + line}, 1024).ended, KIRO_ERROR);
    EXPECT_EQ(run({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + line}).fed, KIRO_ERROR);
    std::string many = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 300; ++i) {
        many += "a:b\r\n";
    }
    EXPECT_EQ(run({many}).fed, KIRO_ERROR);
    // Interim answers spend from the same cap.
    const Http http = make(1024);
    kiro_status status = KIRO_AGAIN;
    for (int i = 0; i < 100 && status == KIRO_AGAIN; ++i) {
        status = kiro_http_feed(http.get(), "HTTP/1.1 100 C\r\n\r\n", 18);
    }
    EXPECT_EQ(status, KIRO_ERROR);
}

TEST(HttpResponse, StaysBrokenAndStaysDone) {
    const Http broken = make();
    EXPECT_EQ(kiro_http_feed(broken.get(), "x\n", 2), KIRO_ERROR);
    EXPECT_EQ(kiro_http_feed(broken.get(), "HTTP/1.1 200 OK\r\n", 17), KIRO_ERROR);
    const Http done = make();
    EXPECT_EQ(kiro_http_feed(done.get(), "HTTP/1.1 204 OK\r\n\r\n", 19), KIRO_OK);
    EXPECT_EQ(kiro_http_feed(done.get(), "more", 4), KIRO_OK);
    EXPECT_EQ(kiro_http_eof(done.get()), KIRO_OK);
    kiro_http_free(nullptr);
}

} // namespace
