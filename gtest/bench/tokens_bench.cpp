// How fast tokens are counted: MB/s and ns per token by kind of text, the unpleasant kinds too.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "core/json/writer.h"
#include "core/tokens/counter.h"
#include "core/tokens/estimate.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Random {
    uint64_t state = 1;
    uint32_t below(uint32_t n) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        return static_cast<uint32_t>((state >> 33) % n);
    }
};

std::string repeated(const std::string &piece, size_t size) {
    std::string text;
    while (text.size() < size)
        text += piece;
    return text;
}

std::string random_text(const std::vector<std::string> &alphabet, size_t size) {
    Random random;
    std::string text;
    while (text.size() < size)
        text += alphabet[random.below(static_cast<uint32_t>(alphabet.size()))];
    return text;
}

std::vector<std::string> letters(const char *text) {
    std::vector<std::string> list;
    for (const char *p = text; *p != '\0'; p++)
        list.emplace_back(1, *p);
    return list;
}

std::vector<std::string> code_points(uint32_t first, uint32_t count) {
    std::vector<std::string> list(count);
    for (uint32_t i = 0; i < count; i++)
        kiro::json::append_utf8(list[i], first + i);
    return list;
}

template <class Count> void row(const char *name, const std::string &text, Count &&count) {
    uint64_t tokens = count(text); // also warms up
    double best = 1e9;
    for (int run = 0; run < 5; run++) {
        auto start = Clock::now();
        if (count(text) != tokens)
            std::abort();
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    auto size = static_cast<double>(text.size());
    std::printf("%-34s %9zu bytes %9llu tokens %8.1f MB/s %7.1f ns/token\n", name, text.size(),
                static_cast<unsigned long long>(tokens), size / best / 1e6,
                best * 1e9 / static_cast<double>(tokens));
}

const char prose[] = "The gateway takes what a client sends and turns it into what the service understands. "
                     "Most of the words in "
                     "a prompt are common, and some aren't: names, numbers such as 1,024 or 3.14159, and "
                     "\"quoted\" phrases.\n\n";
const char code[] =
    "static int read_header(struct stream *s, size_t limit)\n{\n    if (s->pos + 12 > limit) {\n        "
    "return "
    "-EAGAIN;\n    }\n\n    s->total = be32toh(*(uint32_t *) &s->buf[s->pos]);\n    return 0;\n}\n\n";
const char json[] =
    R"({"type":"object","properties":{"file_path":{"type":"string","description":"The absolute path"},)"
    R"("limit":{"type":"integer","minimum":1}},"required":["file_path"],"additionalProperties":false})";
const char chinese[] = "敏捷的棕色狐狸跳过了懒狗，然后继续向前跑去。人工智能是计算机科学的一个分支。";
const char russian[] = "Все люди рождаются свободными и равными в своём достоинстве и правах. ";
const char emoji[] =
    "\U0001F469\u200D\U0001F469\u200D\U0001F467 \U0001F44D\U0001F3FD\U0001F1E9\U0001F1EA\u2764\uFE0F";

} // namespace

int main() {
    constexpr size_t size = 1 << 20;
    kiro::tokens::Counter counter;
    auto exact = [&](const std::string &text) { return counter.count(text); };
    auto raw = [&](const std::string &text) { return counter.count_raw(text); };
    auto cheap = [](const std::string &text) {
        kiro::tokens::Characters characters;
        characters.add(text);
        return kiro::tokens::estimate(characters);
    };

    std::printf("counting cl100k_base tokens, texts of 1 MB\n");
    row("prose", repeated(prose, size), exact);
    row("code", repeated(code, size), exact);
    row("code, escaped", kiro::json::escaped(repeated(code, size)), raw);
    row("JSON", repeated(json, size), exact);
    row("Chinese", repeated(chinese, size), exact);
    row("Russian", repeated(russian, size), exact);
    row("emoji", repeated(emoji, size), exact);
    row("the estimate, prose", repeated(prose, size), cheap);

    std::printf("unpleasant\n");
    for (size_t length : {size_t{1} << 14, size, size * 4}) {
        row("one letter", repeated("a", length), exact);
        row("two letters at random", random_text({"a", "b"}, length), exact);
        row("letters at random", random_text(letters("abcdefghijklmnopqrstuvwxyz"), length), exact);
    }
    row("letters of base64",
        random_text(letters("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"), size),
        exact);
    row("spaces", repeated(" ", size), exact);
    row("line ends", repeated("\n", size), exact);
    row("zeros", repeated(std::string(1, '\0'), size), exact);
    row("dashes", repeated("-", size), exact);
    row("punctuation at random", random_text(letters("!#$%&()*+,-./:;<=>?@[]^_{|}~"), size), exact);
    row("one Chinese character", repeated("中", size), exact);
    row("Chinese characters at random", random_text(code_points(0x4E00, 20000), size), exact);
    row("Hangul at random", random_text(code_points(0xAC00, 11172), size), exact);
    row("one emoji", repeated("\U0001F600", size), exact);
    row("letters without tokens", random_text(code_points(0x12000, 900), size), exact);
    return 0;
}
