// SQLite databases of other programs: opened, used and closed within one call, with nothing
// left in their directory that would lock their owner out. The file is never opened beside
// SQLite: closing it would drop the locks that this process holds on it.
#ifndef KIRO_STORE_SQLITE_H
#define KIRO_STORE_SQLITE_H

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "core/kiro/secret.h"
#include "kiro/kiro.h"

namespace kiro::store {

struct CloseDatabase {
    void operator()(sqlite3 *db) const { sqlite3_close(db); }
};
struct FinishStatement {
    void operator()(sqlite3_stmt *statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, FinishStatement>;

enum class Access {
    read,       // SQLite may make its -wal and -shm
    read_only,  // it makes no file: a WAL that is there needs its -shm
    immutable,  // no lock, no WAL: whoever asks must know that nobody writes meanwhile
    read_write, // for the owner of the database, or root
};

// An existing database at an absolute path, not checked yet for being one. Nothing: f is
// set. No message of this file has the path in it.
Database open_database(const std::string &path, Access access, int busy_timeout_ms, kiro_failure *f);

// An extended result code, as an operator understands it.
void set_database_failure(int code, kiro_failure *f);

Statement prepare(sqlite3 *db, const char *sql);

// A statement without results; the extended result code.
int run(sqlite3 *db, const char *sql);

// A table of this name, no view. The extended result code: SQLITE_ROW, SQLITE_DONE if there is
// none.
int find_table(sqlite3 *db, std::string_view name);

// What the column "value" has beside this key. SQLITE_ROW: either the text or the problem is
// set, SQLITE_DONE: there is no such row.
struct Value {
    int code = SQLITE_DONE;
    ::kiro::kiro::Secret text;
    std::string problem;
};
Value read_value(sqlite3 *db, std::string_view table, std::string_view key);

} // namespace kiro::store

#endif
