// Files with secrets: read whole with a cap, replaced atomically.
#ifndef KIRO_STORE_FILE_H
#define KIRO_STORE_FILE_H

#include <optional>
#include <string>
#include <string_view>

#include "core/kiro/secret.h"
#include "kiro/store.h"

namespace kiro::store {

class Fd {
public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
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

// A regular file of at most max_credential_file bytes. Nothing: f is set; its kind is
// KIRO_FAIL_NONE if the file is not there and that is nothing.
std::optional<::kiro::kiro::Secret> read_file(const std::string &path, Missing missing, kiro_failure *f);

// Nothing: f is set.
Fd open_directory(const char *dir, kiro_failure *f);

// dir/name with mode 0600: all of data or what was there before.
bool replace_file(const char *dir, const std::string &name, std::string_view data, kiro_failure *f);

// A new file of root belongs to the directory's owner, so that workers can use it.
bool give_to_owner_of(int dir_fd, int fd);

// A path as it stands in messages: only the end of a long one.
std::string shown(std::string_view path);

void set_failure(kiro_failure *f, const char *what, std::string_view path, int error);

} // namespace kiro::store

#endif
