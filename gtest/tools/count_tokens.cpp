// Reads texts, each "<bytes in UTF-8>\n<text>\n", and prints the tokens of each on a line: for comparing with
// other tokenizers. With "raw" as argument the texts are contents of JSON strings.

#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <string>

#include "core/tokens/counter.h"

int main(int argc, char **argv) {
    bool raw = argc > 1 && std::strcmp(argv[1], "raw") == 0;
    std::ios::sync_with_stdio(false);
    kiro::tokens::Counter counter;
    std::string line, text;
    while (std::getline(std::cin, line)) {
        text.resize(std::stoul(line));
        std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
        if (!std::cin.good() || std::cin.get() != '\n') {
            std::fprintf(stderr, "count_tokens: the input is cut\n");
            return 1;
        }
        std::cout << (raw ? counter.count_raw(text) : counter.count(text)) << '\n';
    }
    return 0;
}
