#include "kiro/capture.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/folder.h"

namespace {

namespace fs = std::filesystem;
using kiro::test::content_of;
using kiro::test::Folder;

std::string name_of(int n) {
    return "20261121T182000." + std::to_string(100 + n) + "Z-req_0123456789abcdef0123456" +
           std::to_string(n % 10);
}

struct Place {
    explicit Place(const Folder &folder) : dir((folder.path() / "kept").string()) {}

    kiro_status save(kiro_capture *capture, int n, size_t most = 3, size_t size = 1 << 20) {
        const std::string name = name_of(n);
        const kiro_capture_place place{dir.c_str(), name.c_str(), most, size};
        const kiro_status status = kiro_capture_save(capture, &place, &failure);
        kiro_capture_free(capture);
        return status;
    }
    std::string file(int n, const std::string &name) const {
        return content_of(fs::path(dir) / name_of(n) / name);
    }
    std::set<std::string> files(int n) const {
        std::set<std::string> names;
        for (const auto &entry : fs::directory_iterator(fs::path(dir) / name_of(n))) {
            names.insert(entry.path().filename());
        }
        return names;
    }
    // Captures, and whatever else is there.
    std::set<std::string> kept() const {
        std::set<std::string> names;
        for (const auto &entry : fs::directory_iterator(dir)) {
            names.insert(entry.path().filename());
        }
        names.erase(".lock");
        return names;
    }

    std::string dir;
    kiro_failure failure{};
};

void add(kiro_capture *capture, kiro_capture_part part, std::string_view text) {
    kiro_capture_add(capture, part, text.data(), text.size());
}

kiro_capture *small_capture(std::string_view text = "hello") {
    kiro_capture *capture = kiro_capture_create(1000);
    add(capture, KIRO_CAPTURE_LOG, text);
    return capture;
}

TEST(Capture, FilesAreTheOwners) {
    const Folder folder;
    Place place(folder);
    kiro_capture *capture = kiro_capture_create(100);
    const kiro_str secret{"SECRET-1", 8};
    add(capture, KIRO_CAPTURE_REQUEST, "{\"a\":\"SECR");
    add(capture, KIRO_CAPTURE_REQUEST, "ET-1\"}");
    kiro_capture_attempt(capture, 1);
    add(capture, KIRO_CAPTURE_KIRO_REQUEST, "A");
    add(capture, KIRO_CAPTURE_RAW, "no");
    kiro_capture_attempt(capture, 2);
    add(capture, KIRO_CAPTURE_KIRO_REQUEST, "B");
    add(capture, KIRO_CAPTURE_RAW, "not yet");
    kiro_capture_attempt(capture, 3);
    add(capture, KIRO_CAPTURE_KIRO_REQUEST, "B");
    add(capture, KIRO_CAPTURE_RAW, "yes");
    add(capture, KIRO_CAPTURE_CLIENT, std::string(120, 'x'));
    kiro_capture_outcome outcome{};
    outcome.error = {"quota", 5};
    outcome.status = 429;
    kiro_capture_failed(capture, &outcome);
    kiro_capture_secret(capture, secret);
    ASSERT_EQ(place.save(capture, 1), KIRO_OK) << place.failure.message;
    EXPECT_EQ(place.failure.kind, KIRO_FAIL_NONE) << place.failure.message;

    EXPECT_EQ(place.file(1, "request_body.json"), "{\"a\":\"********\"}");
    EXPECT_EQ(place.file(1, "kiro_request_body.1.json"), "A");
    EXPECT_EQ(place.file(1, "kiro_request_body.json"), "B");
    EXPECT_EQ(place.file(1, "response_stream_raw.1.txt"), "no");
    EXPECT_EQ(place.file(1, "response_stream_raw.2.txt"), "not yet");
    EXPECT_EQ(place.file(1, "response_stream_raw.txt"), "yes");
    EXPECT_EQ(place.file(1, "response_stream_modified.txt"),
              std::string(100, 'x') + "\n[cut here: 20 bytes more, the limit is 100]\n");
    EXPECT_EQ(place.file(1, "error_info.json"), "{\n  \"error\": \"quota\",\n  \"status_code\": 429\n}\n");
    EXPECT_EQ(place.files(1).size(), 8U);
    const auto mode = [](const fs::path &path) { return fs::status(path).permissions() & fs::perms::mask; };
    EXPECT_EQ(mode(place.dir), fs::perms::owner_all);
    EXPECT_EQ(mode(fs::path(place.dir) / name_of(1)), fs::perms::owner_all);
    for (const std::string &name : place.files(1)) {
        EXPECT_EQ(mode(fs::path(place.dir) / name_of(1) / name),
                  fs::perms::owner_read | fs::perms::owner_write);
    }
}

TEST(Capture, OfManyAttemptsTheFirstAndTheLastStay) {
    const Folder folder;
    Place place(folder);
    kiro_capture *capture = kiro_capture_create(1000);
    for (unsigned n = 1; n <= 9; ++n) {
        kiro_capture_attempt(capture, n);
        kiro_capture_attempt(capture, n); // an idle connection was gone
        add(capture, KIRO_CAPTURE_RAW, "reply " + std::to_string(n));
    }
    ASSERT_EQ(place.save(capture, 1), KIRO_OK);
    EXPECT_EQ(place.files(1),
              (std::set<std::string>{"response_stream_raw.1.txt", "response_stream_raw.7.txt",
                                     "response_stream_raw.8.txt", "response_stream_raw.txt"}));
    EXPECT_EQ(place.file(1, "response_stream_raw.txt"), "reply 9");
}

TEST(Capture, TheOldestLeave) {
    const Folder folder;
    Place place(folder);
    fs::create_directory(place.dir);
    fs::permissions(place.dir, fs::perms::owner_all);
    fs::create_directory(fs::path(place.dir) / "notes");
    for (int n = 0; n < 6; ++n) {
        ASSERT_EQ(place.save(small_capture(), n), KIRO_OK) << place.failure.message;
    }
    EXPECT_EQ(place.kept(), (std::set<std::string>{name_of(3), name_of(4), name_of(5), "notes"}));

    ASSERT_EQ(place.save(small_capture(std::string(90, 'x')), 6, 3, 99), KIRO_OK);
    EXPECT_EQ(place.kept(), (std::set<std::string>{name_of(5), name_of(6), "notes"}));
    EXPECT_EQ(place.save(small_capture(std::string(110, 'x')), 7, 3, 100), KIRO_ERROR);
    EXPECT_EQ(place.kept(), (std::set<std::string>{name_of(5), name_of(6), "notes"}));
}

TEST(Capture, WhatAProcessLeftThatDied) {
    const Folder folder;
    Place place(folder);
    ASSERT_EQ(place.save(small_capture(), 1), KIRO_OK);
    fs::create_directory(fs::path(place.dir) / ".unfinished");
    content_of(folder.write("kept/.unfinished/request_body.json", "half"));
    ASSERT_EQ(place.save(small_capture(), 2), KIRO_OK) << place.failure.message;
    EXPECT_EQ(place.kept(), (std::set<std::string>{name_of(1), name_of(2)}));
}

TEST(Capture, FollowsNoLink) {
    const Folder folder;
    Place place(folder);
    const fs::path victim = folder.path() / "victim";
    fs::create_directory(victim);
    folder.write("victim/precious", "text");

    fs::create_symlink(victim, place.dir);
    EXPECT_EQ(place.save(small_capture(), 1), KIRO_ERROR);
    EXPECT_NE(std::string(place.failure.message).find("symbolic link"), std::string::npos)
        << place.failure.message;
    fs::remove(place.dir);

    fs::create_directory(place.dir);
    fs::permissions(place.dir, fs::perms::owner_all);
    fs::create_symlink(victim, fs::path(place.dir) / ".unfinished");
    EXPECT_EQ(place.save(small_capture(), 1), KIRO_ERROR);
    fs::remove(fs::path(place.dir) / ".unfinished");

    fs::remove(fs::path(place.dir) / ".lock");
    fs::create_symlink(victim / "precious", fs::path(place.dir) / ".lock");
    EXPECT_EQ(place.save(small_capture(), 1), KIRO_ERROR);
    fs::remove(fs::path(place.dir) / ".lock");

    fs::create_symlink(victim, fs::path(place.dir) / name_of(0));
    EXPECT_EQ(place.save(small_capture(), 1, 1), KIRO_ERROR) << "an old one that is none";
    EXPECT_EQ(content_of(victim / "precious"), "text");
}

TEST(Capture, WaitsForAnotherProcessButNotForEver) {
    const Folder folder;
    Place place(folder);
    ASSERT_EQ(place.save(small_capture(), 1), KIRO_OK);
    const int lock = open((fs::path(place.dir) / ".lock").c_str(), O_RDWR);
    ASSERT_EQ(flock(lock, LOCK_EX), 0);
    EXPECT_EQ(place.save(small_capture(), 2), KIRO_ERROR);
    EXPECT_NE(std::string(place.failure.message).find(".lock"), std::string::npos) << place.failure.message;

    std::thread other([lock] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        close(lock);
    });
    EXPECT_EQ(place.save(small_capture(), 3), KIRO_OK) << place.failure.message;
    other.join();
}

TEST(Capture, DirectoriesOfOthers) {
    const Folder folder;
    Place place(folder);
    fs::create_directory(place.dir);
    fs::permissions(place.dir, fs::perms::owner_all | fs::perms::group_read | fs::perms::others_read);
    EXPECT_EQ(place.save(small_capture(), 1), KIRO_OK);
    EXPECT_NE(std::string(place.failure.message).find("chmod 700"), std::string::npos);
    fs::permissions(place.dir, fs::perms::all);
    EXPECT_EQ(place.save(small_capture(), 2), KIRO_ERROR);

    Place none(folder);
    none.dir = "/proc/none";
    EXPECT_EQ(none.save(small_capture(), 1), KIRO_ERROR);
    none.dir = folder.write("file", "text");
    EXPECT_EQ(none.save(small_capture(), 1), KIRO_ERROR);
}

TEST(Capture, AFullDiskLeavesNothing) {
    const Folder folder;
    Place place(folder);
    ASSERT_EQ(place.save(small_capture(), 1), KIRO_OK);
    const int rc = kiro::test::in_child([&] {
        struct rlimit limit {
            64, 64
        };
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        return place.save(small_capture(std::string(200, 'x')), 2) == KIRO_ERROR ? 0 : 1;
    });
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(place.kept(), std::set<std::string>{name_of(1)});
}

TEST(Capture, ProcessesTakeTurns) {
    const Folder folder;
    Place place(folder);
    std::vector<pid_t> children;
    for (int child = 0; child < 4; ++child) {
        const pid_t pid = fork();
        if (pid == 0) {
            for (int n = 0; n < 20; ++n) {
                if (place.save(small_capture(), child * 20 + n, 5) != KIRO_OK) {
                    _exit(1);
                }
            }
            _exit(0);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = -1;
        waitpid(pid, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(place.kept().size(), 5U);
}

} // namespace
