#include "kiro/store.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/credentials.h"
#include "support/folder.h"

namespace {

using namespace kiro::test;
namespace fs = std::filesystem;

constexpr int64_t now = 1795604523000; // 2026-11-25T11:02:03Z; answers last an hour

// What the auth host answers.
std::string answer(char tail, bool rotates) {
    return R"({"accessToken":")" + access_token(tail) +
           (rotates ? R"(","refreshToken":")" + refresh_token(tail) : "") + R"(","expiresIn":3600})";
}

class WriteBack : public testing::Test {
protected:
    std::string write(const std::string &name, const std::string &content) {
        return folder_.write(name, content);
    }
    size_t files() const { return folder_.files(); }

    // A login that is read from the source, as the refresh does it.
    void take(kiro_source_kind kind, const std::string &path) {
        path_ = path;
        kind_ = kind;
        const kiro_source source{kind_, path_.c_str(), nullptr, 0};
        used_ = own(kiro_store_read_source(&source, &f_));
        ASSERT_TRUE(used_) << f_.message;
        refresh(used_, '2');
    }
    void take(const std::string &path) { take(KIRO_SOURCE_CREDENTIALS_FILE, path); }

    void refresh(const CredentialPtr &used, char tail, bool rotates = true) {
        CredentialPtr before = own(kiro_credential_copy(used.get()));
        fresh_ = own(kiro_credential_copy(used.get()));
        const std::string body = answer(tail, rotates);
        ASSERT_EQ(kiro_refresh_reply(fresh_.get(), now, 200, body.data(), body.size(), &f_), KIRO_REFRESH_OK);
        used_ = std::move(before);
    }

    kiro_status save() {
        const kiro_source source{kind_, path_.c_str(), nullptr, 0};
        kiro_credential *found = nullptr;
        const kiro_status status = kiro_store_write_back(&source, used_.get(), fresh_.get(), &found, &f_);
        found_ = own(found);
        EXPECT_EQ(status == KIRO_AGAIN, found != nullptr);
        EXPECT_EQ(std::string(f_.message).find(leak_mark), std::string::npos) << f_.message;
        return status;
    }

    void expect_failure(const std::string &says) {
        const std::string before = content_of(path_);
        EXPECT_EQ(save(), KIRO_ERROR);
        EXPECT_NE(std::string(f_.message).find(says), std::string::npos)
            << f_.message << " should say " << says;
        EXPECT_EQ(content_of(path_), before);
    }

    Folder folder_;
    const fs::path dir_ = folder_.path();
    std::string path_;
    kiro_source_kind kind_ = KIRO_SOURCE_CREDENTIALS_FILE;
    CredentialPtr used_{nullptr, kiro_credential_free};
    CredentialPtr fresh_{nullptr, kiro_credential_free};
    CredentialPtr found_{nullptr, kiro_credential_free};
    kiro_failure f_{};
};

std::string record(char tail, const std::string &expiry) {
    return "{\n \"unknown\": [1, null],\"accessToken\":\"" + access_token(tail) + "\",\"refreshToken\":\"" +
           refresh_token(tail) + "\",\"expiresAt\":\"" + expiry + "\",\"authMethod\":\"social\"}\n";
}

std::string old_record() {
    return record('1', "2026-10-01T12:00:00");
}
std::string new_record() {
    return record('2', "2026-11-25T12:02:03");
}

// The code of work in a child process, so that limits and users change only there.
TEST_F(WriteBack, KeepsEverythingElseOfTheFile) {
    take(write("login.json", old_record()));
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(content_of(path_), new_record());
    EXPECT_EQ(files(), 1u);
    EXPECT_EQ(save(), KIRO_OK) << "it is there already";
    EXPECT_EQ(content_of(path_), new_record());
}

TEST_F(WriteBack, ABareRefreshToken) {
    take(KIRO_SOURCE_REFRESH_TOKEN_FILE, write("token", refresh_token('1') + "\n"));
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(content_of(path_), refresh_token('2') + "\n");
    write("token", refresh_token('x'));
    EXPECT_EQ(save(), KIRO_AGAIN);
    EXPECT_EQ(text(view(found_).refresh_token), refresh_token('x'));
}

TEST_F(WriteBack, TheRegistrationIsNotTouched) {
    const std::string registration = "{" + registration_members() + "}";
    const std::string path = write("0123456789abcdef0123456789abcdef01234567.json", registration);
    take(write("login.json", oidc_json(refresh_token('1'))));
    const auto before = fs::last_write_time(path);
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(content_of(path), registration);
    EXPECT_EQ(fs::last_write_time(path), before);
    EXPECT_EQ(files(), 2u);
}

TEST_F(WriteBack, KeepsModeAndOwner) {
    take(write("login.json", old_record()));
    chmod(path_.c_str(), 0640);
    const bool root = geteuid() == 0;
    if (root) {
        ASSERT_EQ(chown(path_.c_str(), 65534, 12345), 0);
    }
    const mode_t mask = umask(0777);
    EXPECT_EQ(save(), KIRO_OK) << f_.message;
    umask(mask);
    struct stat info {};
    ASSERT_EQ(stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777u, 0640u);
    EXPECT_EQ(info.st_uid, root ? 65534 : geteuid());
    EXPECT_TRUE(!root || info.st_gid == 12345);
}

TEST_F(WriteBack, ALinkStaysAndItsTargetIsReplaced) {
    fs::create_directory(dir_ / "real");
    write("real/login.json", old_record());
    fs::create_symlink("real/login.json", dir_ / "link");
    take((dir_ / "link").string());
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_TRUE(fs::is_symlink(dir_ / "link"));
    EXPECT_EQ(content_of(dir_ / "real" / "login.json"), new_record());
    EXPECT_EQ(files(), 2u);
}

TEST_F(WriteBack, AnotherLoginWins) {
    take(write("login.json", old_record()));
    write("login.json", record('x', "2026-11-25T12:30:00"));
    ASSERT_EQ(save(), KIRO_AGAIN);
    EXPECT_EQ(text(view(found_).refresh_token), refresh_token('x'));
    EXPECT_EQ(content_of(path_), record('x', "2026-11-25T12:30:00"));
    // What we had is older than what was found, wherever it turns up again.
    EXPECT_TRUE(kiro_credential_prefer_state(fresh_.get(), found_.get()));
    EXPECT_TRUE(kiro_credential_prefer_state(used_.get(), found_.get()));
    EXPECT_FALSE(kiro_credential_prefer_state(found_.get(), fresh_.get()));
}

TEST_F(WriteBack, WhatCouldNotBeWrittenIsMadeUpForLater) {
    take(write("login.json", old_record()));
    refresh(fresh_, '3');
    refresh(fresh_, '4');
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    EXPECT_EQ(content_of(path_), record('4', "2026-11-25T12:02:03"));
}

TEST_F(WriteBack, WithoutARotation) {
    take(write("login.json", old_record()));
    refresh(used_, '2', false);
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
    std::string expected = new_record();
    expected.replace(expected.find(refresh_token('2')), refresh_token().size(), refresh_token('1'));
    EXPECT_EQ(content_of(path_), expected);
}

TEST_F(WriteBack, ACorruptFileIsNotOverwritten) {
    take(write("login.json", old_record()));
    for (const std::string &bad : {std::string(), std::string("{"), old_record().substr(0, 90),
                                   std::string("null"), std::string(R"({"refreshToken":5})")}) {
        write("login.json", bad);
        expect_failure("it is not overwritten");
    }
    EXPECT_EQ(files(), 1u);
}

TEST_F(WriteBack, AFileThatIsGoneIsNotMadeAgain) {
    take(write("login.json", old_record()));
    fs::remove(path_);
    EXPECT_EQ(save(), KIRO_ERROR);
    EXPECT_NE(std::string(f_.message).find("No such file"), std::string::npos) << f_.message;
    EXPECT_EQ(files(), 0u);
}

TEST_F(WriteBack, AnApiKeyIsNeverWritten) {
    take(write("login.json", old_record()));
    kind_ = KIRO_SOURCE_API_KEY_FILE;
    expect_failure("API key");
}

TEST_F(WriteBack, WhatMustNotBeReplaced) {
    take(write("login.json", old_record()));
    chmod(path_.c_str(), 0400);
    expect_failure("read-only");
    chmod(path_.c_str(), 0600);
    fs::create_hard_link(path_, dir_ / "second");
    expect_failure("hard link");
    fs::remove(dir_ / "second");
    ASSERT_EQ(save(), KIRO_OK) << f_.message;
}

TEST_F(WriteBack, AFullDiskLeavesTheOldLogin) {
    take(write("login.json", old_record()));
    EXPECT_EQ(in_child([&] {
                  // write() then fails in the middle of the file, as on a full disk.
                  signal(SIGXFSZ, SIG_IGN);
                  const rlimit limit{64, 64};
                  setrlimit(RLIMIT_FSIZE, &limit);
                  const bool clear = save() == KIRO_ERROR &&
                                     std::string(f_.message).find("cannot write") != std::string::npos;
                  return clear ? 0 : 1;
              }),
              0);
    EXPECT_EQ(content_of(path_), old_record());
    EXPECT_EQ(files(), 1u) << "the temporary file must not stay";
}

// Root may do anything; anybody else may not.
template <class Work> int as_nobody(Work work) {
    return in_child([&] {
        const bool changed = geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0);
        return changed ? work() : 2;
    });
}

TEST_F(WriteBack, AReadOnlyDirectoryIsAClearFailure) {
    take(write("login.json", old_record()));
    if (geteuid() == 0) {
        ASSERT_EQ(chown(path_.c_str(), 65534, 65534), 0);
    }
    chmod(dir_.c_str(), 0555);
    EXPECT_EQ(as_nobody([&] {
                  return save() == KIRO_ERROR &&
                                 std::string(f_.message).find("Permission denied") != std::string::npos
                             ? 0
                             : 1;
              }),
              0);
    chmod(dir_.c_str(), 0755);
    EXPECT_EQ(content_of(path_), old_record());
}

TEST_F(WriteBack, AFileOfSomebodyElseStaysHis) {
    if (geteuid() != 0) {
        GTEST_SKIP() << "needs root to make one";
    }
    take(write("login.json", old_record()));
    chmod(path_.c_str(), 0666);
    chmod(dir_.c_str(), 0777);
    EXPECT_EQ(as_nobody([&] {
                  return save() == KIRO_ERROR &&
                                 std::string(f_.message).find("another user") != std::string::npos
                             ? 0
                             : 1;
              }),
              0);
    EXPECT_EQ(content_of(path_), old_record());
}

// Somebody writes in place: at any moment the file may be empty or half.
TEST_F(WriteBack, WaitsForAFileThatIsBeingWritten) {
    take(write("login.json", old_record()));
    write("login.json", "{\"accessToken\":");
    const pid_t writer = fork();
    if (writer == 0) {
        usleep(60000);
        write("login.json", record('x', "2026-11-25T12:30:00"));
        _exit(0);
    }
    EXPECT_EQ(save(), KIRO_AGAIN) << f_.message;
    waitpid(writer, nullptr, 0);
    EXPECT_EQ(content_of(path_), record('x', "2026-11-25T12:30:00"));
}

// A process that rotates at the same time, by rename: its login is there in the end, whoever was first.
TEST_F(WriteBack, AnotherProcessRotatesAtTheSameTime) {
    constexpr int rounds = 60;
    const std::string theirs = record('x', "2026-11-25T12:30:00");
    int first = 0;
    for (int round = 0; round < rounds; ++round) {
        take(write("login.json", old_record()));
        const std::string other = write("other", theirs);
        const pid_t pid = fork();
        if (pid == 0) {
            usleep(static_cast<useconds_t>(round * 10));
            _exit(rename(other.c_str(), path_.c_str()));
        }
        const kiro_status status = save();
        waitpid(pid, nullptr, 0);
        ASSERT_TRUE(status == KIRO_OK || status == KIRO_AGAIN) << f_.message;
        first += status == KIRO_OK ? 1 : 0;
        ASSERT_EQ(content_of(path_), theirs) << round << " " << first;
    }
    EXPECT_EQ(files(), 1u);
}

// One that never stops: an error or its login, but never a torn file and never a lost one.
TEST_F(WriteBack, AnotherProcessRotatesAllTheTime) {
    constexpr int rounds = 20;
    const std::string theirs = record('x', "2026-11-25T12:30:00");
    take(write("login.json", old_record()));
    const pid_t pid = fork();
    if (pid == 0) {
        for (bool old = false;; old = !old) {
            const std::string other = write("other", old ? old_record() : theirs);
            if (rename(other.c_str(), path_.c_str()) != 0) {
                _exit(1);
            }
        }
    }
    for (int round = 0; round < rounds; ++round) {
        EXPECT_NE(save(), KIRO_NOMEM) << f_.message;
        const std::string there = content_of(path_);
        EXPECT_TRUE(there == theirs || there == old_record() || there == new_record()) << there;
    }
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    EXPECT_LE(files(), 2u);
}

} // namespace
