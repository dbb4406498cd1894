// Real databases, written by the SQLite that reads them.

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

#include <fcntl.h>
#include <grp.h>
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
namespace fs = std::filesystem;

const char *const own_arn = "arn:aws:codewhisperer:eu-central-1:000000000000:profile/OWN";
const char *const later = "2999-10-01T12:00:00.123456789Z";
const char *const past = "2020-10-01T12:00:00.123456789Z";

std::string tokens(char tail, const char *expiry, const std::string &more = "") {
    return R"({"access_token":")" + access_token(tail) + R"(","expires_at":")" + expiry +
           R"(","refresh_token":")" + refresh_token(tail) + "\"" + more + "}";
}
std::string oidc(char tail, const char *expiry = later, const std::string &more = "") {
    return tokens(
        tail, expiry,
        R"(,"region":"eu-west-1","start_url":"https://d-1.awsapps.com/start","oauth_flow":"DeviceCode")" +
            more);
}
std::string registration(const std::string &id, const std::string &more = "") {
    return R"({"client_id":")" + id + R"(","client_secret":")" + client_secret + "\"" + more + "}";
}

class CredentialsDb : public testing::Test {
protected:
    CredentialsDb() : umask_(umask(077)) {}
    ~CredentialsDb() override { umask(umask_); }

    void put(const std::string &key, const std::string &value) {
        Database writer(path_);
        writer.make_tables();
        writer.put(key, value);
    }
    void put_state(const std::string &key, const std::string &value, bool blob = true) {
        Database writer(path_);
        writer.make_tables();
        writer.put(key, value, "state", blob);
    }
    CredentialPtr read(const char *key = nullptr) {
        const kiro_source source{KIRO_SOURCE_CREDENTIALS_DB, path_.c_str(), key, allow_exposed_};
        f_ = {};
        return own(kiro_store_read_source(&source, &f_));
    }
    char tail(const CredentialPtr &cred) {
        EXPECT_TRUE(cred) << f_.message;
        return cred ? text(view(cred).refresh_token).back() : '?';
    }
    void expect_failure(const std::string &says) {
        const std::string message = f_.message;
        EXPECT_NE(f_.kind, KIRO_FAIL_NONE);
        EXPECT_NE(message.find(says), std::string::npos) << message << " should say " << says;
        EXPECT_NE(message.find(path_.string()), std::string::npos) << message;
        EXPECT_EQ(message.find(leak_mark), std::string::npos) << message;
    }
    // Whether another user reads the login of this tail; the message otherwise.
    int read_as_nobody(char wanted, const std::string &says = "") {
        return in_child([&] {
            if (setgroups(0, nullptr) != 0 || setresgid(65534, 65534, 65534) != 0 ||
                setresuid(65534, 65534, 65534) != 0) {
                return 2;
            }
            const auto cred = read();
            if (says.empty()) {
                if (!cred) {
                    fprintf(stderr, "%s\n", f_.message);
                }
                return cred && text(view(cred).refresh_token).back() == wanted ? 0 : 1;
            }
            if (std::string(f_.message).find(says) == std::string::npos) {
                fprintf(stderr, "%s\n", f_.message);
            }
            return !cred && std::string(f_.message).find(says) != std::string::npos ? 0 : 1;
        });
    }
    void open_to(mode_t dir, mode_t files) {
        allow_exposed_ = 1;
        chmod(dir_.c_str(), dir);
        for (const char *suffix : {"", "-wal", "-shm"}) {
            chmod((path_.string() + suffix).c_str(), files);
        }
    }
    std::string owner_files() const {
        std::string out;
        for (const char *suffix : {"-wal", "-shm", "-journal"}) {
            struct stat info {};
            if (stat((path_.string() + suffix).c_str(), &info) == 0) {
                out += std::string(suffix) + (info.st_uid == geteuid() ? " " : "! ");
            }
        }
        return out;
    }

    Folder folder_;
    const fs::path dir_ = folder_.path();
    fs::path path_ = dir_ / "data.sqlite3";
    int allow_exposed_ = 0; // set for what nobody reads
    kiro_failure f_{};
    const mode_t umask_;
};

TEST_F(CredentialsDb, ReadsEachKindOfLogin) {
    put("kirocli:social:token",
        tokens('s', later, R"(,"provider":"google","profile_arn":")" + std::string(own_arn) + "\""));
    auto cred = read();
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_EQ(view(cred).login, KIRO_LOGIN_SOCIAL);
    EXPECT_EQ(text(view(cred).profile_arn), own_arn);
    EXPECT_GT(view(cred).expires_at, 30000000000000);

    fs::remove(path_);
    put("kirocli:odic:token", tokens('o', later));
    put("kirocli:odic:device-registration", registration("the-client", R"(,"region":"eu-north-1")"));
    cred = read();
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_EQ(view(cred).login, KIRO_LOGIN_OIDC) << "although nothing in the record says so";
    EXPECT_TRUE(view(cred).has_registration);
    EXPECT_EQ(text(view(cred).sso_region), "eu-north-1") << "where it is registered";

    fs::remove(path_);
    put("kirocli:external-idp:token",
        tokens(
            'x', later,
            R"(,"client_id":"z","token_endpoint":"https://login.example.com/t/oauth2/v2.0/token",)"
            R"("issuer_url":"https://login.example.com/t/v2.0","scopes":"a offline_access","audience":null)"));
    cred = read();
    ASSERT_TRUE(cred) << f_.message;
    EXPECT_EQ(view(cred).login, KIRO_LOGIN_EXTERNAL);
}

TEST_F(CredentialsDb, KnowsEverySpellingOfTheKeysAndBothCases) {
    for (const std::string key : {"kirocli:odic:token", "kirocli:oidc:token", "codewhisperer:odic:token",
                                  "codewhisperer:oidc:token"}) {
        fs::remove(path_);
        put(key, R"({"accessToken":")" + access_token() + R"(","expiresAt":")" + later +
                     R"(","refreshToken":")" + refresh_token('c') +
                     R"(","startUrl":"https://d-1.awsapps.com/start"})");
        const std::string program = key.substr(0, key.find(':'));
        put(program + ":odic:device-registration",
            std::string(R"({"clientId":"id","clientSecret":")") + client_secret + R"("})");
        const auto cred = read();
        ASSERT_TRUE(cred) << key << f_.message;
        EXPECT_EQ(tail(cred), 'c');
        EXPECT_EQ(view(cred).login, KIRO_LOGIN_OIDC) << key;
        EXPECT_TRUE(view(cred).has_registration) << key;
        EXPECT_EQ(cred->value.source_key, key);
    }
}

TEST_F(CredentialsDb, NeverTakesTheRegistrationOfAnotherProgram) {
    put("kirocli:odic:token", oidc('k'));
    put("codewhisperer:odic:device-registration", registration("other"));
    EXPECT_FALSE(view(read()).has_registration);
    put("kirocli:odic:device-registration", registration("flow", R"(,"oauth_flow":"Pkce")"));
    EXPECT_FALSE(view(read()).has_registration) << "of another flow";
    put("kirocli:odic:device-registration", registration("region", R"(,"region":"us-east-1")"));
    EXPECT_FALSE(view(read()).has_registration) << "of another region";
    put("kirocli:odic:device-registration", "{");
    EXPECT_FALSE(view(read()).has_registration) << "damaged";
    put("kirocli:oidc:device-registration", registration("good", R"(,"oauth_flow":"devicecode")"));
    EXPECT_TRUE(view(read()).has_registration);
}

TEST_F(CredentialsDb, TakesTheLoginThatLivesLongest) {
    put("kirocli:social:token", tokens('s', past));
    put("kirocli:odic:token", oidc('k', "2999-01-01T00:00:00Z"));
    put("codewhisperer:odic:token", oidc('q', "2998-01-01T00:00:00Z"));
    EXPECT_EQ(tail(read()), 'k');
    put("codewhisperer:odic:token", oidc('q', "2999-01-02T00:00:00Z"));
    EXPECT_EQ(tail(read()), 'q');

    put("kirocli:odic:token", oidc('k', "2020-01-01T00:00:00Z"));
    put("codewhisperer:odic:token", oidc('q', "2020-01-02T00:00:00Z"));
    EXPECT_EQ(tail(read()), 's') << "of the expired ones the others lack a registration";
    put("codewhisperer:odic:device-registration", registration("q"));
    EXPECT_EQ(tail(read()), 's') << "the latest of those that can be refreshed";
    put("kirocli:social:token", tokens('s', "2019-01-01T00:00:00Z"));
    EXPECT_EQ(tail(read()), 'q');

    EXPECT_EQ(tail(read("kirocli:social:token")), 's');
    EXPECT_EQ(tail(read("kirocli:odic:token")), 'k');
    EXPECT_FALSE(read("kirocli:external-idp:token"));
    expect_failure("no row \"kirocli:external-idp:token\"");
}

TEST_F(CredentialsDb, AForcedKeyMayBeAnyRow) {
    put("work:odic:token", oidc('w'));
    EXPECT_FALSE(read());
    put("work:odic:device-registration", registration("w"));
    EXPECT_EQ(tail(read("work:odic:token")), 'w');
    EXPECT_TRUE(view(read("work:odic:token")).has_registration);
    put("x'; DROP TABLE auth_kv; --", tokens('x', later));
    EXPECT_EQ(tail(read("x'; DROP TABLE auth_kv; --")), 'x');
    EXPECT_EQ(tail(read("work:odic:token")), 'w');
}

TEST_F(CredentialsDb, CompletesFromTheStateTableWhereOnlyOneLoginIsMeant) {
    const std::string profile = R"({"arn":")" + std::string(own_arn) + R"(","profile_name":"x"})";
    put("kirocli:odic:token", tokens('k', later, R"(,"start_url":"https://d-1.awsapps.com/start")"));
    put_state("api.codewhisperer.profile", profile);
    put_state("auth.idc.region", "\"eu-west-3\"");
    put_state("auth.idc.start-url", "\"https://d-1.awsapps.com/start\"", false);
    EXPECT_EQ(text(view(read()).profile_arn), own_arn);
    EXPECT_EQ(text(view(read()).sso_region), "eu-west-3");

    put_state("auth.idc.start-url", "\"https://d-2.awsapps.com/start\"");
    EXPECT_EQ(text(view(read()).sso_region), "us-east-1") << "the region of another organisation";

    put_state("api.codewhisperer.profile", profile, false);
    EXPECT_EQ(text(view(read()).profile_arn), own_arn) << "TEXT as well as BLOB";

    put("codewhisperer:odic:token", oidc('q', past));
    EXPECT_EQ(text(view(read()).profile_arn), "") << "it may be the other's";
    put("codewhisperer:odic:token", tokens('q', past, R"(,"start_url":"https://d-1.awsapps.com/start")"));
    EXPECT_EQ(text(view(read()).profile_arn), own_arn) << "of the same organisation";
    put("codewhisperer:odic:token", tokens('q', past, R"(,"start_url":"https://view.awsapps.com/start")"));
    EXPECT_EQ(text(view(read()).profile_arn), own_arn) << "Builder ID has none of its own";
    put("kirocli:social:token", tokens('s', past));
    EXPECT_EQ(text(view(read()).profile_arn), "") << "a social login may have chosen it";
    put("kirocli:social:token", "{");
    EXPECT_EQ(text(view(read()).profile_arn), "") << "a damaged row may have been any login";
}

TEST_F(CredentialsDb, ABuilderIdTakesNothingFromTheStateTable) {
    put("kirocli:odic:token", tokens('k', later, R"(,"start_url":"https://view.awsapps.com/start")"));
    put_state("api.codewhisperer.profile", R"({"arn":")" + std::string(own_arn) + "\"}");
    put_state("auth.idc.region", "\"eu-west-3\"");
    EXPECT_EQ(text(view(read()).profile_arn), "");
    EXPECT_EQ(text(view(read()).sso_region), "us-east-1");
}

TEST_F(CredentialsDb, ARecordsOwnProfileWinsAndSocialTakesNone) {
    const std::string other = "arn:aws:codewhisperer:us-east-1:000000000000:profile/OTHER";
    put_state("api.codewhisperer.profile", R"({"arn":")" + std::string(own_arn) + "\"}");
    put("kirocli:odic:token", oidc('k', later, R"(,"profile_arn":")" + other + "\""));
    EXPECT_EQ(text(view(read()).profile_arn), other);
    fs::remove(path_);
    put_state("api.codewhisperer.profile", R"({"arn":")" + std::string(own_arn) + "\"}");
    put("kirocli:social:token", tokens('s', later));
    EXPECT_EQ(text(view(read()).profile_arn), "");
}

TEST_F(CredentialsDb, IgnoresABadState) {
    put("kirocli:odic:token", tokens('k', later));
    for (const char *bad :
         {"", "{", "null", "[]", "\"x\"", R"({"arn":5})", R"({"arn":"x"})", R"({"arn":null})"}) {
        put_state("api.codewhisperer.profile", bad);
        put_state("auth.idc.region", bad);
        const auto cred = read();
        ASSERT_TRUE(cred) << bad << f_.message;
        EXPECT_EQ(text(view(cred).profile_arn), "") << bad;
    }
    Database(path_).run("DROP TABLE state");
    EXPECT_TRUE(read()) << f_.message;
    Database(path_).run("CREATE VIEW state AS SELECT 1 AS key, 2 AS value");
    EXPECT_TRUE(read()) << f_.message;
}

TEST_F(CredentialsDb, TellsNoLoginFromADamagedOne) {
    { Database(path_).make_tables(); }
    EXPECT_FALSE(read());
    expect_failure("nobody is logged in");
    expect_failure("kirocli:social:token");
    expect_failure("codewhisperer:odic:token");

    put("kirocli:odic:token", R"({"access_token":"SECRET)");
    EXPECT_FALSE(read());
    expect_failure("\"kirocli:odic:token\": this is not valid JSON");
    put("kirocli:odic:token", "");
    EXPECT_FALSE(read());
    expect_failure("is empty");
    put("kirocli:odic:token", tokens('k', later).replace(120, 60, "..."));
    EXPECT_FALSE(read());
    expect_failure("row \"kirocli:odic:token\"");

    put("kirocli:social:token", tokens('s', later));
    EXPECT_EQ(tail(read()), 's') << "the good row is used";
    EXPECT_NE(read()->value.warning.find("kirocli:odic:token"), std::string::npos);
    EXPECT_FALSE(read("kirocli:odic:token"));
    expect_failure("kirocli:odic:token");
}

TEST_F(CredentialsDb, RefusesOddValues) {
    {
        Database writer(path_);
        writer.make_tables();
        writer.put("kirocli:odic:token", std::string((1 << 20) + 1, 'x'));
    }
    EXPECT_FALSE(read());
    expect_failure("larger than 1048576 bytes");
    Database(path_).run("UPDATE auth_kv SET value = NULL");
    EXPECT_FALSE(read());
    expect_failure("it is NULL");
    Database(path_).run("CREATE TABLE t (key, value); DROP TABLE auth_kv; ALTER TABLE t RENAME TO auth_kv;"
                        "INSERT INTO auth_kv VALUES ('kirocli:odic:token', 5)");
    EXPECT_FALSE(read());
    expect_failure("it is a number");
    Database(path_).run("UPDATE auth_kv SET value = CAST('" + oidc('b') + "' AS BLOB)");
    EXPECT_EQ(tail(read()), 'b') << "a BLOB is as good";
}

TEST_F(CredentialsDb, ReadsUtf16) {
    Database(path_).run("PRAGMA encoding = 'UTF-16le'");
    put("kirocli:odic:token", oidc('u'));
    {
        Database writer(path_);
        writer.run("PRAGMA encoding = 'UTF-16le'");
        writer.make_tables();
        writer.put("kirocli:odic:token", oidc('u'));
    }
    EXPECT_EQ(tail(read()), 'u');
}

TEST_F(CredentialsDb, SaysWhatIsWrongWithADatabase) {
    EXPECT_FALSE(read());
    expect_failure("No such file");

    const auto content = [&](const std::string &bytes) {
        fs::remove_all(path_);
        std::ofstream(path_, std::ios::binary) << bytes;
    };
    content("");
    EXPECT_FALSE(read());
    expect_failure("the file is empty");
    content(" " + social_json(refresh_token()));
    EXPECT_FALSE(read());
    expect_failure("credentials_file");
    content("SECRET" + std::string(5000, 'x'));
    EXPECT_FALSE(read());
    expect_failure("not an SQLite database");

    fs::remove(path_);
    Database(path_).run("CREATE TABLE history (id)");
    EXPECT_FALSE(read());
    expect_failure("no table auth_kv");
    Database(path_).run("CREATE TABLE auth_kv (k, v)");
    EXPECT_FALSE(read());
    expect_failure("its tables are not those");
    fs::remove(path_);
    Database(path_).run(
        "CREATE VIEW auth_kv AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT x AS key, x AS value FROM n");
    EXPECT_FALSE(read());
    expect_failure("no table auth_kv");

    fs::remove(path_);
    fs::create_directory(path_);
    EXPECT_FALSE(read());
    expect_failure("it is a directory");
    fs::remove(path_);
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
    EXPECT_FALSE(read());
    expect_failure("not a regular file");
}

TEST_F(CredentialsDb, SurvivesADamagedDatabase) {
    for (int i = 0; i < 50; ++i) {
        put("kirocli:odic:token" + std::string(i ? std::to_string(i) : ""), oidc('k'));
    }
    std::string bytes;
    {
        std::ifstream in(path_, std::ios::binary);
        bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    int good = 0;
    int bad = 0;
    const auto read_these = [&](const std::string &content) {
        std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
        const auto cred = read();
        cred ? ++good : ++bad;
        EXPECT_NE(cred == nullptr, f_.message[0] == '\0');
    };
    for (size_t at = 0; at < bytes.size(); at += at < 200 ? 7 : 499) {
        std::string damaged = bytes;
        damaged.replace(at, std::min<size_t>(40, damaged.size() - at), 40, '\xff');
        read_these(damaged);
        read_these(bytes.substr(0, at));
    }
    EXPECT_GT(good, 0);
    EXPECT_GT(bad, 0);
}

TEST_F(CredentialsDb, WaitsForAWriterButNotForEver) {
    put("kirocli:odic:token", oidc('k'));
    Database writer(path_);
    writer.run("PRAGMA locking_mode = EXCLUSIVE");
    writer.run("BEGIN EXCLUSIVE");
    const int result = in_child([&] {
        const auto start = std::chrono::steady_clock::now();
        const auto cred = read();
        const auto waited = std::chrono::steady_clock::now() - start;
        return !cred && std::string(f_.message).find("locked by another program") != std::string::npos &&
                       f_.kind == KIRO_FAIL_UNAVAILABLE && waited > std::chrono::milliseconds(1500)
                   ? 0
                   : 1;
    });
    EXPECT_EQ(result, 0);
}

TEST_F(CredentialsDb, SeesTheWriteAheadLogOfALiveWriter) {
    Database writer(path_);
    writer.run("PRAGMA journal_mode = WAL");
    writer.run("PRAGMA wal_autocheckpoint = 0");
    writer.make_tables();
    writer.put("kirocli:odic:token", oidc('1'));
    EXPECT_EQ(tail(read()), '1');
    writer.put("kirocli:odic:token", oidc('2'));
    EXPECT_EQ(in_child([&] { return tail(read()) == '2' ? 0 : 1; }), 0);
    if (geteuid() == 0) {
        open_to(0755, 0644);
        EXPECT_EQ(read_as_nobody('2'), 0);
        writer.put("kirocli:odic:token", oidc('3'));
        open_to(0777, 0644);
        EXPECT_EQ(read_as_nobody('3'), 0);
        open_to(0777, 0666);
        EXPECT_EQ(read_as_nobody('3'), 0);
        EXPECT_EQ(owner_files(), "-wal -shm ");
    }
    writer.put("kirocli:odic:token", oidc('4'));
    EXPECT_EQ(tail(read()), '4');
}

TEST_F(CredentialsDb, ReadsAClosedWalDatabaseWithoutLeavingFilesOfItsOwn) {
    {
        Database writer(path_);
        writer.run("PRAGMA journal_mode = WAL");
        writer.make_tables();
        writer.put("kirocli:odic:token", oidc('1'));
    }
    ASSERT_EQ(owner_files(), "");
    if (geteuid() == 0) {
        for (mode_t dir : {0755u, 0777u}) {
            open_to(dir, 0644);
            EXPECT_EQ(read_as_nobody('1'), 0) << std::oct << dir;
            EXPECT_EQ(owner_files(), "") << std::oct << dir;
        }
        // Its owner where the directory cannot be written, as on a read-only mount.
        ASSERT_EQ(chown(path_.c_str(), 65534, 65534), 0);
        open_to(0755, 0600);
        EXPECT_EQ(read_as_nobody('1'), 0);
        ASSERT_EQ(chown(path_.c_str(), 0, 0), 0);
    } else {
        chmod(dir_.c_str(), 0555);
        EXPECT_EQ(tail(read()), '1');
        chmod(dir_.c_str(), 0755);
    }
    Database writer(path_);
    writer.put("kirocli:odic:token", oidc('2'));
    EXPECT_EQ(tail(read()), '2');
}

TEST_F(CredentialsDb, NeverMakesAShmThatLocksTheOwnerOut) {
    const fs::path live = dir_ / "live.sqlite3";
    {
        Database writer(live);
        writer.run("PRAGMA journal_mode = WAL");
        writer.run("PRAGMA wal_autocheckpoint = 0");
        writer.make_tables();
        writer.put("kirocli:odic:token", oidc('1'));
        // As a crash leaves them.
        fs::copy_file(live, path_);
        fs::copy_file(live.string() + "-wal", path_.string() + "-wal");
    }
    if (geteuid() == 0) {
        open_to(0777, 0644);
        EXPECT_EQ(read_as_nobody('1', "lock its owner out"), 0);
        EXPECT_EQ(owner_files(), "-wal ");
        fs::resize_file(path_.string() + "-wal", 0);
        EXPECT_EQ(read_as_nobody('1', "no table"), 0) << "nothing is in an empty one";
        EXPECT_EQ(owner_files(), "-wal ");
        fs::copy_file(live, path_, fs::copy_options::overwrite_existing);
        open_to(0777, 0644);
        EXPECT_EQ(read_as_nobody('1'), 0);
    } else {
        EXPECT_EQ(tail(read()), '1');
    }
    // Root and the owner may let SQLite mend it; what is made belongs to the owner.
    if (geteuid() == 0) {
        ASSERT_EQ(chown(path_.c_str(), 65534, 65534), 0);
        EXPECT_EQ(tail(read()), '1');
        struct stat info {};
        if (stat((path_.string() + "-shm").c_str(), &info) == 0) {
            EXPECT_EQ(info.st_uid, 65534u);
        }
    }
}

TEST_F(CredentialsDb, SaysThatAnotherUserMayNotReadIt) {
    if (geteuid() != 0) {
        GTEST_SKIP() << "only root can become somebody else";
    }
    put("kirocli:odic:token", oidc('k'));
    open_to(0755, 0600);
    EXPECT_EQ(read_as_nobody('k', "Permission denied"), 0);
    open_to(0755, 0644);
    EXPECT_EQ(read_as_nobody('k'), 0);
    Database writer(path_);
    writer.run("PRAGMA journal_mode = WAL");
    writer.put("kirocli:odic:token", oidc('k'));
    open_to(0755, 0600);
    chmod(path_.c_str(), 0644);
    EXPECT_EQ(read_as_nobody('k', "-wal or -shm"), 0);
}

TEST_F(CredentialsDb, OddPathsAreFiles) {
    put("kirocli:odic:token", oidc('k'));
    for (const char *name : {"a b?mode=memory", "file:x", "50%41", "\xc3\xa4#.db", ":memory:"}) {
        fs::rename(path_, dir_ / name);
        path_ = dir_ / name;
        EXPECT_EQ(tail(read()), 'k') << name;
    }
    const fs::path link = dir_ / "link";
    fs::create_symlink(path_, link);
    path_ = link;
    EXPECT_EQ(tail(read()), 'k');
}

TEST_F(CredentialsDb, IsDetectedAsACredentialsFile) {
    put("kirocli:odic:token", oidc('k'));
    kiro_source source{KIRO_SOURCE_CREDENTIALS_FILE, path_.c_str(), nullptr, 0};
    EXPECT_EQ(kiro_store_detect(&source), KIRO_SOURCE_CREDENTIALS_DB);
    source.kind = KIRO_SOURCE_API_KEY_FILE;
    EXPECT_EQ(kiro_store_detect(&source), KIRO_SOURCE_API_KEY_FILE);
    source = {KIRO_SOURCE_CREDENTIALS_FILE, "/nonexistent", nullptr, 0};
    EXPECT_EQ(kiro_store_detect(&source), KIRO_SOURCE_CREDENTIALS_FILE);
    source.path = "/dev/zero";
    EXPECT_EQ(kiro_store_detect(&source), KIRO_SOURCE_CREDENTIALS_FILE);
}

TEST_F(CredentialsDb, RefusesADatabaseThatEveryUserMayRead) {
    put("kirocli:social:token", tokens('s', "2030-01-01T00:00:00Z"));
    for (const char *exposed : {"", "-wal"}) {
        const std::string path = path_.string() + exposed;
        if (!fs::exists(path)) {
            std::ofstream(path, std::ios::binary) << "";
        }
        chmod(path.c_str(), 0644);
        EXPECT_FALSE(read());
        expect_failure(path + " can be read by every user");
        const kiro_source allowed{KIRO_SOURCE_CREDENTIALS_DB, path_.c_str(), nullptr, 1};
        const auto cred = own(kiro_store_read_source(&allowed, &f_));
        ASSERT_TRUE(cred) << f_.message;
        EXPECT_NE(text(view(cred).warning).find("by every user"), std::string::npos);
        chmod(path.c_str(), 0640);
        EXPECT_TRUE(read()) << f_.message;
    }
}

} // namespace
