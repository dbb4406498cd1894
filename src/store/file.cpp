#include "store/file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/kiro/credential.h"

namespace kiro::store {

using ::kiro::kiro::max_credential_file;
using ::kiro::kiro::Secret;

namespace {

constexpr size_t random_digits = 16;

// A random name beside the file; nobody else writes to it.
std::string temporary_name(const std::string &name) {
    std::array<unsigned char, random_digits / 2> random{};
    if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
        throw std::system_error(errno, std::generic_category());
    }
    std::string out = "." + name + ".";
    for (unsigned char byte : random) {
        constexpr std::string_view hex = "0123456789abcdef";
        out.push_back(hex[byte >> 4]);
        out.push_back(hex[byte & 15]);
    }
    return out;
}

bool is_temporary_name(std::string_view entry, const std::string &name) {
    return entry.size() == name.size() + 2 + random_digits && entry.starts_with('.') &&
           entry.substr(1, name.size()) == name && entry[name.size() + 1] == '.' &&
           entry.find_first_not_of("0123456789abcdef", name.size() + 2) == entry.npos;
}

// A process that died in the middle left a file with tokens in it.
void remove_leftovers(int dir_fd, const std::string &name) {
    constexpr time_t old_enough = 600;
    const int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? nullptr : fdopendir(fd);
    if (dir == nullptr) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    while (const dirent *entry = readdir(dir)) {
        struct stat info;
        if (is_temporary_name(entry->d_name, name) &&
            fstatat(dir_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            info.st_mtime + old_enough < time(nullptr)) {
            unlinkat(dir_fd, entry->d_name, 0);
        }
    }
    closedir(dir);
}

bool write_all(int fd, std::string_view data) {
    while (!data.empty()) {
        const ssize_t n = write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        data.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

// Some file systems cannot sync a directory; that is no error of ours.
bool sync_directory(int fd) {
    return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
}

} // namespace

int Fd::release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
}

int Fd::reset() {
    const int fd = release();
    return fd < 0 ? 0 : close(fd);
}

std::string shown(std::string_view path) {
    constexpr size_t longest = 240;
    if (path.size() <= longest) {
        return std::string(path);
    }
    return "..." + std::string(path.substr(path.size() - longest));
}

void set_failure(kiro_failure *f, const char *what, std::string_view path, int error) {
    kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "cannot %s %s: %s", what, shown(path).c_str(),
                     std::generic_category().message(error).c_str());
}

bool check_exposure(const std::string &path, const struct stat &info, int fd, Exposure &exposure,
                    kiro_failure *f) {
    exposure.mode = info.st_mode;
    if ((info.st_mode & (S_IROTH | S_IWOTH)) == 0) {
        return true;
    }
    std::array<char, 8> mode{};
    snprintf(mode.data(), mode.size(), "%04o", static_cast<unsigned>(info.st_mode & 07777));
    const std::string found = shown(path) + " can be " +
                              ((info.st_mode & S_IWOTH) != 0 ? "written" : "read") +
                              " by every user of this machine (mode " + mode.data() + ")";
    switch (exposure.rule) {
    case Exposure::refuse:
        exposure.refused = true;
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED,
                         "%s: chmod o-rwx it, or allow it with \"allow_exposed_files on\"", found.c_str());
        return false;
    case Exposure::warn:
        ::kiro::kiro::append_note(exposure.warning, found);
        return true;
    case Exposure::mend:
        break;
    }
    // One with a second name may be a file of somebody else.
    const bool mended = info.st_nlink == 1 && fchmod(fd, 0600) == 0;
    ::kiro::kiro::append_note(exposure.warning,
                              found + (mended ? ", it was closed to them" : ", chmod 600 it"));
    return true;
}

std::optional<Secret> read_file(const std::string &path, Missing missing, kiro_failure *f,
                                Exposure *exposure) {
    // O_NONBLOCK: a FIFO must not hang us before fstat() tells that it is one.
    const bool ours = exposure != nullptr && exposure->rule == Exposure::mend;
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (ours ? O_NOFOLLOW : 0)));
    if (!fd.valid()) {
        const int error = errno;
        if (error == ELOOP && ours) {
            kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "cannot use %s: it is a symbolic link",
                             shown(path).c_str());
        } else if (error == ENOENT && missing == Missing::is_nothing) {
            kiro_failure_set(f, KIRO_FAIL_NONE, "%s", "");
        } else {
            set_failure(f, "open", path, error);
        }
        return std::nullopt;
    }
    struct stat info;
    if (fstat(fd.get(), &info) != 0) {
        set_failure(f, "stat", path, errno);
        return std::nullopt;
    }
    if (!S_ISREG(info.st_mode)) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "cannot read %s: it is %s", shown(path).c_str(),
                         S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
        return std::nullopt;
    }
    if (exposure != nullptr && !check_exposure(path, info, fd.get(), *exposure, f)) {
        return std::nullopt;
    }
    Secret data;
    size_t used = 0;
    for (;;) {
        constexpr size_t step = 16384;
        if (used > max_credential_file || info.st_size > static_cast<off_t>(max_credential_file)) {
            kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "cannot read %s: it is larger than %zu bytes",
                             shown(path).c_str(), max_credential_file);
            return std::nullopt;
        }
        data.resize(used + step);
        const ssize_t n = read(fd.get(), data.data() + used, step);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            set_failure(f, "read", path, errno);
            return std::nullopt;
        }
        used += static_cast<size_t>(n);
        if (n == 0) {
            data.resize(used);
            return data;
        }
    }
}

Fd open_directory(const char *dir, kiro_failure *f) {
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        set_failure(f, "open the directory", dir, errno);
    }
    return Fd(fd);
}

bool give_to_owner_of(int dir_fd, int fd) {
    if (geteuid() != 0) {
        return true;
    }
    struct stat info;
    return fstat(dir_fd, &info) == 0 && fchown(fd, info.st_uid, info.st_gid) == 0;
}

Replacement::Replacement(std::string dir, std::string name) : dir_(std::move(dir)), name_(std::move(name)) {}

Replacement::~Replacement() {
    if (!temporary_.empty()) {
        unlinkat(directory_.get(), temporary_.c_str(), 0);
    }
}

bool Replacement::fail(const char *what, kiro_failure *f) {
    error_ = errno;
    set_failure(f, what, dir_ + "/" + name_, error_);
    return false;
}

bool Replacement::create(kiro_failure *f) {
    directory_ = open_directory(dir_.c_str(), f);
    if (!directory_.valid()) {
        return false;
    }
    remove_leftovers(directory_.get(), name_);
    std::string temporary = temporary_name(name_);
    file_ = Fd(openat(directory_.get(), temporary.c_str(),
                      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file_.valid()) {
        return fail("create a file for", f);
    }
    temporary_ = std::move(temporary);
    return true;
}

bool Replacement::fill(std::string_view data, kiro_failure *f) {
    return (write_all(file_.get(), data) && fsync(file_.get()) == 0 && file_.reset() == 0) ||
           fail("write", f);
}

bool Replacement::write(std::string_view data, kiro_failure *f) {
    if (!create(f)) {
        return false;
    }
    // The mode again: a umask may have taken bits away.
    if (fchmod(file_.get(), 0600) != 0 || !give_to_owner_of(directory_.get(), file_.get())) {
        return fail("write", f);
    }
    return fill(data, f);
}

bool Replacement::write_like(const struct stat &old, std::string_view data, kiro_failure *f) {
    constexpr mode_t permissions = 07777;
    if (!create(f)) {
        return false;
    }
    struct stat info;
    if (fstat(file_.get(), &info) != 0) {
        return fail("write", f);
    }
    const bool same_owner = info.st_uid == old.st_uid && info.st_gid == old.st_gid;
    if (!same_owner && fchown(file_.get(), old.st_uid, old.st_gid) != 0) {
        return fail("keep the owner of", f);
    }
    if (fchmod(file_.get(), old.st_mode & permissions) != 0) {
        return fail("keep the mode of", f);
    }
    return fill(data, f);
}

bool Replacement::commit(kiro_failure *f) {
    if (renameat(directory_.get(), temporary_.c_str(), directory_.get(), name_.c_str()) != 0) {
        return fail("write", f);
    }
    temporary_.clear();
    return finish(f);
}

bool Replacement::finish(kiro_failure *f) {
    return sync_directory(directory_.get()) || fail("sync the directory of", f);
}

bool Replacement::exchange() {
#if defined(SYS_renameat2)
    constexpr unsigned rename_exchange = 2;
    return syscall(SYS_renameat2, directory_.get(), temporary_.c_str(), directory_.get(), name_.c_str(),
                   rename_exchange) == 0;
#else
    errno = ENOSYS;
    return false;
#endif
}

std::optional<Secret> Replacement::content(const std::string &name) const {
    kiro_failure ignored;
    return read_file(dir_ + "/" + name, Missing::is_failure, &ignored);
}

Replacement::Over Replacement::commit_over(std::string_view before, kiro_failure *f) {
    constexpr int most_exchanges = 8;
    const auto now = content(name_);
    if (!now || now->view() != before) {
        return Over::changed;
    }
    auto put = content(temporary_);
    if (!exchange()) {
        if (errno == ENOENT) {
            return Over::changed;
        }
        // Not every file system can: then a moment between look and rename remains.
        const bool plain = errno == EINVAL || errno == ENOSYS || errno == ENOTSUP;
        return plain ? (commit(f) ? Over::done : Over::failed) : (fail("write", f), Over::failed);
    }
    auto taken = content(temporary_);
    if (taken && taken->view() == before) {
        return finish(f) ? Over::done : Over::failed;
    }
    // Somebody was faster by a moment: his goes back, or what has come since.
    for (int i = 0; i < most_exchanges && exchange(); ++i) {
        auto out = content(temporary_);
        if (put && out && out->view() == put->view()) {
            break;
        }
        put = std::move(taken);
        taken = std::move(out);
    }
    finish(f);
    return Over::changed;
}

bool replace_file(const char *dir, const std::string &name, std::string_view data, kiro_failure *f) {
    Replacement file(dir, name);
    return file.write(data, f) && file.commit(f);
}

} // namespace kiro::store
