// A login database whose bytes somebody has changed, in four bytes a change (where, what), or any bytes at
// all: it is read or refused, in bounded time, and no file is left beside it.
#include "kiro/store.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sqlite3.h>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;

void check(bool good) {
    if (!good) {
        std::abort();
    }
}

class Directory {
public:
    Directory() {
        std::string path = fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path().string();
        path += "/kiro-fuzz-XXXXXX";
        check(mkdtemp(path.data()) != nullptr);
        path_ = path;
        umask(077);
    }
    ~Directory() { fs::remove_all(path_); }
    fs::path file() const { return path_ / "data.sqlite3"; }
    size_t files() const {
        return static_cast<size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

private:
    fs::path path_;
};

std::string good_database(const fs::path &path) {
    const std::string token(120, 't');
    std::string sql = "PRAGMA page_size = 1024; CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT);"
                      "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB);"
                      "INSERT INTO state VALUES ('api.codewhisperer.profile', x'7b7d');";
    for (const char *key :
         {"kirocli:social:token", "kirocli:odic:token", "kirocli:odic:device-registration"}) {
        sql += std::string("INSERT INTO auth_kv VALUES ('") + key +
               R"(', '{"access_token":"a","refresh_token":")" + token +
               R"(","client_id":"c","client_secret":"s","padding":")" + std::string(700, 'p') + "\"}');";
    }
    sqlite3 *db = nullptr;
    check(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    check(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const Directory dir;
    static const std::string good = good_database(dir.file());
    if (size == 0) {
        return 0;
    }
    std::string bytes;
    if (data[0] == 0xff) {
        bytes.assign(reinterpret_cast<const char *>(data + 1), size - 1);
    } else {
        bytes = good;
        for (size_t i = 1; i + 3 < size; i += 4) {
            const size_t at = (data[i] | data[i + 1] << 8) % bytes.size();
            bytes[at] = static_cast<char>(data[i + 2]);
            bytes[(at + 1) % bytes.size()] = static_cast<char>(data[i + 3]);
        }
    }
    std::ofstream(dir.file(), std::ios::binary | std::ios::trunc) << bytes;
    const std::string path = dir.file().string();
    kiro_source source{KIRO_SOURCE_CREDENTIALS_FILE, path.c_str(), nullptr, 0};
    kiro_store_detect(&source);
    source.kind = KIRO_SOURCE_CREDENTIALS_DB;
    for (const char *key : {static_cast<const char *>(nullptr), "kirocli:odic:token"}) {
        source.key = key;
        kiro_failure f{};
        kiro_credential *cred = kiro_store_read_source(&source, &f);
        check(cred != nullptr || f.message[0] != '\0');
        check(cred != nullptr || f.kind != KIRO_FAIL_NONE);
        kiro_credential_free(cred);
        check(dir.files() == 1);
    }
    return 0;
}
