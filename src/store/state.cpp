#include "store/state.h"

#include <cerrno>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

namespace kiro::store {

using ::kiro::kiro::Credential;

bool check_account(std::string_view account, kiro_failure *f) {
    constexpr size_t longest = 200;
    bool plain = !account.empty() && account.size() <= longest && account.front() != '.';
    for (char c : account) {
        const auto byte = static_cast<unsigned char>(c);
        plain = plain && byte > 0x20 && byte != 0x7f && c != '/' && c != '\\';
    }
    if (!plain) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL,
                         "the account's name cannot be a file name: it must not be empty, longer than %zu "
                         "bytes, start with \".\" or have white space or slashes in it",
                         longest);
    }
    return plain;
}

std::optional<Credential> read_state(const char *dir, const char *account, kiro_failure *f) {
    if (!check_account(account, f)) {
        return std::nullopt;
    }
    const std::string path = std::string(dir) + "/" + account + ".json";
    Exposure exposure{Exposure::mend};
    const auto data = read_file(path, Missing::is_nothing, f, &exposure);
    if (!data) {
        return std::nullopt;
    }
    auto cred = ::kiro::kiro::parse_credential(data->view(), f);
    if (cred && cred->is_state) {
        // Those of the day it was written; the caller sets today's.
        cred->operator_profile_arn.clear();
        cred->operator_region.clear();
        cred->warning = exposure.warning;
        return cred;
    }
    const std::string why = cred ? "it was not written by ngx_kiro" : f->message;
    kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "the state file %s cannot be used: %s", shown(path).c_str(),
                     why.c_str());
    return std::nullopt;
}

bool write_state(const char *dir, const char *account, const Credential &cred, kiro_failure *f) {
    if (!check_account(account, f)) {
        return false;
    }
    return replace_file(dir, std::string(account) + ".json", ::kiro::kiro::serialize(cred).view(), f);
}

kiro_status check_dir(const char *dir, int64_t owner, kiro_failure *f) {
    const auto trusted = [&](uid_t uid) { return uid == 0 || uid == geteuid() || int64_t{uid} == owner; };
    const auto refuse = [&](const char *why) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "%s cannot keep logins: %s", shown(dir).c_str(), why);
        return KIRO_ERROR;
    };
    kiro_failure_set(f, KIRO_FAIL_NONE, "%s", "");
    struct stat info;
    // Without a slash at the end, which would follow a link.
    std::string path(dir);
    while (path.size() > 1 && path.ends_with('/')) {
        path.pop_back();
    }
    if (lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT) {
            return KIRO_AGAIN;
        }
        set_failure(f, "look at", path, errno);
        return KIRO_ERROR;
    }
    if (S_ISLNK(info.st_mode)) {
        if (!trusted(info.st_uid)) {
            return refuse("it is a symbolic link that another user made");
        }
        if (stat(path.c_str(), &info) != 0) {
            set_failure(f, "follow", path, errno);
            return KIRO_ERROR;
        }
    }
    if (!S_ISDIR(info.st_mode)) {
        return refuse("it is not a directory");
    }
    // The owner is only checked where it is known which user the workers have.
    if (owner >= 0 && !trusted(info.st_uid)) {
        return refuse("it belongs to another user than the workers'");
    }
    if ((info.st_mode & S_IWOTH) != 0) {
        return refuse("every user of this machine may write there, chmod 700 it");
    }
    // The files in it are closed themselves.
    if ((info.st_mode & (S_IROTH | S_IXOTH)) != 0) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "every user of this machine may look into %s, chmod 700 it",
                         shown(path).c_str());
    }
    return KIRO_OK;
}

bool check_usable(const char *dir, kiro_failure *f) {
    if (faccessat(AT_FDCWD, dir, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        set_failure(f, "write in", dir, errno);
        return false;
    }
    return true;
}

kiro_status lock(const char *dir, const char *account, int &fd, kiro_failure *f) {
    fd = -1;
    if (!check_account(account, f)) {
        return KIRO_ERROR;
    }
    const Fd directory = open_directory(dir, f);
    if (!directory.valid()) {
        return KIRO_ERROR;
    }
    const std::string name = std::string(account) + ".lock";
    const std::string path = std::string(dir) + "/" + name;
    Fd file(
        openat(directory.get(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!file.valid() || !give_to_owner_of(directory.get(), file.get())) {
        set_failure(f, "open", path, errno);
        return KIRO_ERROR;
    }
    int result;
    do {
        result = flock(file.get(), LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result == 0) {
        fd = file.release();
        return KIRO_OK;
    }
    if (errno == EWOULDBLOCK) {
        kiro_failure_set(f, KIRO_FAIL_UNAVAILABLE, "%s is held by another process", shown(path).c_str());
        return KIRO_AGAIN;
    }
    set_failure(f, "lock", path, errno);
    return KIRO_ERROR;
}

} // namespace kiro::store
