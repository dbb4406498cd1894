#include "store/sqlite.h"

#include <cerrno>
#include <cstdio>
#include <new>
#include <system_error>

#include <openssl/crypto.h>
#include <unistd.h>

#include "core/kiro/credential.h"

namespace kiro::store {

using ::kiro::kiro::max_credential_file;
using ::kiro::kiro::Secret;

namespace {

std::string uri_of(const std::string &path, const char *parameters) {
    constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string uri = "file:";
    for (char c : path) {
        if (plain.find(c) != plain.npos) {
            uri.push_back(c);
        } else {
            const auto byte = static_cast<unsigned char>(c);
            uri.append({'%', hex[byte >> 4], hex[byte & 15]});
        }
    }
    return uri + parameters;
}

const char *parameters_of(Access access) {
    switch (access) {
    case Access::read:
        return "?mode=ro";
    case Access::read_only:
        return "?mode=ro&readonly_shm=1";
    case Access::immutable:
        return "?mode=ro&immutable=1";
    case Access::read_write:
        break;
    }
    return "?mode=rw";
}

// A look-up by the key takes some dozens of steps, a scan of a small table thousands.
constexpr int most_steps = 10'000'000;

int out_of_patience(void *) {
    return 1;
}

// The file belongs to somebody else: nothing in its schema may run code or eat our memory.
void restrain(sqlite3 *db) {
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, static_cast<int>(max_credential_file));
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

struct CodeText {
    int code;
    const char *text;
};

constexpr CodeText code_texts[] = {
    {SQLITE_BUSY, "it is locked by another program"},
    {SQLITE_LOCKED, "it is locked by another program"},
    {SQLITE_NOTADB, "it is not an SQLite database"},
    {SQLITE_CORRUPT, "the database is damaged"},
    {SQLITE_READONLY_DIRECTORY, "it has a write-ahead log, which needs a directory that can be written"},
    {SQLITE_READONLY_ROLLBACK, "a write to it was interrupted: let its owner open it once (kiro-cli whoami)"},
    {SQLITE_READONLY_RECOVERY, "a write to it was interrupted: let its owner open it once (kiro-cli whoami)"},
    {SQLITE_READONLY, "it, or its directory, cannot be written"},
    {SQLITE_CANTOPEN, "it, or its -wal or -shm file, cannot be opened by this user"},
    {SQLITE_PERM, "it cannot be opened by this user"},
    {SQLITE_FULL, "the disk is full"},
    {SQLITE_IOERR, "it cannot be read or written: input/output error"},
    {SQLITE_INTERRUPT, "reading it takes too long"},
    {SQLITE_ERROR, "its tables are not those of kiro-cli or Amazon Q"},
    {SQLITE_NOLFS, "it is too large"},
};

} // namespace

void set_database_failure(int code, kiro_failure *f) {
    if ((code & 0xff) == SQLITE_NOMEM) {
        throw std::bad_alloc();
    }
    const bool busy = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
    for (int wanted : {code, code & 0xff}) {
        for (const CodeText &row : code_texts) {
            if (row.code == wanted) {
                kiro_failure_set(f, busy ? KIRO_FAIL_UNAVAILABLE : KIRO_FAIL_LOGIN_REQUIRED, "%s (SQLite %d)",
                                 row.text, code);
                return;
            }
        }
    }
    kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "%s (SQLite %d)", sqlite3_errstr(code), code);
}

Database open_database(const std::string &path, Access access, int busy_timeout_ms, kiro_failure *f) {
    sqlite3 *handle = nullptr;
    const int flags = access == Access::read_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    sqlite3_open_v2(uri_of(path, parameters_of(access)).c_str(), &handle,
                    flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
    Database db(handle);
    if (!db) {
        throw std::bad_alloc();
    }
    if (sqlite3_errcode(handle) != SQLITE_OK) {
        const int error = sqlite3_system_errno(handle);
        set_database_failure(sqlite3_extended_errcode(handle), f);
        if (error != 0) {
            kiro_failure_set(f, f->kind, "%s", std::generic_category().message(error).c_str());
        }
        return nullptr;
    }
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, busy_timeout_ms);
    restrain(handle);
    return db;
}

Statement prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = nullptr;
    sqlite3_prepare_v2(db, sql, -1, &statement, nullptr);
    return Statement(statement);
}

int run(sqlite3 *db, const char *sql) {
    const Statement statement = prepare(db, sql);
    const int code = statement ? sqlite3_step(statement.get()) : sqlite3_extended_errcode(db);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

namespace {

int step(sqlite3 *db, const Statement &statement) {
    if (!statement) {
        return sqlite3_extended_errcode(db);
    }
    sqlite3_progress_handler(db, most_steps, out_of_patience, nullptr);
    const int code = sqlite3_step(statement.get());
    sqlite3_progress_handler(db, 0, nullptr, nullptr);
    return code;
}

bool bind(const Statement &statement, std::string_view text) {
    return statement && sqlite3_bind_text(statement.get(), 1, text.data(), static_cast<int>(text.size()),
                                          SQLITE_STATIC) == SQLITE_OK;
}

} // namespace

int find_table(sqlite3 *db, std::string_view name) {
    const Statement statement =
        prepare(db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name = ?1");
    bind(statement, name);
    return step(db, statement);
}

Value read_value(sqlite3 *db, std::string_view table, std::string_view key) {
    Value out;
    const std::string sql = "SELECT value FROM \"" + std::string(table) + "\" WHERE key = ?1";
    const Statement statement = prepare(db, sql.c_str());
    bind(statement, key);
    out.code = step(db, statement);
    if ((out.code & 0xff) == SQLITE_TOOBIG) {
        out.code = SQLITE_ROW;
        out.problem = "it is larger than " + std::to_string(max_credential_file) + " bytes";
        return out;
    }
    if (out.code != SQLITE_ROW) {
        return out;
    }
    const int type = sqlite3_column_type(statement.get(), 0);
    if (type != SQLITE_TEXT && type != SQLITE_BLOB) {
        out.problem = type == SQLITE_NULL ? "it is NULL" : "it is a number";
        return out;
    }
    // Text may be stored in UTF-16; a blob is bytes.
    const void *data = type == SQLITE_TEXT ? sqlite3_column_text(statement.get(), 0)
                                           : sqlite3_column_blob(statement.get(), 0);
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement.get(), 0));
    if (data == nullptr && (type == SQLITE_TEXT || sqlite3_errcode(db) == SQLITE_NOMEM)) {
        throw std::bad_alloc();
    }
    if (size > 0) {
        out.text = Secret({static_cast<const char *>(data), size});
        // SQLite's copy of the value; that in its page cache is beyond our reach.
        OPENSSL_cleanse(const_cast<void *>(data), size);
    }
    return out;
}

} // namespace kiro::store
