// Where a generator takes its decisions from: the bytes of a fuzzer, or of a seed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace test {

class Choices {
public:
    explicit Choices(std::string_view bytes) : rest_(bytes) {}

    bool empty() const { return rest_.empty(); }

    // 0 when nothing is left, which generators take for the plainest choice.
    unsigned byte() {
        if (rest_.empty()) {
            return 0;
        }
        const auto value = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }

    unsigned below(unsigned n) { return (n > 256 ? byte() << 8 | byte() : byte()) % n; }

    bool one_in(unsigned n) { return below(n) == n - 1; }

    template <class Table> const auto &pick(const Table &table) {
        return table[below(static_cast<unsigned>(std::size(table)))];
    }

    // Up to the next line end, which is dropped.
    std::string_view line() {
        const std::size_t end = std::min(rest_.find('\n'), rest_.size());
        const std::string_view text = rest_.substr(0, end);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        return text;
    }

private:
    std::string_view rest_;
};

// The same seed gives the same bytes.
inline std::string seeded_bytes(uint64_t seed, std::size_t size) {
    std::mt19937_64 random(seed);
    std::string bytes(size, '\0');
    for (char &byte : bytes) {
        byte = static_cast<char>(random());
    }
    return bytes;
}

} // namespace test
