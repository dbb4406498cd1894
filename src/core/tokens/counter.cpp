#include "core/tokens/counter.h"

#include <algorithm>

#include "core/tokens/pieces.h"

/*
 * Byte pair encoding without doing the merges. A sequence of tokens is what merging gives if and only if it
 * is for each two neighbours alone; and which two can be neighbours is seen from how each was merged. So:
 * take the longest token that comes next and fits to the one before, else a shorter one, else go back. A
 * place from which the rest could not be reached is closed, so that no place is left twice.
 */
namespace kiro::tokens {

namespace {

const Tables &tables = kiro_token_tables;

struct Match {
    Token token;
    const char *end;
};

// The longest token at p; every byte is one.
inline Match longest(const char *p, const char *end) {
    State state = tables.states[0];
    Match match{};
    do {
        auto byte = static_cast<uint8_t>(*p);
        State next = tables.states[state.base() ^ byte];
        if (!next.is_of(byte))
            break;
        state = next;
        p++;
        if (Token token = state.token(); token != no_token)
            match = {token, p};
    } while (p != end);
    return match;
}

// What left and right are merged to.
Token merged(Token left, Token right) {
    for (PairHash hash(left, right);; hash.next()) {
        uint32_t entry = tables.pairs[hash.slot];
        if (entry == PairHash::free)
            return no_token;
        Token token = entry & no_token;
        if (((entry ^ hash.mark) & ~no_token) == 0 && tables.facts[token].left() == left &&
            tables.facts[token].right() == right)
            return token;
    }
}

// Merging happens by rank, of equal ones the leftmost first. Undone step by step, latest first, it must never
// show two parts at the border that would have been merged before.
bool are_neighbours(Token left, Token right) {
    Token limit = no_token;
    while (merged(left, right) >= limit) {
        if (std::max(left, right) < 256)
            return true;
        if (left > right) {
            limit = left;
            left = tables.facts[left].right();
        } else {
            limit = right + 1;
            right = tables.facts[right].left();
        }
    }
    return false;
}

} // namespace

// Tokens of a hundred dashes are merged in a hundred steps, and there are many that begin with them.
bool Neighbours::fit(Token left, Token right) {
    uint64_t key = static_cast<uint64_t>(left) << 17 | right;
    uint64_t &known = known_[key * 0x9E3779B97F4A7C15U >> (64 - log_size)];
    if (known >> 1 != key)
        known = key << 1 | (are_neighbours(left, right) ? 1 : 0);
    return (known & 1) != 0;
}

namespace {

// What one piece needs: the tokens found so far, and a bit for each place that is not closed.
class Search {
public:
    Search(const char *text, size_t size, Token *stack, uint64_t *bits, Neighbours &neighbours)
        : p_(text), size_(size), found_(stack), open_(bits), neighbours_(neighbours) {}

    uint64_t run(Token next) {
        size_t at = 0, count = 0;
        while (next != no_token) {
            Token last = count > 0 ? found_[count - 1] : no_token;
            for (;;) {
                size_t behind = at + tables.facts[next].length();
                if (is_open(behind) && (count == 0 || neighbours_.fit(last, next))) {
                    found_[count++] = next;
                    at = behind;
                    next = at == size_ ? no_token : longest(p_ + at, p_ + size_).token;
                    break;
                }
                Token shorter = tables.facts[next].prefix();
                if (shorter == no_token) {
                    close(at);
                    count--;
                    at -= tables.facts[last].length();
                    next = last;
                    break;
                }
                next = shorter;
            }
        }
        return count;
    }

private:
    const char *p_;
    size_t size_;
    Token *found_;
    uint64_t *open_;
    Neighbours &neighbours_;

    bool is_open(size_t place) const { return (open_[place / 64] >> place % 64 & 1) != 0; }
    void close(size_t place) { open_[place / 64] &= ~(uint64_t{1} << place % 64); }
};

} // namespace

uint64_t Counter::merge(const char *p, size_t size, Token first) {
    constexpr size_t small = 63;
    if (size <= small) {
        Token found[small];
        uint64_t open = UINT64_MAX;
        return Search(p, size, found, &open, neighbours_).run(first);
    }
    if (found_.size() < size)
        found_.resize(size);
    open_.assign(size / 64 + 1, UINT64_MAX);
    return Search(p, size, found_.data(), open_.data(), neighbours_).run(first);
}

uint64_t Counter::count(std::string_view utf8) {
    const char *p = utf8.data(), *end = p + utf8.size();
    uint64_t count = 0;
    while (p != end) {
        const char *behind = piece_end(p, end);
        Match first = longest(p, behind);
        count += first.end == behind ? 1 : merge(p, static_cast<size_t>(behind - p), first.token);
        p = behind;
    }
    return count;
}

uint64_t Counter::count_raw(json::Raw raw) {
    if (!json::has_escapes(raw))
        return count(raw);
    text_.clear();
    json::unescape(raw, text_);
    return count(text_);
}

} // namespace kiro::tokens
