// Files with secrets: read whole with a cap, replaced atomically.
#ifndef KIRO_STORE_FILE_H
#define KIRO_STORE_FILE_H

#include <optional>
#include <string>
#include <string_view>

#include <sys/stat.h>

#include "core/kiro/secret.h"
#include "kiro/store.h"

namespace kiro::store {

class Fd {
public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
    Fd(Fd &&other) noexcept : fd_(other.release()) {}
    Fd &operator=(Fd &&other) noexcept {
        reset();
        fd_ = other.release();
        return *this;
    }
    ~Fd() { reset(); }

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    int release();
    // The result of close(): the last place where a write error shows.
    int reset();

private:
    int fd_;
};

enum class Missing { is_failure, is_nothing };

// What becomes of a file with secrets that every user of the machine may read or write. mend is
// for files of our own: the directory is the workers', so the master follows no link there.
struct Exposure {
    enum Rule { refuse, warn, mend };
    explicit Exposure(Rule what) : rule(what) {}

    Rule rule;
    bool refused = false;
    mode_t mode = 0;     // of the file that was opened
    std::string warning; // what was found
};

inline Exposure::Rule exposure_rule(const kiro_source &source) {
    return source.allow_exposed != 0 ? Exposure::warn : Exposure::refuse;
}

// False: f is set. fd is needed to mend.
bool check_exposure(const std::string &path, const struct stat &info, int fd, Exposure &exposure,
                    kiro_failure *f);

// A regular file of at most max_credential_file bytes. Nothing: f is set; its kind is
// KIRO_FAIL_NONE if the file is not there and that is nothing.
std::optional<::kiro::kiro::Secret> read_file(const std::string &path, Missing missing, kiro_failure *f,
                                              Exposure *exposure = nullptr);

// Nothing: f is set.
Fd open_directory(const char *dir, kiro_failure *f);

// A file that takes the place of dir/name at once, and whole. Until commit() succeeds nothing
// has changed; what was written is removed with the object.
class Replacement {
public:
    Replacement(std::string dir, std::string name);
    Replacement(const Replacement &) = delete;
    Replacement &operator=(const Replacement &) = delete;
    ~Replacement();

    // Mode 0600. A file of root belongs to the directory's owner.
    bool write(std::string_view data, kiro_failure *f);
    // Mode and owner of the file that is replaced.
    bool write_like(const struct stat &old, std::string_view data, kiro_failure *f);
    bool commit(kiro_failure *f);
    // Only if dir/name still holds before, even if somebody else renames at the same moment.
    enum class Over { done, changed, failed };
    Over commit_over(std::string_view before, kiro_failure *f);
    // The errno of what failed.
    int error() const { return error_; }

private:
    bool create(kiro_failure *f);
    bool fill(std::string_view data, kiro_failure *f);
    bool fail(const char *what, kiro_failure *f);
    bool finish(kiro_failure *f);
    bool exchange();
    std::optional<::kiro::kiro::Secret> content(const std::string &name) const;

    std::string dir_;
    std::string name_;
    std::string temporary_;
    Fd directory_;
    Fd file_;
    int error_ = 0;
};

// dir/name with mode 0600: all of data or what was there before.
bool replace_file(const char *dir, const std::string &name, std::string_view data, kiro_failure *f);

// A new file of root belongs to the directory's owner, so that workers can use it.
bool give_to_owner_of(int dir_fd, int fd);

// A path as it stands in messages: only the end of a long one.
std::string shown(std::string_view path);

void set_failure(kiro_failure *f, const char *what, std::string_view path, int error);

} // namespace kiro::store

#endif
