#include "store/credentials_db.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

namespace kiro::store {

using ::kiro::kiro::Credential;
using ::kiro::kiro::DatabaseRow;
using ::kiro::kiro::DatabaseRows;

namespace {

constexpr int busy_timeout_ms = 2000;

// Puts the path before what was found.
void name_database(const std::string &path, kiro_failure *f) {
    const std::string message = f->message;
    kiro_failure_set(f, f->kind, "%s: %s", shown(path).c_str(), message.c_str());
}

bool exists(const std::string &path) {
    struct stat info;
    return lstat(path.c_str(), &info) == 0;
}

bool has_content(const std::string &path) {
    struct stat info;
    return stat(path.c_str(), &info) == 0 && info.st_size > 0;
}

// Changes whenever somebody writes to the file.
struct Mark {
    ino_t inode = 0;
    off_t size = 0;
    timespec modified{};
    timespec changed{};
    bool has_wal = false;

    friend bool operator==(const Mark &a, const Mark &b) {
        return a.inode == b.inode && a.size == b.size && a.modified.tv_sec == b.modified.tv_sec &&
               a.modified.tv_nsec == b.modified.tv_nsec && a.changed.tv_sec == b.changed.tv_sec &&
               a.changed.tv_nsec == b.changed.tv_nsec && a.has_wal == b.has_wal;
    }
};

Mark mark_of(const std::string &path) {
    struct stat info {};
    stat(path.c_str(), &info);
    return {info.st_ino, info.st_size, info.st_mtim, info.st_ctim, has_content(path + "-wal")};
}

enum class Form { rollback, wal, json, empty, other };

bool has_writable_directory(const DatabaseFiles &files) {
    const std::string dir = files.path.substr(0, std::max<size_t>(files.path.rfind('/'), 1));
    return faccessat(AT_FDCWD, dir.c_str(), W_OK, AT_EACCESS) == 0;
}

// By the header, through SQLite's own file.
Form form_of(sqlite3 *db) {
    constexpr std::string_view magic{"SQLite format 3", 16};
    constexpr size_t read_version = 19;
    sqlite3_file *file = nullptr;
    std::array<char, 100> header{};
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == nullptr ||
        file->pMethods == nullptr) {
        return Form::other;
    }
    const int code = file->pMethods->xRead(file, header.data(), header.size(), 0);
    const std::string_view bytes(header.data(), header.size());
    if (code == SQLITE_OK && bytes.starts_with(magic)) {
        return bytes[read_version] == 2 ? Form::wal : Form::rollback;
    }
    const size_t first = bytes.find_first_not_of(std::string_view(" \t\r\n\xef\xbb\xbf\0", 8));
    return first == bytes.npos ? Form::empty : bytes[first] == '{' ? Form::json : Form::other;
}

// How to open it so that no file of ours appears beside it. Nothing: f is set.
std::optional<Access> safe_access(const DatabaseFiles &files, Form form, kiro_failure *f) {
    if (form == Form::rollback || (form == Form::wal && files.owned)) {
        return Access::read;
    }
    if (form == Form::wal) {
        const std::string wal = files.path + "-wal";
        if (exists(files.path + "-shm") && exists(wal)) {
            return Access::read_only;
        }
        if (!has_content(wal)) {
            return Access::immutable;
        }
        if (geteuid() == 0) {
            // SQLite gives the new -shm of root to the owner.
            return Access::read;
        }
        kiro_failure_set(
            f, KIRO_FAIL_LOGIN_REQUIRED,
            "its -wal file is there without the -shm: made by this user, that would lock its owner "
            "out; let the owner open the database once (kiro-cli whoami)");
        return std::nullopt;
    }
    kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "%s",
                     form == Form::empty ? "the file is empty"
                     : form == Form::json
                         ? "this is JSON, not an SQLite database: give it to credentials_file"
                         : "it is not an SQLite database");
    return std::nullopt;
}

std::optional<DatabaseRows> read_once(const DatabaseFiles &files, Access access, std::string_view forced_key,
                                      int &code, kiro_failure *f) {
    const Database db = open_database(files.path, access, busy_timeout_ms, f);
    if (!db) {
        code = SQLITE_CANTOPEN;
        return std::nullopt;
    }
    code = run(db.get(), "BEGIN");
    if (code != SQLITE_OK) {
        set_database_failure(code, f);
        return std::nullopt;
    }
    return read_rows(db.get(), forced_key, code, f);
}

std::optional<DatabaseRows> read_database(const DatabaseFiles &files, std::string_view forced_key,
                                          kiro_failure *f) {
    constexpr int tries = 3;
    for (int i = 0; i < tries; ++i) {
        Form form;
        {
            const Database db = open_database(files.path, Access::read, 0, f);
            if (!db) {
                return std::nullopt;
            }
            form = form_of(db.get());
        }
        const Mark before = mark_of(files.path);
        auto access = safe_access(files, form, f);
        if (!access) {
            return std::nullopt;
        }
        int code = SQLITE_OK;
        auto rows = read_once(files, *access, forced_key, code, f);
        // A read-only mount, perhaps, where a -shm cannot be made. Without a -wal nobody has it
        // open for writing.
        const bool no_shm =
            code == SQLITE_READONLY_DIRECTORY || (code == SQLITE_CANTOPEN && !has_writable_directory(files));
        if (no_shm && !before.has_wal) {
            access = Access::immutable;
            rows = read_once(files, *access, forced_key, code, f);
        }
        if (*access != Access::immutable || mark_of(files.path) == before) {
            return rows;
        }
    }
    kiro_failure_set(f, KIRO_FAIL_UNAVAILABLE, "it was written while it was read");
    return std::nullopt;
}

int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

} // namespace

std::optional<DatabaseFiles> find_database(const char *path, kiro_failure *f) {
    const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path, nullptr), std::free);
    struct stat info {};
    if (!resolved || stat(resolved.get(), &info) != 0) {
        set_failure(f, "open", path, errno);
        return std::nullopt;
    }
    if (!S_ISREG(info.st_mode)) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "cannot read %s: it is %s", shown(path).c_str(),
                         S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
        return std::nullopt;
    }
    if (faccessat(AT_FDCWD, resolved.get(), R_OK, AT_EACCESS) != 0) {
        set_failure(f, "open", path, errno);
        return std::nullopt;
    }
    return DatabaseFiles{resolved.get(), info.st_uid == geteuid()};
}

std::optional<DatabaseRows> read_rows(sqlite3 *db, std::string_view forced_key, int &code, kiro_failure *f) {
    DatabaseRows rows;
    const auto read = [&](std::string_view table, std::string_view key, std::vector<DatabaseRow> &into) {
        Value value = read_value(db, table, key);
        if (value.code == SQLITE_ROW) {
            into.push_back({std::string(key), std::move(value.text), std::move(value.problem)});
        } else if (value.code != SQLITE_DONE) {
            code = value.code;
            set_database_failure(code, f);
            return false;
        }
        return true;
    };
    code = find_table(db, secrets_table);
    if (code == SQLITE_DONE) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED,
                         "it has no table auth_kv: this is not the data.sqlite3 of kiro-cli or Amazon Q");
        return std::nullopt;
    }
    const int has_state = code == SQLITE_ROW ? find_table(db, state_table) : code;
    if (has_state != SQLITE_ROW && has_state != SQLITE_DONE) {
        code = has_state;
        set_database_failure(code, f);
        return std::nullopt;
    }
    code = SQLITE_OK;

    std::vector<std::string_view> keys(::kiro::kiro::token_keys().begin(), ::kiro::kiro::token_keys().end());
    if (!forced_key.empty() && std::find(keys.begin(), keys.end(), forced_key) == keys.end()) {
        keys.push_back(forced_key);
    }
    for (std::string_view key : keys) {
        if (!read(secrets_table, key, rows.tokens)) {
            return std::nullopt;
        }
    }
    std::vector<std::string> registrations;
    for (const DatabaseRow &row : rows.tokens) {
        for (std::string &key : ::kiro::kiro::registration_keys(row.key)) {
            if (std::find(registrations.begin(), registrations.end(), key) == registrations.end()) {
                registrations.push_back(std::move(key));
            }
        }
    }
    for (const std::string &key : registrations) {
        if (!read(secrets_table, key, rows.registrations)) {
            return std::nullopt;
        }
    }
    if (has_state == SQLITE_ROW) {
        for (std::string_view key : {::kiro::kiro::state_profile_key, ::kiro::kiro::state_region_key,
                                     ::kiro::kiro::state_start_url_key}) {
            if (!read(state_table, key, rows.state)) {
                return std::nullopt;
            }
        }
    }
    return rows;
}

std::optional<Credential> read_credentials_db(const kiro_source &source, kiro_failure *f) {
    const auto files = find_database(source.path, f);
    if (!files) {
        return std::nullopt;
    }
    Exposure exposure{exposure_rule(source)};
    for (const char *suffix : {"", "-wal"}) {
        struct stat info;
        if (stat((files->path + suffix).c_str(), &info) == 0 &&
            !check_exposure(source.path + std::string(suffix), info, -1, exposure, f)) {
            return std::nullopt;
        }
    }
    const std::string_view forced_key = source.key == nullptr ? std::string_view() : source.key;
    const auto rows = read_database(*files, forced_key, f);
    auto cred = rows ? ::kiro::kiro::login_from_rows(*rows, forced_key, now_ms(), f) : std::nullopt;
    if (!cred) {
        name_database(source.path, f);
        return std::nullopt;
    }
    ::kiro::kiro::append_note(cred->warning, exposure.warning);
    return cred;
}

} // namespace kiro::store
