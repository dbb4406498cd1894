#include "store/write_back_db.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "core/kiro/login_database.h"
#include "store/credentials_db.h"
#include "store/file.h"
#include "store/sqlite.h"

namespace kiro::store {

using ::kiro::kiro::Secret;

namespace {

constexpr int busy_timeout_ms = 2000;
constexpr kiro_failure_kind bad_login = KIRO_FAIL_LOGIN_REQUIRED;

Step not_written(const kiro_source &source, kiro_failure *f) {
    const std::string message = f->message;
    kiro_failure_set(f, f->kind, "cannot write %s: %s", shown(source.path).c_str(), message.c_str());
    return Step::failed;
}

Step sqlite_failed(int code, kiro_failure *f) {
    set_database_failure(code, f);
    return Step::failed;
}

struct Row {
    std::string key;
    Secret before;
    Secret after;
};

// The value as a blob, so that text and blobs compare by their bytes, and each stays what it is.
int update(sqlite3 *db, const Row &row) {
    const std::string sql = "UPDATE \"" + std::string(secrets_table) +
                            "\" SET value = CASE typeof(value) WHEN 'blob' THEN CAST(?1 AS BLOB) ELSE ?1 END"
                            " WHERE key = ?2 AND value = CASE typeof(value) WHEN 'blob' THEN CAST(?3 AS BLOB)"
                            " ELSE ?3 END";
    const Statement statement = prepare(db, sql.c_str());
    int number = 0;
    for (std::string_view text : {row.after.view(), std::string_view(row.key), row.before.view()}) {
        if (!statement || sqlite3_bind_text(statement.get(), ++number, text.data(),
                                            static_cast<int>(text.size()), SQLITE_STATIC) != SQLITE_OK) {
            return sqlite3_extended_errcode(db);
        }
    }
    return sqlite3_step(statement.get());
}

std::vector<std::string_view> keys_of(const kiro_source &source) {
    if (source.key != nullptr && *source.key != '\0') {
        return {source.key};
    }
    return {::kiro::kiro::token_keys().begin(), ::kiro::kiro::token_keys().end()};
}

// done: these rows have to change, perhaps none. A login that is stored under two spellings of
// its key changes in both.
Step plan_rows(sqlite3 *db, const kiro_source &source, const Refresh &refresh, std::vector<Row> &rows,
               kiro_failure *f) {
    bool up_to_date = false;
    for (std::string_view key : keys_of(source)) {
        Value value = read_value(db, secrets_table, key);
        if (value.code != SQLITE_ROW && value.code != SQLITE_DONE) {
            return sqlite_failed(value.code, f);
        }
        if (value.code == SQLITE_DONE || !value.problem.empty()) {
            continue;
        }
        // One that is corrupt is no login of ours.
        kiro_failure why{};
        Plan what = plan_record(value.text.view(), ::kiro::kiro::login_of_key(key), refresh, &why);
        if (what.text) {
            rows.push_back({std::string(key), std::move(value.text), std::move(*what.text)});
        }
        up_to_date = up_to_date || what.step == Step::done;
    }
    return up_to_date ? Step::done : Step::other_login;
}

// The transaction is open; what fails is rolled back when the database is closed.
Step write_rows(sqlite3 *db, const kiro_source &source, const Refresh &refresh, kiro_failure *f) {
    const int table = find_table(db, secrets_table);
    if (table != SQLITE_ROW) {
        return table == SQLITE_DONE ? Step::other_login : sqlite_failed(table, f);
    }
    std::vector<Row> rows;
    const Step step = plan_rows(db, source, refresh, rows, f);
    if (step != Step::done || rows.empty()) {
        return step;
    }
    for (const Row &row : rows) {
        const int code = update(db, row);
        if (code != SQLITE_DONE) {
            return sqlite_failed(code, f);
        }
        if (sqlite3_changes(db) == 0) {
            kiro_failure_set(f, bad_login, "the row \"%s\" cannot be changed", row.key.c_str());
            return Step::failed;
        }
    }
    const int code = run(db, "COMMIT");
    return code == SQLITE_OK ? Step::done : sqlite_failed(code, f);
}

// Files that SQLite makes for another user would lock the owner out; the directory gets a
// journal.
bool may_write(const DatabaseFiles &files, kiro_failure *f) {
    if (!files.owned && geteuid() != 0) {
        kiro_failure_set(f, bad_login, "it belongs to another user, run the workers as that one");
        return false;
    }
    const std::string dir = files.path.substr(0, std::max<size_t>(files.path.rfind('/'), 1));
    for (const std::string &path : {files.path, dir}) {
        if (faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
            kiro_failure_set(f, bad_login, "%s cannot be written: %s", path == dir ? "its directory" : "it",
                             std::generic_category().message(errno).c_str());
            return false;
        }
    }
    return true;
}

} // namespace

Step write_database(const kiro_source &source, const Refresh &refresh, kiro_failure *f) {
    const auto files = find_database(source.path, f);
    if (!files) {
        return Step::failed;
    }
    if (!may_write(*files, f)) {
        return not_written(source, f);
    }
    const Database db = open_database(files->path, Access::read_write, busy_timeout_ms, f);
    if (!db) {
        return not_written(source, f);
    }
    const int code = run(db.get(), "BEGIN IMMEDIATE");
    const Step step = code == SQLITE_OK ? write_rows(db.get(), source, refresh, f) : sqlite_failed(code, f);
    return step == Step::failed ? not_written(source, f) : step;
}

} // namespace kiro::store
