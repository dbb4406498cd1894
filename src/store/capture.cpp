#include "store/capture.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

namespace kiro::store {

namespace {

// Only who holds the lock writes here, so whatever else has this name was left by a process that died.
constexpr const char *unfinished = ".unfinished";
constexpr const char *lock_name = ".lock";
constexpr std::chrono::seconds lock_patience{5};

struct Kept {
    std::string name;
    uint64_t size = 0;
};

bool fail(kiro_failure *f, const char *what, std::string_view path, int error) {
    kiro_failure_set(f, KIRO_FAIL_INTERNAL, "cannot %s %s: %s", what, shown(path).c_str(),
                     std::generic_category().message(error).c_str());
    return false;
}

Fd open_below(int directory, const char *name) {
    return Fd(openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

template <class Each> bool each_entry(int directory, Each each) {
    Fd fd(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) {
        return false;
    }
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(fdopendir(fd.get()), closedir);
    if (dir == nullptr) {
        return false;
    }
    (void)fd.release();
    while (const dirent *entry = readdir(dir.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            each(std::string(name));
        }
    }
    return true;
}

// Of ours: "20261121T182000.123Z-req_0123456789abcdef01234567". Nothing else is ever removed.
bool is_capture(std::string_view name) {
    std::string_view rest = name;
    const auto digits = [&](size_t n) {
        const bool good = rest.size() >= n && rest.substr(0, n).find_first_not_of("0123456789") == rest.npos;
        rest.remove_prefix(std::min(n, rest.size()));
        return good;
    };
    const auto text = [&](std::string_view expected) {
        const bool good = rest.starts_with(expected);
        rest.remove_prefix(std::min(expected.size(), rest.size()));
        return good;
    };
    return digits(8) && text("T") && digits(6) && text(".") && digits(3) && text("Z-req_") && !rest.empty() &&
           rest.find_first_not_of("0123456789abcdef") == rest.npos;
}

uint64_t size_of(int directory, const std::string &name) {
    uint64_t sum = 0;
    const Fd inner = open_below(directory, name.c_str());
    if (inner.valid()) {
        each_entry(inner.get(), [&](const std::string &file) {
            struct stat info;
            if (fstatat(inner.get(), file.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
                sum += static_cast<uint64_t>(info.st_size);
            }
        });
    }
    return sum;
}

// False: errno is set. What is not there is removed.
bool remove_capture(int directory, const char *name) {
    {
        const Fd inner = open_below(directory, name);
        if (!inner.valid()) {
            return errno == ENOENT;
        }
        each_entry(inner.get(), [&](const std::string &file) { unlinkat(inner.get(), file.c_str(), 0); });
    }
    return unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

bool make_room(int directory, const kiro_capture_place &place, uint64_t needed, kiro_failure *f) {
    std::vector<Kept> kept;
    if (!each_entry(directory, [&](std::string name) {
            if (is_capture(name)) {
                kept.push_back({std::move(name), 0});
            }
        })) {
        return fail(f, "list", place.dir, errno);
    }
    uint64_t sum = needed;
    for (Kept &capture : kept) {
        capture.size = size_of(directory, capture.name);
        sum += capture.size;
    }
    std::sort(kept.begin(), kept.end(), [](const Kept &a, const Kept &b) { return a.name < b.name; });
    size_t left = kept.size();
    for (const Kept &oldest : kept) {
        if (left + 1 <= place.max_captures && sum <= place.max_size) {
            break;
        }
        if (!remove_capture(directory, oldest.name.c_str())) {
            return fail(f, "remove the old capture", std::string(place.dir) + "/" + oldest.name, errno);
        }
        sum -= oldest.size;
        --left;
    }
    return true;
}

bool write_file(int directory, const capture::File &file) {
    Fd fd(openat(directory, file.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid()) {
        return false;
    }
    std::string_view rest = file.text;
    while (!rest.empty()) {
        const ssize_t n = write(fd.get(), rest.data(), rest.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        rest.remove_prefix(static_cast<size_t>(n));
    }
    return fd.reset() == 0;
}

bool write_files(int directory, const kiro_capture_place &place, const std::vector<capture::File> &files,
                 kiro_failure *f) {
    if (mkdirat(directory, unfinished, 0700) != 0) {
        return fail(f, "make a directory in", place.dir, errno);
    }
    {
        const Fd inner = open_below(directory, unfinished);
        if (!inner.valid()) {
            return fail(f, "open a new directory in", place.dir, errno);
        }
        for (const capture::File &file : files) {
            if (!write_file(inner.get(), file)) {
                return fail(f, "write", std::string(place.dir) + "/" + place.name + "/" + file.name, errno);
            }
        }
    }
    if (renameat(directory, unfinished, directory, place.name) != 0) {
        return fail(f, "name the capture", std::string(place.dir) + "/" + place.name, errno);
    }
    return true;
}

// The directory; one that is gone is made again if that is possible.
Fd open_place(const kiro_capture_place &place, kiro_failure *f) {
    std::string path(place.dir);
    while (path.size() > 1 && path.ends_with('/')) {
        path.pop_back(); // a slash at the end would follow a link
    }
    const auto open_it = [&] {
        return Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    };
    Fd directory = open_it();
    if (!directory.valid() && errno == ENOENT) {
        if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
            fail(f, "make", path, errno);
            return Fd();
        }
        directory = open_it();
    }
    struct stat info;
    if (!directory.valid()) {
        const int error = errno;
        if (lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode)) {
            kiro_failure_set(f, KIRO_FAIL_INTERNAL, "%s is a symbolic link, name the directory itself",
                             shown(path).c_str());
        } else {
            fail(f, "open", path, error);
        }
        return Fd();
    }
    if (fstat(directory.get(), &info) != 0) {
        fail(f, "look at", path, errno);
        return Fd();
    }
    if (info.st_uid != geteuid() && info.st_uid != 0) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "%s belongs to another user than the workers'",
                         shown(path).c_str());
        return Fd();
    }
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "other users may write in %s, chmod 700 it",
                         shown(path).c_str());
        return Fd();
    }
    if ((info.st_mode & (S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH)) != 0) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "other users may look into %s, chmod 700 it",
                         shown(path).c_str());
    }
    return directory;
}

// False: errno is set. Somebody who never lets go must not keep an exiting worker.
bool take_lock(int fd) {
    const auto end = std::chrono::steady_clock::now() + lock_patience;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EINTR && (errno != EWOULDBLOCK || std::chrono::steady_clock::now() >= end)) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

} // namespace

bool write_capture(const kiro_capture_place &place, const std::vector<capture::File> &files,
                   kiro_failure *f) {
    kiro_failure_set(f, KIRO_FAIL_NONE, "%s", "");
    const Fd directory = open_place(place, f);
    if (!directory.valid()) {
        return false;
    }
    const Fd lock(openat(directory.get(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!lock.valid()) {
        return fail(f, "open", std::string(place.dir) + "/" + lock_name, errno);
    }
    if (!take_lock(lock.get())) {
        return fail(f, "lock", std::string(place.dir) + "/" + lock_name, errno);
    }
    if (!remove_capture(directory.get(), unfinished)) {
        return fail(f, "remove", std::string(place.dir) + "/" + unfinished, errno);
    }
    uint64_t needed = 0;
    for (const capture::File &file : files) {
        needed += file.text.size();
    }
    if (needed > place.max_size) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "a capture of %llu bytes is larger than max_size",
                         static_cast<unsigned long long>(needed));
        return false;
    }
    if (!make_room(directory.get(), place, needed, f)) {
        return false;
    }
    if (!write_files(directory.get(), place, files, f)) {
        remove_capture(directory.get(), unfinished);
        return false;
    }
    return true;
}

} // namespace kiro::store
