/*
 * Prints what requests become upstream, a line each: {"name", "wire", "body"}.
 *
 *   normalise corpus               every accepted request of gtest/data/requests, on each wire
 *   normalise random SEED COUNT    random requests of all block kinds; what is refused has "refused"
 *   normalise request SEED         one of those, as the client sends it
 *   normalise seeds FOLDER         the corpus as files for the fuzzers, a folder for each
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/json/writer.h"
#include "support/client_request.h"
#include "support/corpus.h"
#include "tools/random_request.h"

namespace {

using namespace kiro::test;

constexpr std::string_view arn = "arn:aws:codewhisperer:us-east-1:000000000000:profile/EXAMPLE";

struct Wire {
    const char *name;
    kiro_wire wire;
};

constexpr Wire wires[] = {{"v3", KIRO_WIRE_V3}, {"v2", KIRO_WIRE_V2}, {"rest", KIRO_WIRE_REST}};

void print(std::string_view name, const Wire &wire, std::string_view body) {
    std::string line = "{\"name\":";
    kiro::json::append_string(line, name);
    line += ",\"wire\":\"";
    line += wire.name;
    line += "\",\"body\":";
    kiro::json::append_string(line, body);
    line += "}\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
}

int print_corpus() {
    for (const Golden &golden : corpus()) {
        ClientRequest request(golden.api());
        if (!parse(golden, request)) {
            if (!golden.refused.empty())
                continue;
            std::fprintf(stderr, "%s: %s\n", golden.name().c_str(), request.failure.message);
            return 1;
        }
        for (const Wire &wire : wires) {
            std::string body = request.write(wire.wire, arn);
            if (!body.empty())
                print(golden.name(), wire, body);
        }
    }
    return 0;
}

// Refusals are for the caller to judge: only too many documents are a reason.
int print_random(uint64_t seed, uint64_t count) {
    for (uint64_t i = seed; i < seed + count; i++) {
        RandomRequest random = random_request(i);
        const Wire &wire = wires[i % std::size(wires)];
        ClientRequest request(random.api);
        std::string body = request.parse(random.body) ? request.write(wire.wire, arn) : "";
        if (!body.empty()) {
            print(std::to_string(i), wire, body);
            continue;
        }
        std::string line = "{\"name\":\"" + std::to_string(i) + "\",\"refused\":";
        kiro::json::append_string(line, request.failure.message);
        std::puts((line + "}").c_str());
    }
    return 0;
}

int write_seeds(const std::filesystem::path &folder) {
    constexpr const char *fuzzers[] = {"request_openai_chat_fuzz", "request_anthropic_fuzz",
                                       "request_openai_responses_fuzz"};
    static_assert(KIRO_API_OPENAI_CHAT == 0 && KIRO_API_ANTHROPIC == 1 && KIRO_API_OPENAI_RESPONSES == 2);
    for (const Golden &golden : corpus()) {
        const auto own = folder / fuzzers[golden.api()];
        std::filesystem::create_directories(own);
        std::ofstream file(own / (golden.name() + ".json"));
        file << minified(golden.request);
        if (!file.flush())
            return 1;
    }
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    if (argc == 2 && std::strcmp(argv[1], "corpus") == 0)
        return print_corpus();
    if (argc == 4 && std::strcmp(argv[1], "random") == 0)
        return print_random(std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10));
    if (argc == 3 && std::strcmp(argv[1], "request") == 0)
        return std::puts(random_request(std::strtoull(argv[2], nullptr, 10)).body.c_str()) < 0;
    if (argc == 3 && std::strcmp(argv[1], "seeds") == 0)
        return write_seeds(argv[2]);
    std::fputs("usage: normalise corpus | random SEED COUNT | request SEED | seeds FOLDER\n", stderr);
    return 2;
}
