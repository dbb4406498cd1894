// The database of kiro-cli or Amazon Q as a credential source.
#ifndef KIRO_STORE_CREDENTIALS_DB_H
#define KIRO_STORE_CREDENTIALS_DB_H

#include <optional>
#include <string>

#include "core/kiro/credential.h"
#include "core/kiro/login_database.h"
#include "kiro/store.h"
#include "store/sqlite.h"

namespace kiro::store {

inline constexpr std::string_view secrets_table = "auth_kv";
inline constexpr std::string_view state_table = "state";

// What there is on a disk of a database.
struct DatabaseFiles {
    std::string path;   // resolved: SQLite names -wal and -shm after it
    bool owned = false; // by this process's user
};
// Nothing: f is set, with the path in it.
std::optional<DatabaseFiles> find_database(const char *path, kiro_failure *f);

// The login, with the key of its row in source_key. Nothing: f is set, with the path in it.
std::optional<::kiro::kiro::Credential> read_credentials_db(const kiro_source &source, kiro_failure *f);

// The rows that a login may come from, in one transaction that is open. The extended result
// code; with SQLITE_ERROR and f set for a table that is missing.
std::optional<::kiro::kiro::DatabaseRows> read_rows(sqlite3 *db, std::string_view forced_key, int &code,
                                                    kiro_failure *f);

} // namespace kiro::store

#endif
