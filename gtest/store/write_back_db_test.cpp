// Refreshed logins on their way back into real databases, with others that write meanwhile.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <thread>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/kiro/credential.h"
#include "kiro/store.h"
#include "support/credentials.h"
#include "support/database.h"
#include "support/folder.h"

namespace {

using namespace kiro::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int64_t now = 1795604523000; // 2026-11-25T11:02:03Z; answers last an hour
constexpr uid_t other_user = 65534;
const char *const token_key = "kirocli:odic:token";

std::string record(char tail, const std::string &expiry) {
    return R"({"access_token":")" + access_token(tail) + R"(", "expires_at":")" + expiry +
           R"(","theirs":[1.50,null],"refresh_token":")" + refresh_token(tail) +
           R"(","region":"eu-west-1","start_url":"https://d-1.awsapps.com/start","oauth_flow":"DeviceCode"})";
}
std::string old_record(char tail = '1') {
    return record(tail, "2026-10-01T12:00:00.123456789Z");
}
std::string new_record(char tail = '2') {
    return record(tail, "2026-11-25T12:02:03.000000000Z");
}
std::string registration() {
    return R"({"client_id":"id","client_secret":")" + std::string(client_secret) + "\"}";
}

class WriteBackDb : public testing::TestWithParam<const char *> {
protected:
    WriteBackDb() : umask_(umask(077)) {
        Database other(path_);
        other.run(std::string("PRAGMA journal_mode = ") + GetParam());
        other.run("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)");
        other.run("CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB)");
        other.run("INSERT INTO state VALUES ('theirs', x'00ff')");
        other.put("kirocli:odic:device-registration", registration());
        other.put(token_key, old_record());
    }
    ~WriteBackDb() override { umask(umask_); }

    kiro_source source() const { return {KIRO_SOURCE_CREDENTIALS_DB, path_.c_str(), key_, 0}; }

    // A login as the database has it, and what the auth host makes of it.
    void take(char tail = '2') {
        const kiro_source from = source();
        used_ = own(kiro_store_read_source(&from, &f_));
        ASSERT_TRUE(used_) << f_.message;
        fresh_ = own(kiro_credential_copy(used_.get()));
        refresh(tail);
    }
    void refresh(char tail) {
        used_ = own(kiro_credential_copy(fresh_.get()));
        const std::string body = R"({"accessToken":")" + access_token(tail) + R"(","refreshToken":")" +
                                 refresh_token(tail) + R"(","expiresIn":3600})";
        ASSERT_EQ(kiro_refresh_reply(fresh_.get(), now, 200, body.data(), body.size(), &f_), KIRO_REFRESH_OK);
    }
    kiro_status save() {
        const kiro_source to = source();
        kiro_credential *found = nullptr;
        f_ = {};
        const kiro_status status = kiro_store_write_back(&to, used_.get(), fresh_.get(), &found, &f_);
        found_ = own(found);
        EXPECT_EQ(status == KIRO_AGAIN, found != nullptr);
        EXPECT_EQ(std::string(f_.message).find(leak_mark), std::string::npos) << f_.message;
        return status;
    }
    bool says(const std::string &text) const {
        return std::string(f_.message).find(text) != std::string::npos;
    }
    std::string value(const std::string &key = token_key) { return Database(path_).value(key); }
    std::set<std::string> files() const {
        std::set<std::string> names;
        for (const auto &entry : fs::directory_iterator(dir_)) {
            names.insert(entry.path().filename());
        }
        return names;
    }

    Folder folder_;
    const fs::path dir_ = folder_.path();
    const fs::path path_ = dir_ / "data.sqlite3";
    const char *key_ = nullptr;
    const mode_t umask_;
    CredentialPtr used_{nullptr, kiro_credential_free};
    CredentialPtr fresh_{nullptr, kiro_credential_free};
    CredentialPtr found_{nullptr, kiro_credential_free};
    kiro_failure f_{};
};

INSTANTIATE_TEST_SUITE_P(Journal, WriteBackDb, testing::Values("delete", "wal"),
                         [](const auto &journal) { return std::string(journal.param); });

TEST_P(WriteBackDb, KeepsEverythingElse) {
    const std::string rest = "SELECT group_concat(key || typeof(value) || hex(value)) FROM (SELECT * FROM "
                             "auth_kv UNION ALL SELECT * FROM state) WHERE key != 'kirocli:odic:token'";
    const std::string before = Database(path_).get(rest);
    take();
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(value(), new_record());
    EXPECT_EQ(Database(path_).get(rest), before);
    EXPECT_EQ(Database(path_).get("SELECT typeof(value) FROM auth_kv"), "texttext");
    EXPECT_EQ(Database(path_).get("PRAGMA journal_mode"), GetParam());
    EXPECT_EQ(files(), std::set<std::string>{"data.sqlite3"});
    EXPECT_EQ(save(), KIRO_OK) << "it is there already";
    EXPECT_EQ(value(), new_record());
}

TEST_P(WriteBackDb, ABlobStaysABlob) {
    Database(path_).put(token_key, old_record(), "auth_kv", true);
    take();
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(value(), new_record());
    EXPECT_EQ(Database(path_).get("SELECT typeof(value) FROM auth_kv WHERE key LIKE '%:token'"), "blob");
}

TEST_P(WriteBackDb, BothSpellingsOfOneLogin) {
    Database(path_).put("kirocli:oidc:token", old_record());
    Database(path_).put("kirocli:social:token", old_record('s'));
    key_ = token_key;
    take();
    key_ = nullptr;
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(value(), new_record());
    EXPECT_EQ(value("kirocli:oidc:token"), new_record());
    EXPECT_EQ(value("kirocli:social:token"), old_record('s'));
}

TEST_P(WriteBackDb, OnlyTheRowThatIsSet) {
    Database(path_).put("kirocli:social:token", old_record('s'));
    key_ = "kirocli:social:token";
    take();
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(value(key_), new_record());
    EXPECT_EQ(value(), old_record());
}

TEST_P(WriteBackDb, AnotherLoginWins) {
    take();
    const std::string theirs = record('t', "2999-10-01T12:00:00Z");
    Database(path_).put(token_key, theirs);
    EXPECT_EQ(save(), KIRO_AGAIN);
    EXPECT_EQ(text(view(found_).refresh_token), refresh_token('t'));
    EXPECT_TRUE(says("holds another login by now"));
    EXPECT_EQ(value(), theirs);
    EXPECT_EQ(kiro_credential_prefer_state(found_.get(), fresh_.get()), 0);
}

TEST_P(WriteBackDb, WhatCouldNotBeWrittenIsMadeUpForLater) {
    take('2');
    refresh('3');
    refresh('4');
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(value(), new_record('4'));
}

TEST_P(WriteBackDb, ARowThatIsGoneIsNotMadeAgain) {
    take();
    Database(path_).run("DELETE FROM auth_kv WHERE key LIKE '%:token'");
    EXPECT_EQ(save(), KIRO_ERROR);
    EXPECT_TRUE(says("nobody is logged in")) << f_.message;
    EXPECT_EQ(Database(path_).get("SELECT key FROM auth_kv"), "kirocli:odic:device-registration");
}

TEST_P(WriteBackDb, ACorruptRowIsNotOverwritten) {
    take();
    Database(path_).put(token_key, "{\"refresh_token\":");
    EXPECT_EQ(save(), KIRO_ERROR);
    EXPECT_EQ(value(), "{\"refresh_token\":");
}

TEST_P(WriteBackDb, WhateverTheTableIsLike) {
    const char *const tables[] = {
        "CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
        "CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
        "CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT COLLATE NOCASE) STRICT",
        "CREATE TABLE auth_kv (key, value)",
        "CREATE TABLE auth_kv (key TEXT COLLATE NOCASE UNIQUE, value TEXT CHECK (length(value) > 0))",
    };
    for (const char *encoding : {"UTF-8", "UTF-16le"}) {
        for (const char *table : tables) {
            fs::remove(path_);
            {
                Database other(path_);
                other.run(std::string("PRAGMA encoding = '") + encoding + "'");
                other.run(std::string("PRAGMA journal_mode = ") + GetParam());
                other.run(table);
                other.run("CREATE INDEX i ON auth_kv (key, value)");
                other.put("kirocli:odic:device-registration", registration());
                other.put(token_key, old_record());
            }
            take();
            ASSERT_EQ(save(), KIRO_OK) << table << ": " << f_.message;
            EXPECT_EQ(value(), new_record()) << table;
            EXPECT_EQ(Database(path_).get("PRAGMA integrity_check"), "ok") << table;
        }
    }
    Database(path_).run("DROP TABLE auth_kv; CREATE TABLE auth_kv (key, value)");
    Database(path_).put("kirocli:odic:device-registration", registration());
    Database(path_).put(token_key, old_record());
    Database(path_).put(token_key, old_record());
    take();
    EXPECT_EQ(save(), KIRO_OK) << "a row that is there twice: " << f_.message;
    EXPECT_EQ(value(), new_record() + new_record());
}

TEST_P(WriteBackDb, ATriggerOfTheirsDoesNotRun) {
    Database(path_).run("CREATE TRIGGER t AFTER UPDATE ON auth_kv BEGIN DELETE FROM auth_kv; END");
    take();
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(value(), new_record());
}

TEST_P(WriteBackDb, WaitsForAWriter) {
    take();
    std::atomic<bool> locked = false;
    std::thread writer([&] {
        Database other(path_);
        other.run("BEGIN IMMEDIATE");
        other.run("INSERT INTO state VALUES ('meanwhile', 1)");
        locked = true;
        std::this_thread::sleep_for(300ms);
        other.run("COMMIT");
    });
    while (!locked) {
        std::this_thread::yield();
    }
    EXPECT_EQ(save(), KIRO_OK) << f_.message;
    writer.join();
    EXPECT_EQ(value(), new_record());
    EXPECT_EQ(Database(path_).get("SELECT 1 FROM state WHERE key = 'meanwhile'"), "1");
}

TEST_P(WriteBackDb, AWriterThatNeverEndsIsAFailureThatPasses) {
    take();
    Database other(path_);
    other.run("BEGIN EXCLUSIVE");
    EXPECT_EQ(save(), KIRO_ERROR);
    EXPECT_EQ(f_.kind, KIRO_FAIL_UNAVAILABLE);
    EXPECT_TRUE(says("locked by another program")) << f_.message;
    other.run("ROLLBACK");
    EXPECT_EQ(save(), KIRO_OK) << f_.message;
}

// Before their transaction ours is not there, behind it theirs wins.
TEST_P(WriteBackDb, WhatAWriterCommitsWhileItIsWaitedForWins) {
    take();
    const std::string theirs = record('t', "2999-10-01T12:00:00Z");
    std::atomic<bool> locked = false;
    std::thread writer([&] {
        Database other(path_);
        other.run("BEGIN IMMEDIATE");
        locked = true;
        std::this_thread::sleep_for(200ms);
        other.put(token_key, theirs);
        other.run("COMMIT");
    });
    while (!locked) {
        std::this_thread::yield();
    }
    EXPECT_EQ(save(), KIRO_AGAIN) << f_.message;
    writer.join();
    EXPECT_EQ(value(), theirs);
}

TEST_P(WriteBackDb, NoUpdateOfOthersIsLost) {
    constexpr int rounds = 100;
    take('2');
    Database(path_).run("INSERT INTO state VALUES ('count', 0)");
    const pid_t pid = fork();
    if (pid == 0) {
        Database other(path_);
        for (int i = 0; i < rounds; ++i) {
            other.run("BEGIN IMMEDIATE");
            other.run("UPDATE state SET value = value + 1 WHERE key = 'count'");
            other.run("COMMIT");
            std::this_thread::sleep_for(2ms); // without a gap nobody else comes in
        }
        _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    char tail = '2';
    for (int i = 0; i < rounds / 4; ++i) {
        EXPECT_EQ(save(), KIRO_OK) << f_.message;
        tail = static_cast<char>('A' + i % 26);
        refresh(tail);
    }
    EXPECT_EQ(save(), KIRO_OK) << f_.message;
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(value(), new_record(tail));
    EXPECT_EQ(Database(path_).get("SELECT value FROM state WHERE key = 'count'"), std::to_string(rounds));
}

// Of the same process, as two accounts of one worker are, and another one with it open.
TEST_P(WriteBackDb, AConnectionOfTheOwnerSeesIt) {
    take();
    Database owner(path_);
    EXPECT_EQ(owner.value(token_key), old_record());
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(owner.value(token_key), new_record());
}

TEST_P(WriteBackDb, OnlyTheOwnerWrites) {
    if (geteuid() != 0) {
        GTEST_SKIP() << "only root can be somebody else";
    }
    take();
    fs::permissions(dir_, fs::perms(0777));
    fs::permissions(path_, fs::perms(0666));
    EXPECT_EQ(in_child([&] {
                  if (setuid(other_user) != 0) {
                      return 1;
                  }
                  return save() == KIRO_ERROR && says("belongs to another user") ? 0 : 2;
              }),
              0);
    EXPECT_EQ(value(), old_record());
    EXPECT_EQ(files(), std::set<std::string>{"data.sqlite3"});
}

TEST_P(WriteBackDb, AsRootNothingOfRootStays) {
    if (geteuid() != 0) {
        GTEST_SKIP() << "only root can be somebody else";
    }
    take();
    ASSERT_EQ(chown(dir_.c_str(), other_user, other_user), 0);
    ASSERT_EQ(chown(path_.c_str(), other_user, other_user), 0);
    {
        Database reader(path_); // keeps the files of a WAL there
        reader.value(token_key);
        ASSERT_EQ(save(), KIRO_OK) << f_.message;
        for (const auto &entry : fs::directory_iterator(dir_)) {
            struct stat info {};
            stat(entry.path().c_str(), &info);
            EXPECT_EQ(info.st_uid, other_user) << entry.path();
        }
        EXPECT_EQ(in_child([&] {
                      if (setuid(other_user) != 0) {
                          return 1;
                      }
                      Database owner(path_);
                      owner.put("theirs", "1");
                      return owner.value(token_key) == new_record() ? 0 : 2;
                  }),
                  0);
    }
    EXPECT_EQ(value("theirs"), "1");
}

TEST_P(WriteBackDb, AReadOnlyDatabaseOrDirectoryIsAClearFailure) {
    take();
    ASSERT_EQ(geteuid() == 0 ? chown(dir_.c_str(), other_user, other_user) : 0, 0);
    ASSERT_EQ(geteuid() == 0 ? chown(path_.c_str(), other_user, other_user) : 0, 0);
    const auto fails = [&](const char *what) {
        return in_child([&] {
            if (geteuid() == 0 && setuid(other_user) != 0) {
                return 1;
            }
            const int result =
                save() == KIRO_ERROR && says("cannot be written") && says("cannot write") ? 0 : 2;
            if (result != 0) {
                std::fprintf(stderr, "%s: %s\n", what, f_.message);
            }
            return result;
        });
    };
    fs::permissions(path_, fs::perms(0400));
    EXPECT_EQ(fails("database"), 0);
    fs::permissions(path_, fs::perms(0600));
    fs::permissions(dir_, fs::perms(0500));
    EXPECT_EQ(fails("directory"), 0);
    fs::permissions(dir_, fs::perms(0700));
    EXPECT_EQ(value(), old_record());
    EXPECT_EQ(files(), std::set<std::string>{"data.sqlite3"});
}

TEST_P(WriteBackDb, ADatabaseThatIsGoneOrNone) {
    take();
    fs::rename(path_, dir_ / "elsewhere");
    EXPECT_EQ(save(), KIRO_ERROR);
    EXPECT_TRUE(says("No such file")) << f_.message;
    EXPECT_FALSE(fs::exists(path_));
}

} // namespace
