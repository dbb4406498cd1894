#include <cstring>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "creds/report.h"

namespace kiro::creds {

namespace {

constexpr mode_t group_read = 0040;
constexpr mode_t other_read = 0004;
constexpr mode_t group_write = 0020;
constexpr mode_t other_write = 0002;
constexpr mode_t sticky = 01000;

std::string user_name(uid_t uid) {
    const passwd *user = getpwuid(uid);
    return user != nullptr ? user->pw_name : std::to_string(uid);
}

std::string group_name(gid_t gid) {
    const group *found = getgrgid(gid);
    return found != nullptr ? found->gr_name : std::to_string(gid);
}

void check_file(const std::string &path, std::vector<std::string> &out) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
        return;
    }
    if ((info.st_mode & other_read) != 0) {
        out.push_back(path +
                      " can be read by everybody: chmod 600, or nginx refuses it (allow_exposed_files)");
    } else if ((info.st_mode & group_read) != 0) {
        out.push_back(path + " can be read by its group " + group_name(info.st_gid) +
                      ": chmod 600, unless that is the workers' group and they need it");
    }
    if ((info.st_mode & (group_write | other_write)) != 0) {
        out.push_back(path + " can be changed by others than its owner: chmod 600");
    }
}

void check_directory(const std::string &path, std::vector<std::string> &out) {
    struct stat info {};
    const bool open = stat(path.c_str(), &info) == 0 &&
                      ((info.st_mode & other_write) != 0 || (info.st_mode & group_write) != 0) &&
                      (info.st_mode & sticky) == 0;
    if (open) {
        out.push_back(path +
                      " can be changed by others than its owner, who can replace the login: chmod 700");
    }
}

void check_owner(const std::string &path, std::vector<std::string> &out) {
    struct stat info {};
    if (stat(path.c_str(), &info) == 0 && info.st_uid != geteuid()) {
        out.push_back(path + " belongs to " + user_name(info.st_uid) +
                      ": write_back needs workers that run as that user; others need state_path");
    }
}

} // namespace

std::vector<std::string> permission_warnings(const std::string &path, const ::kiro::kiro::Credential &cred) {
    const size_t slash = path.rfind('/');
    const std::string dir = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    std::vector<std::string> out;
    check_file(path, out);
    for (const char *end : {"-wal", "-shm", "-journal"}) {
        check_file(path + end, out);
    }
    if (!cred.client_id_hash.empty()) {
        check_file(dir + "/" + cred.client_id_hash + ".json", out);
    }
    check_directory(dir, out);
    check_owner(path, out);
    return out;
}

} // namespace kiro::creds
