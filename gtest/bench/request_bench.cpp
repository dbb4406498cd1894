/*
 * Translates a request of 4 MB (200 turns, 60 tools, two images) and prints how fast, beside memcpy plus
 * UTF-8 validation of the same bytes, and how often memory is allocated. --profile SECONDS only runs, for
 * perf.
 */
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <simdjson.h>
#include <string>
#include <vector>

#include "support/client_request.h"

namespace {

size_t allocations, allocated;

} // namespace

void *operator new(size_t size) {
    allocations++;
    allocated += size;
    if (void *p = std::malloc(size))
        return p;
    throw std::bad_alloc();
}
void operator delete(void *p) noexcept {
    std::free(p);
}
void operator delete(void *p, size_t) noexcept {
    std::free(p);
}

namespace {

using namespace kiro::test;
using Clock = std::chrono::steady_clock;

constexpr std::string_view words[] = {"the",  "request",     "of",   "a",       "buffer",    "std::string",
                                      "\\n",  "return 0;",   "int",  "while",   "\\\"a\\\"", "token",
                                      "{ }",  "caf\xC3\xA9", "file", "path/to", "\\n    ",   "error",
                                      "line", "12",          "->",   "template"};

std::string prose(std::mt19937 &random, size_t size) {
    std::string out;
    while (out.size() < size) {
        out += words[random() % std::size(words)];
        out += ' ';
    }
    return out;
}

std::string image(size_t size) {
    std::string out = "iVBORw0KGgoAAAAN";
    std::mt19937 random(3);
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (out.size() < size)
        out += letters[random() % 64];
    return out;
}

// scale multiplies the texts' size, not their number.
std::string agent_request(size_t turns, size_t text, size_t image_size) {
    std::mt19937 random(1);
    std::string out =
        R"({"model":"claude-sonnet-4.5","stream":true,"max_tokens":32000,"system":[{"type":"text","text":")" +
        prose(random, 4 * text) + R"("}],"messages":[)";
    for (size_t i = 0; i < turns / 2; i++) {
        std::string id = "toolu_" + std::to_string(100000 + i);
        out += i > 0 ? "," : "";
        if (i == 0) {
            out += R"({"role":"user","content":[{"type":"text","text":")" + prose(random, text) + R"("})";
            for (int n = 0; n < 2; n++)
                out += R"(,{"type":"image","source":{"type":"base64","media_type":"image/png","data":")" +
                       image(image_size) + R"("}})";
            out += "]}";
        } else {
            out += R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_)" +
                   std::to_string(99999 + i) + R"(","content":[{"type":"text","text":")" +
                   prose(random, text) + R"("}]}]})";
        }
        out += R"(,{"role":"assistant","content":[{"type":"text","text":")" + prose(random, text / 4) +
               R"("},{"type":"tool_use","id":")" + id + R"(","name":"tool_)" + std::to_string(i % 60) +
               R"(","input":{"path":"a/b.c","text":")" + prose(random, text / 2) + R"("}}]})";
    }
    out += R"(,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_)" +
           std::to_string(99999 + turns / 2) +
           R"(","content":"done"},{"type":"text","text":"Go on"}]}],"tools":[)";
    for (int i = 0; i < 60; i++) {
        out += i > 0 ? "," : "";
        out +=
            R"({"name":"tool_)" + std::to_string(i) + R"(","description":")" + prose(random, text / 4) +
            R"(","input_schema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{)"
            R"("path":{"type":"string","description":"Where it is.","minLength":1},"text":{"type":"string"},)"
            R"("limit":{"type":"integer","minimum":0},"kind":{"anyOf":[{"type":"string","enum":["a","b"]},{"type":"null"}]}},)"
            R"("required":["path"],"additionalProperties":false}})";
    }
    return out + "]}";
}

void translate(const std::string &body) {
    ClientRequest request(KIRO_API_ANTHROPIC);
    kiro_str written{};
    if (!request.parse(body) || kiro_request_write(request.request.get(), KIRO_WIRE_V3, {"arn:x", 5},
                                                   &written, &request.failure) != KIRO_OK) {
        std::fprintf(stderr, "%s\n", request.failure.message);
        std::exit(1);
    }
}

// The best of many rounds: what else runs on the machine only makes it slower.
template <class Body> double seconds(Body &&body) {
    double best = 1e9;
    auto until = Clock::now() + std::chrono::seconds(2);
    do {
        auto start = Clock::now();
        body();
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    } while (Clock::now() < until);
    return best;
}

void report(const char *name, const std::string &body) {
    double translating = seconds([&] { translate(body); });
    std::vector<char> copy(body.size());
    bool valid = true;
    double base = seconds([&] {
        std::memcpy(copy.data(), body.data(), body.size());
        valid &= simdjson::validate_utf8(copy.data(), copy.size());
    });
    allocations = allocated = 0;
    translate(body);
    double gigabytes = static_cast<double>(body.size()) / 1e9;
    std::printf("%-28s %9zu bytes  %8.3f ms  %6.2f GB/s   memcpy + UTF-8 %6.2f GB/s  ratio %5.1f   "
                "%zu allocations, %zu bytes%s\n",
                name, body.size(), translating * 1e3, gigabytes / translating, gigabytes / base,
                translating / base, allocations, allocated, valid ? "" : " (not UTF-8)");
}

} // namespace

int main(int argc, char **argv) {
    constexpr size_t text = 3600;
    std::string big = agent_request(200, text, 1600000);
    if (argc == 3 && std::strcmp(argv[1], "--profile") == 0) {
        auto until = Clock::now() + std::chrono::seconds(std::atoi(argv[2]));
        while (Clock::now() < until)
            translate(big);
        return 0;
    }
    report("200 turns, 4 MB", big);
    report("200 turns, texts 1/4", agent_request(200, text / 4, 1600000));
    report("50 turns, texts x 4", agent_request(50, text * 4, 1600000));
    report("200 turns, no images' bytes", agent_request(200, text, 16));
}
