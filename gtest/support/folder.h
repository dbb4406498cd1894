// A folder for the time of a test, and what happens in it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kiro::test {

class Folder {
public:
    Folder() {
        std::string path = testing::TempDir() + "/kiro-XXXXXX";
        path_ = mkdtemp(path.data());
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }

    const std::filesystem::path &path() const { return path_; }

    std::string write(const std::string &name, const std::string &content) const {
        std::ofstream(path_ / name, std::ios::binary) << content;
        chmod((path_ / name).c_str(), 0600);
        return (path_ / name).string();
    }

    std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
    }

private:
    std::filesystem::path path_;
};

inline std::string content_of(const std::filesystem::path &path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// What work returns, done by a process of its own; -1: it died.
template <class Work> int in_child(Work work) {
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(work());
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace kiro::test
