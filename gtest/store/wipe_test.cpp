// Looks for a secret in the memory of this process: after the last free none may be left,
// neither in live buffers nor in what was returned to the allocator. The stack is left out:
// parsers copy a block there, and the next calls write over it.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/kiro/secret.h"
#include "kiro/http.h"
#include "kiro/store.h"

#include "support/credentials.h"

namespace {

using kiro::kiro::Secret;
using kiro::test::CredentialPtr;
using kiro::test::own;

// The secret itself never stands in the test's own data, only this veiled form.
constexpr char veil = 0x1a;
constexpr std::array<char, 16> veiled = [] {
    std::array<char, 16> bytes{};
    constexpr std::string_view pattern = "K7wq93ZpLx2TmRv8";
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(pattern[i] ^ veil);
    }
    return bytes;
}();

// A token of 160 characters that ends with tail.
void append_token(Secret &out, char tail) {
    for (int i = 0; i < 10; ++i) {
        for (char c : veiled) {
            out.push_back(static_cast<char>(c ^ veil));
        }
    }
    out.push_back(tail);
}

Secret login(char tail) {
    Secret json;
    json.append(R"({"authMethod":"IdC","clientId":"c","clientSecret":")");
    append_token(json, 's');
    json.append(R"(","accessToken":")");
    append_token(json, tail);
    json.append(R"(","refreshToken":")");
    append_token(json, tail);
    json.append(R"(","expiresIn":60})");
    return json;
}

class Scanner {
public:
    Scanner()
        : buffer_(static_cast<char *>(
              mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))),
          memory_(open("/proc/self/mem", O_RDONLY | O_CLOEXEC)) {}
    ~Scanner() {
        munmap(buffer_, size);
        close(memory_);
    }
    Scanner(const Scanner &) = delete;
    Scanner &operator=(const Scanner &) = delete;

    int count() {
        // Sanitizers reserve terabytes that hold nothing.
        constexpr unsigned long largest_region = 1ul << 28;
        int found = 0;
        FILE *maps = std::fopen("/proc/self/maps", "re");
        std::array<char, 512> line;
        while (std::fgets(line.data(), line.size(), maps) != nullptr) {
            unsigned long begin = 0;
            unsigned long end = 0;
            char mode[5] = "";
            if (std::sscanf(line.data(), "%lx-%lx %4s", &begin, &end, mode) == 3 && mode[0] == 'r' &&
                mode[1] == 'w' && end - begin <= largest_region &&
                std::string_view(line.data()).find("[stack]") == std::string_view::npos) {
                found += count_in(begin, end);
            }
        }
        std::fclose(maps);
        return found;
    }

private:
    static constexpr size_t size = 1 << 20;

    int count_in(unsigned long begin, unsigned long end) {
        const auto mine = reinterpret_cast<unsigned long>(buffer_);
        int found = 0;
        for (unsigned long at = begin; at < end;) {
            if (at >= mine && at < mine + size) {
                at = mine + size;
                continue;
            }
            const unsigned long stop = at < mine && mine < end ? mine : end;
            const ssize_t n =
                pread(memory_, buffer_, std::min<size_t>(size, stop - at), static_cast<off_t>(at));
            if (n <= 0) {
                break;
            }
            for (ssize_t i = 0; i < n; ++i) {
                buffer_[i] = static_cast<char>(buffer_[i] ^ veil);
            }
            const std::string_view piece(buffer_, static_cast<size_t>(n));
            const std::string_view pattern(veiled.data(), veiled.size());
            for (size_t i = piece.find(pattern); i != piece.npos; i = piece.find(pattern, i + 1)) {
                ++found;
            }
            // The next piece overlaps, lest a secret on the edge is missed.
            at += n > 16 && at + static_cast<unsigned long>(n) < stop ? static_cast<unsigned long>(n) - 15
                                                                      : static_cast<unsigned long>(n);
        }
        // Nothing of what was seen stays here.
        OPENSSL_cleanse(buffer_, size);
        return found;
    }

    char *buffer_;
    int memory_;
};

Secret serialize(const CredentialPtr &cred) {
    Secret out;
    out.resize(kiro_credential_serialize(cred.get(), nullptr, 0));
    kiro_credential_serialize(cred.get(), out.data(), out.size());
    return out;
}

void use_every_way(Scanner &scanner, const std::string &dir) {
    kiro_failure f;
    const Secret source = login('1');
    const CredentialPtr cred = own(kiro_credential_parse(source.view().data(), source.size(), &f));
    ASSERT_TRUE(cred) << f.message;
    EXPECT_GT(scanner.count(), 20) << "the scanner must see what is there";

    Secret request;
    request.resize(kiro_refresh_request(cred.get(), {"h", 1}, {"", 0}, {"", 0}, nullptr, 0, &f));
    kiro_refresh_request(cred.get(), {"h", 1}, {"", 0}, {"", 0}, request.data(), request.size(), &f);

    Secret answer;
    answer.append("HTTP/1.1 200 OK\r\nX-Token: ");
    append_token(answer, 'h');
    answer.append("\r\n\r\n");
    answer.append(login('2').view());
    kiro_http *http = kiro_http_create(65536);
    for (size_t i = 0; i < answer.size(); i += 7) {
        const std::string_view piece = answer.view().substr(i, 7);
        kiro_http_feed(http, piece.data(), piece.size());
    }
    EXPECT_EQ(kiro_http_eof(http), KIRO_OK);
    const kiro_str body = kiro_http_body(http);
    EXPECT_EQ(kiro_refresh_reply(cred.get(), 0, 200, body.data, body.len, &f), KIRO_REFRESH_OK);
    kiro_http_free(http);

    EXPECT_EQ(kiro_store_write_state(dir.c_str(), "main", cred.get(), &f), KIRO_OK) << f.message;
    const CredentialPtr state = own(kiro_store_read_state(dir.c_str(), "main", &f));
    ASSERT_TRUE(state) << f.message;
    EXPECT_EQ(serialize(state).view(), serialize(cred).view());
    const CredentialPtr copy = own(kiro_credential_copy(state.get()));
    kiro_credential_prefer_state(copy.get(), state.get());

    const std::string path = dir + "/login.json";
    const kiro_source file{KIRO_SOURCE_CREDENTIALS_FILE, path.c_str(), nullptr, 0};
    std::FILE *out = std::fopen(path.c_str(), "we");
    std::setbuf(out, nullptr);
    std::fwrite(source.view().data(), 1, source.size(), out);
    std::fclose(out);
    ASSERT_EQ(chmod(path.c_str(), 0600), 0);
    const CredentialPtr used = own(kiro_store_read_source(&file, &f));
    ASSERT_TRUE(used) << f.message;
    kiro_credential *found = nullptr;
    EXPECT_EQ(kiro_store_write_back(&file, used.get(), cred.get(), &found, &f), KIRO_OK) << f.message;
    EXPECT_EQ(kiro_store_write_back(&file, used.get(), used.get(), &found, &f), KIRO_AGAIN) << f.message;
    kiro_credential_free(found);
    own(kiro_credential_from_refresh_token({source.view().data(), source.size()}, &f));
}

TEST(Wipe, NoSecretStaysInMemory) {
    std::string dir = testing::TempDir() + "/kiro-wipe-XXXXXX";
    ASSERT_NE(mkdtemp(dir.data()), nullptr);
    {
        Scanner scanner;
        ASSERT_EQ(scanner.count(), 0);
        use_every_way(scanner, dir);
        EXPECT_EQ(scanner.count(), 0);
    }
    std::filesystem::remove_all(dir);
}

} // namespace
