/*
 * Prints what requests become upstream, a line each: {"name", "wire", "body"}.
 *
 *   normalise corpus    every accepted request of gtest/data/requests, on each wire
 */
#include <cstdio>
#include <cstring>
#include <string>

#include "core/json/writer.h"
#include "support/client_request.h"
#include "support/corpus.h"

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
        if (!request.parse(golden.request)) {
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

} // namespace

int main(int argc, char **argv) {
    if (argc == 2 && std::strcmp(argv[1], "corpus") == 0)
        return print_corpus();
    std::fputs("usage: normalise corpus\n", stderr);
    return 2;
}
