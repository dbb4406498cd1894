// A database as kiro-cli has it, seen by another program that uses it.
#pragma once

#include <filesystem>
#include <gtest/gtest.h>
#include <string>

#include <sqlite3.h>

namespace kiro::test {

class Database {
public:
    explicit Database(const std::filesystem::path &path) {
        EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
        sqlite3_busy_timeout(db_, 20000);
    }
    Database(const Database &) = delete;
    Database &operator=(const Database &) = delete;
    ~Database() { sqlite3_close(db_); }

    void run(const std::string &sql) {
        char *error = nullptr;
        EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
            << sql << ": " << error;
        sqlite3_free(error);
    }

    void make_tables() {
        run("CREATE TABLE IF NOT EXISTS auth_kv (key TEXT PRIMARY KEY, value TEXT)");
        run("CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB)");
    }

    void put(const std::string &key, const std::string &value, const std::string &table = "auth_kv",
             bool blob = false) {
        const std::string sql = "INSERT OR REPLACE INTO " + table + " VALUES (?1, ?2)";
        sqlite3_stmt *statement = nullptr;
        ASSERT_EQ(sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK);
        const int size = static_cast<int>(value.size());
        sqlite3_bind_text(statement, 1, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
        blob ? sqlite3_bind_blob(statement, 2, value.data(), size, SQLITE_STATIC)
             : sqlite3_bind_text(statement, 2, value.data(), size, SQLITE_STATIC);
        EXPECT_EQ(sqlite3_step(statement), SQLITE_DONE);
        sqlite3_finalize(statement);
    }

    // The first column of all rows, one behind the other.
    std::string get(const std::string &sql) {
        std::string out;
        sqlite3_stmt *statement = nullptr;
        EXPECT_EQ(sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql;
        while (sqlite3_step(statement) == SQLITE_ROW) {
            const auto *text = reinterpret_cast<const char *>(sqlite3_column_text(statement, 0));
            out += text == nullptr ? "NULL" : text;
        }
        sqlite3_finalize(statement);
        return out;
    }

    std::string value(const std::string &key) {
        return get("SELECT value FROM auth_kv WHERE key = '" + key + "'");
    }

private:
    sqlite3 *db_ = nullptr;
};

} // namespace kiro::test
