#include "kiro/store.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/credentials.h"
#include "support/folder.h"

namespace {

using namespace kiro::test;
namespace fs = std::filesystem;

class Store : public testing::Test {
protected:
    std::string write(const std::string &name, const std::string &content) {
        return folder_.write(name, content);
    }

    CredentialPtr read(kiro_source_kind kind, const std::string &path, int allow_exposed = 0) {
        const kiro_source source{kind, path.c_str(), nullptr, allow_exposed};
        return own(kiro_store_read_source(&source, &f_));
    }

    void expect_failure(const std::string &says) {
        const std::string message = f_.message;
        EXPECT_NE(f_.kind, KIRO_FAIL_NONE);
        EXPECT_NE(message.find(says), std::string::npos) << message << " should say " << says;
        EXPECT_EQ(message.find(leak_mark), std::string::npos) << message;
    }

    CredentialPtr login(char tail = 'r') { return parse(social_json(refresh_token(tail)), &f_); }

    kiro_status save(const CredentialPtr &cred, const char *account = "main") {
        return kiro_store_write_state(dir_.c_str(), account, cred.get(), &f_);
    }

    CredentialPtr load(const char *account = "main") {
        return own(kiro_store_read_state(dir_.c_str(), account, &f_));
    }

    size_t files() const { return folder_.files(); }

    Folder folder_;
    const fs::path dir_ = folder_.path();
    kiro_failure f_{};
};

unsigned mode_of(const fs::path &path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return info.st_mode & 07777u;
}

TEST_F(Store, ReadsEachKindOfSource) {
    auto cred = read(KIRO_SOURCE_API_KEY_FILE, write("key", "ksk_SECRET\n"));
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_EQ(view(cred).login, KIRO_LOGIN_API_KEY);
    cred = read(KIRO_SOURCE_REFRESH_TOKEN_FILE, write("token", refresh_token() + "\n"));
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_EQ(text(view(cred).refresh_token), refresh_token());
    cred = read(KIRO_SOURCE_CREDENTIALS_FILE, write("login.json", social_json(refresh_token())));
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_EQ(view(cred).login, KIRO_LOGIN_SOCIAL);
}

TEST_F(Store, FindsTheRegistrationBesideTheLogin) {
    constexpr const char *name = "0123456789abcdef0123456789abcdef01234567.json";
    const std::string path = write("kiro-auth-token.json", oidc_json(refresh_token()));
    auto cred = read(KIRO_SOURCE_CREDENTIALS_FILE, path);
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_FALSE(view(cred).has_registration);
    EXPECT_NE(text(view(cred).warning).find("there is no " + (dir_ / name).string()), std::string::npos)
        << text(view(cred).warning);

    const std::string registration = write(name, "{");
    cred = read(KIRO_SOURCE_CREDENTIALS_FILE, path);
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_FALSE(view(cred).has_registration);
    EXPECT_NE(text(view(cred).warning).find(registration + ": this is not valid JSON"), std::string::npos)
        << text(view(cred).warning);
    auto bare = std::move(cred);

    write(name, "{" + registration_members() + R"(,"expiresAt":"2026-12-30T00:00:00Z"})");
    cred = read(KIRO_SOURCE_CREDENTIALS_FILE, path);
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_TRUE(view(cred).has_registration);
    EXPECT_EQ(text(view(cred).warning), "");
    EXPECT_EQ(text(view(cred).found), "authMethod idc, client registration beside it");
    EXPECT_EQ(view(cred).registration_expires_at, 1798588800000);

    kiro_credential_keep_registration(bare.get(), cred.get());
    EXPECT_TRUE(view(bare).has_registration) << "who cannot read the file keeps what is known of it";
    auto social = login();
    kiro_credential_keep_registration(social.get(), cred.get());
    EXPECT_FALSE(view(social).has_registration);
}

TEST_F(Store, FindsWhatIsBesideTheFileThatALinkLeadsTo) {
    const std::string hash = "0123456789abcdef0123456789abcdef01234567.json";
    fs::create_directories(dir_ / ".aws/sso/cache");
    fs::create_directories(dir_ / ".config/Kiro/User/globalStorage/kiro.kiroagent");
    fs::create_directory(dir_ / "etc");
    const std::string login = write(".aws/sso/cache/kiro-auth-token.json", oidc_json(refresh_token()));
    const fs::path link = dir_ / "etc/login.json";
    fs::create_symlink(login, link);
    const auto without = read(KIRO_SOURCE_CREDENTIALS_FILE, link);
    ASSERT_TRUE(without) << f_.message;
    for (const char *dir : {"etc/", ".aws/sso/cache/"}) {
        EXPECT_NE(text(view(without).warning).find(dir + hash), std::string::npos)
            << text(view(without).warning);
    }
    const std::string arn = "arn:aws:codewhisperer:eu-central-1:000000000000:profile/CHOSEN";
    write(".config/Kiro/User/globalStorage/kiro.kiroagent/profile.json", R"({"arn":")" + arn + R"("})");
    const std::string registration = write(".aws/sso/cache/" + hash, "{" + registration_members() + "}");
    const auto cred = read(KIRO_SOURCE_CREDENTIALS_FILE, link);
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_TRUE(view(cred).has_registration) << text(view(cred).warning);
    EXPECT_EQ(text(view(cred).warning), "");
    EXPECT_EQ(text(view(cred).record_arn), arn);

    chmod(registration.c_str(), 0644);
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, link));
    expect_failure(hash + " can be read by every user");
    write("etc/" + hash, "{" + registration_members() + "}");
    EXPECT_TRUE(read(KIRO_SOURCE_CREDENTIALS_FILE, link)) << "the one beside the link comes first";
}

TEST_F(Store, AnInlineRegistrationWins) {
    const auto cred = read(KIRO_SOURCE_CREDENTIALS_FILE,
                           write("login.json", oidc_json(refresh_token(), registration_members() + ",")));
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_TRUE(view(cred).has_registration);
}

TEST_F(Store, SaysWhatIsWrongWithASource) {
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, (dir_ / "absent.json").string()));
    expect_failure("absent.json: No such file");
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, dir_.string()));
    expect_failure("it is a directory");

    const std::string fifo = (dir_ / "fifo").string();
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, fifo));
    expect_failure("not a regular file");
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, "/dev/zero"));
    expect_failure("not a regular file");

    const std::string big = write("big", std::string((1 << 20) + 1, ' '));
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, big));
    expect_failure("larger than 1048576 bytes");

    const std::string bad = write("bad.json", R"({"accessToken":"SECRET)");
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, bad));
    expect_failure(bad);
    EXPECT_FALSE(read(KIRO_SOURCE_API_KEY_FILE, write("key", "SECRET")));
    expect_failure("ksk_");
    EXPECT_FALSE(read(KIRO_SOURCE_REFRESH_TOKEN_FILE, write("token", "ksk_SECRET")));
    expect_failure("API key");
    EXPECT_FALSE(read(KIRO_SOURCE_REFRESH_TOKEN_FILE, write("empty", "")));
    expect_failure("no refresh token");
}

TEST_F(Store, NamesALongPathByItsEnd) {
    const std::string path = dir_.string() + std::string(600, '/') + "absent.json";
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, path));
    expect_failure("absent.json: No such file");
}

TEST_F(Store, KeepsTheState) {
    EXPECT_FALSE(load());
    EXPECT_EQ(f_.kind, KIRO_FAIL_NONE);
    ASSERT_EQ(save(login()), KIRO_OK) << f_.message;
    const auto back = load();
    ASSERT_TRUE(back) << f_.message;
    EXPECT_EQ(serialize(back), serialize(login()));
    EXPECT_EQ(text(view(back).fingerprint), text(view(login()).fingerprint));

    ASSERT_EQ(save(login('2')), KIRO_OK);
    EXPECT_EQ(text(view(load()).refresh_token), refresh_token('2'));
    EXPECT_EQ(files(), 1u);
}

TEST_F(Store, SettingsDoNotStayBehindInTheState) {
    const auto cred = login();
    const char *arn = "arn:aws:codewhisperer:eu-central-1:000000000000:profile/OWN";
    ASSERT_EQ(kiro_credential_override(cred.get(), str(arn), str("eu-north-1")), KIRO_OK);
    ASSERT_EQ(save(cred), KIRO_OK);
    const auto back = load();
    ASSERT_TRUE(back) << f_.message;
    EXPECT_EQ(text(view(back).profile_arn), text(view(login()).profile_arn));
    EXPECT_EQ(text(view(back).sso_region), "us-east-1");
}

TEST_F(Store, TheStateIsPrivate) {
    for (mode_t mask : {0000, 0077, 0777}) {
        const mode_t old = umask(mask);
        const kiro_status status = save(login());
        umask(old);
        ASSERT_EQ(status, KIRO_OK) << f_.message;
        EXPECT_EQ(mode_of(dir_ / "main.json"), 0600u) << mask;
    }
    int fd = -1;
    ASSERT_EQ(kiro_store_lock(dir_.c_str(), "main", &fd, &f_), KIRO_OK);
    EXPECT_EQ(mode_of(dir_ / "main.lock"), 0600u);
    EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    kiro_store_unlock(fd);
}

TEST_F(Store, RefusesAForeignState) {
    const std::string contents[] = {"",   "{",    social_json(refresh_token()),
                                    "{}", "null", serialize(login()).substr(0, 100)};
    for (const std::string &content : contents) {
        write("main.json", content);
        EXPECT_FALSE(load()) << content;
        expect_failure("main.json");
    }
}

TEST_F(Store, RefusesNamesThatAreNoFileNames) {
    for (const std::string &name :
         {std::string(), std::string("."), std::string(".."), std::string("../x"), std::string("a/b"),
          std::string(".hidden"), std::string("a\nb"), std::string(201, 'a')}) {
        int fd = 0;
        EXPECT_EQ(save(login(), name.c_str()), KIRO_ERROR) << name;
        EXPECT_FALSE(load(name.c_str()));
        EXPECT_EQ(f_.kind, KIRO_FAIL_INTERNAL);
        EXPECT_EQ(kiro_store_lock(dir_.c_str(), name.c_str(), &fd, &f_), KIRO_ERROR);
        EXPECT_EQ(fd, -1);
    }
    EXPECT_EQ(files(), 0u);
    EXPECT_EQ(save(login(), std::string(200, 'a').c_str()), KIRO_OK);
}

TEST_F(Store, SaysThatTheDirectoryIsMissing) {
    const std::string gone = (dir_ / "gone").string();
    int fd = 0;
    EXPECT_EQ(kiro_store_write_state(gone.c_str(), "main", login().get(), &f_), KIRO_ERROR);
    expect_failure("gone: No such file");
    EXPECT_EQ(kiro_store_lock(gone.c_str(), "main", &fd, &f_), KIRO_ERROR);
    expect_failure("gone: No such file");
}

// The code of f in a child process, so that limits and users change only there.
TEST_F(Store, AFullDiskLeavesTheOldState) {
    ASSERT_EQ(save(login()), KIRO_OK);
    const auto next = login('2');
    const int failed = in_child([&] {
        // write() then fails in the middle of the file, as on a full disk.
        signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{64, 64};
        setrlimit(RLIMIT_FSIZE, &limit);
        const bool clear =
            save(next) == KIRO_ERROR && std::string(f_.message).find("main.json: ") != std::string::npos;
        return clear && std::string(f_.message).find(leak_mark) == std::string::npos ? 0 : 1;
    });
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(files(), 1u) << "the temporary file must not stay";
    EXPECT_EQ(text(view(load()).refresh_token), refresh_token());
}

TEST_F(Store, AFailedRenameLeavesNothing) {
    fs::create_directory(dir_ / "main.json");
    write("main.json/x", "");
    EXPECT_EQ(save(login()), KIRO_ERROR);
    expect_failure("main.json");
    EXPECT_EQ(files(), 1u);
}

TEST_F(Store, AReadOnlyDirectoryIsAClearFailure) {
    ASSERT_EQ(save(login()), KIRO_OK);
    const auto next = login('2');
    chmod(dir_.c_str(), 0555);
    const int result = in_child([&] {
        // Root may write anywhere.
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
            return 2;
        }
        return save(next) == KIRO_ERROR &&
                       std::string(f_.message).find("Permission denied") != std::string::npos
                   ? 0
                   : 1;
    });
    chmod(dir_.c_str(), 0755);
    EXPECT_EQ(result, 0);
    EXPECT_EQ(text(view(load()).refresh_token), refresh_token());
}

TEST_F(Store, RootGivesTheStateToTheDirectorysOwner) {
    if (geteuid() != 0) {
        GTEST_SKIP() << "only root can give files away";
    }
    ASSERT_EQ(chown(dir_.c_str(), 65534, 65534), 0);
    ASSERT_EQ(save(login()), KIRO_OK) << f_.message;
    int fd = -1;
    ASSERT_EQ(kiro_store_lock(dir_.c_str(), "main", &fd, &f_), KIRO_OK);
    kiro_store_unlock(fd);
    for (const char *name : {"main.json", "main.lock"}) {
        struct stat info {};
        ASSERT_EQ(stat((dir_ / name).c_str(), &info), 0);
        EXPECT_EQ(info.st_uid, 65534u) << name;
        EXPECT_EQ(info.st_gid, 65534u) << name;
    }
}

TEST_F(Store, SweepsOldTemporaryFiles) {
    const std::string old = write(".main.json.0123456789abcdef", "SECRET");
    const std::string fresh = write(".main.json.fedcba9876543210", "SECRET");
    const std::string other = write(".main.json.backup-of-mine-1", "x");
    const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
    fs::last_write_time(old, long_ago);
    fs::last_write_time(other, long_ago);
    ASSERT_EQ(save(login()), KIRO_OK);
    EXPECT_FALSE(fs::exists(old));
    EXPECT_TRUE(fs::exists(fresh)) << "it may be in use";
    EXPECT_TRUE(fs::exists(other));
}

TEST_F(Store, ALinkInPlaceOfTheStateIsReplacedNotFollowed) {
    const std::string target = write("target", "untouched");
    fs::create_symlink(target, dir_ / "main.json");
    ASSERT_EQ(save(login()), KIRO_OK);
    EXPECT_FALSE(fs::is_symlink(dir_ / "main.json"));
    EXPECT_EQ(fs::file_size(target), 9u);
}

TEST_F(Store, OnlyOneHoldsTheLock) {
    int first = -1;
    int second = -1;
    ASSERT_EQ(kiro_store_lock(dir_.c_str(), "main", &first, &f_), KIRO_OK) << f_.message;
    EXPECT_EQ(kiro_store_lock(dir_.c_str(), "main", &second, &f_), KIRO_AGAIN);
    EXPECT_EQ(second, -1);
    EXPECT_EQ(in_child([&] { return static_cast<int>(kiro_store_lock(dir_.c_str(), "main", &second, &f_)); }),
              KIRO_AGAIN);

    int other = -1;
    EXPECT_EQ(kiro_store_lock(dir_.c_str(), "other", &other, &f_), KIRO_OK)
        << "another account, another lock";
    kiro_store_unlock(other);

    kiro_store_unlock(first);
    ASSERT_EQ(kiro_store_lock(dir_.c_str(), "main", &second, &f_), KIRO_OK);
    kiro_store_unlock(second);
    kiro_store_unlock(-1);
}

TEST_F(Store, ADeadHolderFreesTheLock) {
    EXPECT_EQ(in_child([&] {
                  int fd;
                  return static_cast<int>(kiro_store_lock(dir_.c_str(), "main", &fd, &f_));
              }),
              KIRO_OK);
    int fd = -1;
    ASSERT_EQ(kiro_store_lock(dir_.c_str(), "main", &fd, &f_), KIRO_OK);
    kiro_store_unlock(fd);
}

TEST_F(Store, AForkedChildDoesNotKeepTheLock) {
    int fd = -1;
    ASSERT_EQ(kiro_store_lock(dir_.c_str(), "main", &fd, &f_), KIRO_OK);
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(pipes[1]);
        char c;
        _exit(::read(pipes[0], &c, 1) == 0 ? 0 : 1);
    }
    close(pipes[0]);
    kiro_store_unlock(fd);
    EXPECT_EQ(kiro_store_lock(dir_.c_str(), "main", &fd, &f_), KIRO_OK)
        << "the child still has the descriptor";
    kiro_store_unlock(fd);
    close(pipes[1]);
    waitpid(child, nullptr, 0);
}

TEST_F(Store, FindsTheProfileThatTheIdeChose) {
    const std::string arn = "arn:aws:codewhisperer:eu-central-1:000000000000:profile/CHOSEN";
    const std::string profile = R"({"arn":")" + arn + R"(","name":"Team"})";
    const fs::path cache = dir_ / ".aws/sso/cache";
    const fs::path ide = dir_ / ".config/Kiro/User/globalStorage/kiro.kiroagent";
    fs::create_directories(cache);
    fs::create_directories(ide);
    const std::string login = oidc_json(refresh_token(), registration_members() + ",");
    const std::string path = write(".aws/sso/cache/kiro-auth-token.json", login);
    const std::string copy = write("copy.json", login);
    const auto arn_of = [&](const std::string &from) {
        const auto cred = read(KIRO_SOURCE_CREDENTIALS_FILE, from);
        EXPECT_TRUE(cred) << f_.message;
        return cred ? std::string(text(view(cred).record_arn)) : "?";
    };
    EXPECT_EQ(arn_of(path), "");
    const std::string chosen = write(".config/Kiro/User/globalStorage/kiro.kiroagent/profile.json", profile);
    EXPECT_EQ(arn_of(path), arn);
    EXPECT_NE(text(view(read(KIRO_SOURCE_CREDENTIALS_FILE, path)).found).find("profile of " + chosen),
              std::string::npos);
    EXPECT_EQ(arn_of(copy), "") << "nothing says that it is of this login";
    chmod(chosen.c_str(), 0644);
    EXPECT_EQ(arn_of(path), arn) << "it is no secret";
    chmod(chosen.c_str(), 0666);
    EXPECT_EQ(arn_of(path), "") << "but others must not choose it";

    const std::string beside = write("profile.json", profile);
    EXPECT_EQ(arn_of(copy), arn);
    for (const char *bad : {"", "{", "{}", R"({"arn":1})", R"({"arn":"SECRET"})", "[]"}) {
        write("profile.json", bad);
        EXPECT_EQ(arn_of(copy), "") << bad;
    }
    write("profile.json", profile);
    EXPECT_EQ(arn_of(write("social.json", social_json(refresh_token()))),
              "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK")
        << "a record's own profile wins";
    EXPECT_EQ(arn_of(write("builder.json",
                           R"({"refreshToken":")" + refresh_token() + R"(","provider":"BuilderId"})")),
              "")
        << "a Builder ID has none";
}

TEST_F(Store, RefusesASourceThatEveryUserMayRead) {
    const std::pair<kiro_source_kind, std::string> sources[] = {
        {KIRO_SOURCE_API_KEY_FILE, write("key", "ksk_SECRET\n")},
        {KIRO_SOURCE_REFRESH_TOKEN_FILE, write("token", refresh_token() + "\n")},
        {KIRO_SOURCE_CREDENTIALS_FILE, write("login.json", social_json(refresh_token()))},
    };
    for (const auto &[kind, path] : sources) {
        for (mode_t mode : {0644, 0604, 0602, 0666, 0444}) {
            chmod(path.c_str(), mode);
            EXPECT_FALSE(read(kind, path)) << path << std::oct << mode;
            expect_failure(path + " can be " + ((mode & 2) != 0 ? "written" : "read") + " by every user");
            expect_failure("allow_exposed_files");
            const auto cred = read(kind, path, 1);
            ASSERT_TRUE(cred) << f_.message;
            EXPECT_NE(text(view(cred).warning).find("by every user"), std::string::npos);
        }
        for (mode_t mode : {0600, 0640, 0660, 0400}) {
            chmod(path.c_str(), mode);
            const auto cred = read(kind, path);
            ASSERT_TRUE(cred) << f_.message;
            EXPECT_EQ(text(view(cred).warning), "");
        }
    }
}

TEST_F(Store, RefusesARegistrationThatEveryUserMayRead) {
    const std::string path = write("kiro-auth-token.json", oidc_json(refresh_token()));
    const std::string registration =
        write("0123456789abcdef0123456789abcdef01234567.json", "{" + registration_members() + "}");
    chmod(registration.c_str(), 0644);
    EXPECT_FALSE(read(KIRO_SOURCE_CREDENTIALS_FILE, path));
    expect_failure(registration + " can be read by every user");
    const auto cred = read(KIRO_SOURCE_CREDENTIALS_FILE, path, 1);
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_TRUE(view(cred).has_registration);
    EXPECT_NE(text(view(cred).warning).find(registration), std::string::npos);
}

TEST_F(Store, ClosesAStateThatEveryUserMayRead) {
    ASSERT_EQ(save(login()), KIRO_OK);
    EXPECT_EQ(text(view(load()).warning), "");
    chmod((dir_ / "main.json").c_str(), 0644);
    const auto back = load();
    ASSERT_TRUE(back) << f_.message;
    EXPECT_NE(text(view(back).warning).find("main.json can be read by every user"), std::string::npos);
    EXPECT_EQ(mode_of(dir_ / "main.json"), 0600u);
    EXPECT_EQ(text(view(load()).warning), "");
}

// The workers' user can put it there, and the master reads as root.
TEST_F(Store, ALinkInPlaceOfTheStateChangesNoOtherFile) {
    ASSERT_EQ(save(login()), KIRO_OK);
    const fs::path target = dir_ / "target";
    fs::rename(dir_ / "main.json", target);
    chmod(target.c_str(), 0644);

    fs::create_symlink(target, dir_ / "main.json");
    EXPECT_FALSE(load());
    expect_failure("main.json: it is a symbolic link");
    EXPECT_EQ(mode_of(target), 0644u);

    fs::remove(dir_ / "main.json");
    fs::create_hard_link(target, dir_ / "main.json");
    const auto back = load();
    ASSERT_TRUE(back) << f_.message;
    EXPECT_NE(text(view(back).warning).find("chmod 600 it"), std::string::npos);
    EXPECT_EQ(mode_of(target), 0644u);
}

TEST_F(Store, ChecksTheDirectoryOfTheState) {
    const auto check = [&](const fs::path &path, int64_t owner = geteuid()) {
        return kiro_store_check_dir(path.c_str(), owner, &f_);
    };
    const fs::path dir = dir_ / "state";
    EXPECT_EQ(check(dir), KIRO_AGAIN) << "nginx makes it";
    fs::create_directory(dir);
    for (mode_t mode : {0700, 0750, 0770}) {
        chmod(dir.c_str(), mode);
        EXPECT_EQ(check(dir), KIRO_OK) << f_.message;
        EXPECT_EQ(f_.kind, KIRO_FAIL_NONE);
        EXPECT_EQ(check(dir / ""), KIRO_OK) << f_.message;
    }
    for (mode_t mode : {0755, 0711, 0704}) {
        chmod(dir.c_str(), mode);
        EXPECT_EQ(check(dir), KIRO_OK) << "its files are closed";
        expect_failure("every user of this machine may look into");
        expect_failure("chmod 700");
    }
    for (mode_t mode : {01777, 0777, 0702}) {
        chmod(dir.c_str(), mode);
        EXPECT_EQ(check(dir), KIRO_ERROR) << "whoever may write there can replace a login";
        expect_failure("may write there");
    }
    chmod(dir.c_str(), 0700);
    fs::create_symlink(dir, dir_ / "link");
    EXPECT_EQ(check(dir_ / "link"), KIRO_OK) << f_.message;
    EXPECT_EQ(check(write("file", "")), KIRO_ERROR);
    expect_failure("not a directory");
    fs::create_symlink("nowhere", dir_ / "broken");
    EXPECT_EQ(check(dir_ / "broken"), KIRO_ERROR);
    expect_failure("broken");

    if (geteuid() == 0) {
        constexpr uid_t worker = 65534;
        constexpr uid_t stranger = 65533;
        EXPECT_EQ(check(dir, worker), KIRO_OK) << "nginx gives it to the workers";
        ASSERT_EQ(chown(dir.c_str(), worker, worker), 0);
        EXPECT_EQ(check(dir, worker), KIRO_OK) << f_.message;
        EXPECT_EQ(check(dir, -1), KIRO_OK) << f_.message;
        ASSERT_EQ(chown(dir.c_str(), stranger, stranger), 0);
        EXPECT_EQ(check(dir, worker), KIRO_ERROR);
        expect_failure("another user");
        ASSERT_EQ(chown(dir.c_str(), worker, worker), 0);
        ASSERT_EQ(lchown((dir_ / "link").c_str(), stranger, stranger), 0);
        EXPECT_EQ(check(dir_ / "link", worker), KIRO_ERROR);
        expect_failure("symbolic link that another user made");

        chmod(dir_.c_str(), 0700);
        EXPECT_EQ(in_child([&] {
                      return setgid(worker) != 0 || setuid(worker) != 0
                                 ? 9
                                 : static_cast<int>(kiro_store_check_usable(dir.c_str(), &f_));
                  }),
                  KIRO_ERROR)
            << "the directory above cannot be entered";
        chmod(dir_.c_str(), 0711);
        EXPECT_EQ(in_child([&] {
                      return setgid(worker) != 0 || setuid(worker) != 0
                                 ? 9
                                 : static_cast<int>(kiro_store_check_usable(dir.c_str(), &f_));
                  }),
                  KIRO_OK);
    }
    EXPECT_EQ(kiro_store_check_usable(dir.c_str(), &f_), KIRO_OK);
    EXPECT_EQ(kiro_store_check_usable((dir_ / "gone").c_str(), &f_), KIRO_ERROR);
    expect_failure("gone: No such file");
}

class Profile : public Store {
protected:
    kiro_status put(const std::string &fingerprint, const std::string &arn, const char *account = "main") {
        return kiro_store_write_profile(dir_.c_str(), account, str(fingerprint), str(arn), &f_);
    }
    kiro_status get(const std::string &fingerprint, size_t cap = 256, const char *account = "main") {
        char buf[256];
        size_t len = 0;
        const kiro_status status =
            kiro_store_read_profile(dir_.c_str(), account, str(fingerprint), buf, cap, &len, &f_);
        found_ = status == KIRO_OK ? std::string(buf, len) : "";
        return status;
    }
    const std::string mine_ = std::string(32, 'a');
    const std::string arn_ = "arn:aws:codewhisperer:eu-central-1:000000000000:profile/OWN";
    std::string found_;
};

TEST_F(Profile, IsKeptForItsLoginAlone) {
    EXPECT_EQ(get(mine_), KIRO_AGAIN);
    ASSERT_EQ(put(mine_, arn_), KIRO_OK) << f_.message;
    EXPECT_EQ(mode_of(dir_ / "main.profile"), 0600u);
    ASSERT_EQ(get(mine_), KIRO_OK) << f_.message;
    EXPECT_EQ(found_, arn_);
    EXPECT_EQ(get(std::string(32, 'b')), KIRO_AGAIN) << "another login";
    EXPECT_EQ(get(""), KIRO_AGAIN);
    EXPECT_EQ(get(mine_, 256, "other"), KIRO_AGAIN) << "another account";
    EXPECT_EQ(get(mine_, arn_.size() - 1), KIRO_ERROR);
    expect_failure("too long");
    EXPECT_EQ(get(mine_, arn_.size()), KIRO_OK);

    ASSERT_EQ(put(mine_, ""), KIRO_OK) << "a Builder ID";
    ASSERT_EQ(get(mine_), KIRO_OK);
    EXPECT_EQ(found_, "");
    EXPECT_EQ(files(), 1u);
}

TEST_F(Profile, SaysThatItsFileIsDamaged) {
    for (const std::string &content :
         {std::string(), std::string("{"), std::string("{}"), social_json(refresh_token()),
          R"({"format":"ngx_kiro profile","fingerprint":")" + mine_ + R"(","profileArn":"SECRET"})"}) {
        write("main.profile", content);
        EXPECT_EQ(get(mine_), KIRO_ERROR) << content;
        expect_failure("main.profile is damaged");
    }
    chmod((dir_ / "main.profile").c_str(), 0644);
    fs::rename(dir_ / "main.profile", dir_ / "target");
    fs::create_symlink(dir_ / "target", dir_ / "main.profile");
    EXPECT_EQ(get(mine_), KIRO_ERROR);
    expect_failure("main.profile: it is a symbolic link");
    EXPECT_EQ(mode_of(dir_ / "target"), 0644u);
    EXPECT_EQ(put(mine_, arn_, "../x"), KIRO_ERROR);
    EXPECT_EQ(get(mine_, 256, "../x"), KIRO_ERROR);
}

} // namespace
