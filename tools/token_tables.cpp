// token_tables IN OUT: turns cl100k_base.bin (see make-cl100k.mjs) into the tables of core/tokens/tables.h.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/tokens/tables.h"

namespace {

using namespace kiro::tokens;

void need(bool condition, const char *what) {
    if (!condition)
        throw std::runtime_error(what);
}

std::string read_file(const char *path) {
    std::ifstream in(path, std::ios::binary);
    need(in.good(), "cannot read the vocabulary");
    return {std::istreambuf_iterator<char>(in), {}};
}

uint64_t number(const std::string &data, size_t at, size_t bytes) {
    need(at + bytes <= data.size(), "the vocabulary is cut");
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value |= static_cast<uint64_t>(static_cast<uint8_t>(data[at + i])) << 8 * i;
    return value;
}

struct Node {
    std::vector<std::pair<uint8_t, uint32_t>> children; // by byte
    Token token = no_token;
};

class Builder {
public:
    Builder(std::string in, Tables &out) : data(std::move(in)), tables(out) {}

    void run() {
        constexpr char magic[] = "cl100k\0\1";
        need(data.size() > 8 && std::memcmp(data.data(), magic, 8) == 0, "not a cl100k vocabulary");
        read_tokens();
        grow_trie();
        place_states();
        fill_pairs();
        fill_classes(8 + 256 + 5 * (vocabulary_size - 256));
    }

private:
    const std::string data;
    Tables &tables;
    std::vector<std::string> texts;
    std::vector<Node> trie{1};

    void read_tokens() {
        for (Token t = 0; t < 256; t++) {
            texts.emplace_back(1, data[8 + t]);
            tables.facts[t] = Facts::make(t, t, no_token, 1);
        }
        for (Token t = 256; t < vocabulary_size; t++) {
            uint64_t pair = number(data, 8 + 256 + 5 * (t - 256), 5);
            Token left = pair & no_token, right = pair >> 17 & no_token;
            need(left < t && right < t, "a token is made of later ones");
            texts.push_back(texts[left] + texts[right]);
            tables.facts[t] = Facts::make(left, right, no_token, texts[t].size());
        }
    }

    void grow_trie() {
        for (Token t = 0; t < vocabulary_size; t++) {
            uint32_t at = 0;
            for (char c : texts[t]) {
                auto byte = static_cast<uint8_t>(c);
                auto &children = trie[at].children;
                auto found = std::find_if(children.begin(), children.end(),
                                          [byte](const auto &child) { return child.first == byte; });
                if (found == children.end()) {
                    auto fresh = static_cast<uint32_t>(trie.size());
                    children.emplace_back(byte, fresh);
                    trie.emplace_back();
                    at = fresh;
                } else {
                    at = found->second;
                }
            }
            need(trie[at].token == no_token, "a token is there twice");
            trie[at].token = t;
        }
        for (Token t = 0; t < vocabulary_size; t++) {
            const Facts &f = tables.facts[t];
            tables.facts[t] = Facts::make(f.left(), f.right(), prefix_of(texts[t]), f.length());
        }
    }

    Token prefix_of(const std::string &text) const {
        Token longest = no_token;
        uint32_t at = 0;
        for (size_t i = 0; i + 1 < text.size(); i++) {
            for (const auto &[byte, child] : trie[at].children) {
                if (byte == static_cast<uint8_t>(text[i])) {
                    at = child;
                    break;
                }
            }
            if (trie[at].token != no_token)
                longest = trie[at].token;
        }
        return longest;
    }

    // Gives each node a base of its own, so that its children's places are free; the largest families first.
    void place_states() {
        constexpr uint32_t size = sizeof(tables.states) / sizeof(State);
        std::vector<uint32_t> nodes(trie.size()), base(trie.size(), 0), place(trie.size(), 0);
        for (uint32_t i = 0; i < nodes.size(); i++)
            nodes[i] = i;
        std::stable_sort(nodes.begin(), nodes.end(), [&](uint32_t a, uint32_t b) {
            return trie[a].children.size() > trie[b].children.size();
        });
        std::vector<bool> used(size), taken(size);
        used[0] = true;     // the root
        taken[0] = true;    // the base of states that nothing follows
        uint32_t first = 0; // goes round and round: what is full is full for the next as well
        for (uint32_t node : nodes) {
            const auto &children = trie[node].children;
            if (children.empty())
                break;
            auto fits = [&] {
                uint32_t candidate = first ^ children[0].first;
                return !used[first] && !taken[candidate] &&
                       std::none_of(children.begin(), children.end(),
                                    [&](const auto &child) { return used[candidate ^ child.first]; });
            };
            for (uint32_t tries = 0; !fits(); tries++, first = (first + 1) % size)
                need(tries < size, "the automaton is too large");
            base[node] = first ^ children[0].first;
            taken[base[node]] = true;
            for (const auto &[byte, child] : children) {
                place[child] = base[node] ^ byte;
                used[place[child]] = true;
            }
        }
        std::fill(std::begin(tables.states), std::end(tables.states), State{});
        tables.states[0] = State::root(base[0]);
        for (const Node &node : trie) {
            for (const auto &[byte, child] : node.children)
                tables.states[place[child]] = State::make(byte, base[child], trie[child].token);
        }
    }

    void fill_pairs() {
        std::fill(std::begin(tables.pairs), std::end(tables.pairs), PairHash::free);
        for (Token t = 256; t < vocabulary_size; t++) {
            PairHash hash(tables.facts[t].left(), tables.facts[t].right());
            while (tables.pairs[hash.slot] != PairHash::free)
                hash.next();
            tables.pairs[hash.slot] = hash.mark | t;
        }
    }

    void fill_classes(size_t at) {
        std::string all; // a byte a code point
        for (; at < data.size(); at += 4) {
            auto run = static_cast<uint32_t>(number(data, at, 4));
            all.append(run >> 2, static_cast<char>(run & 3));
        }
        need(all.size() == 0x110000, "the character classes are not all of Unicode");
        std::map<std::string, uint8_t> known;
        for (size_t block = 0; block < all.size() / 256; block++) {
            std::string bits(64, '\0');
            for (size_t i = 0; i < 256; i++)
                bits[i / 4] = static_cast<char>(bits[i / 4] | all[block * 256 + i] << i % 4 * 2);
            auto [entry, fresh] = known.try_emplace(bits, static_cast<uint8_t>(known.size()));
            need(known.size() <= sizeof(tables.classes) / 64, "too many kinds of blocks");
            if (fresh)
                std::memcpy(tables.classes + size_t{64} * entry->second, bits.data(), 64);
            tables.class_blocks[block] = entry->second;
        }
    }
};

} // namespace

int main(int argc, char **argv) {
    try {
        need(argc == 3, "usage: token_tables IN OUT");
        auto tables = std::make_unique<Tables>();
        Builder(read_file(argv[1]), *tables).run();
        std::ofstream out(argv[2], std::ios::binary);
        out.write(reinterpret_cast<const char *>(tables.get()), sizeof(Tables));
        out.close();
        need(out.good(), "cannot write the tables");
    } catch (const std::exception &error) {
        std::fprintf(stderr, "token_tables: %s\n", error.what());
        return 1;
    }
    return 0;
}
