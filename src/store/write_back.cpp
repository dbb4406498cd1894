#include "store/write_back.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

#include "core/kiro/state_format.h"
#include "store/file.h"
#include "store/source.h"
#include "store/write_back_db.h"
#include "store/write_plan.h"

namespace kiro::store {

using ::kiro::kiro::Credential;
using ::kiro::kiro::Secret;

namespace {

constexpr kiro_failure_kind bad_login = KIRO_FAIL_LOGIN_REQUIRED;

// Puts the path before what was found there.
Step not_written(const std::string &path, kiro_failure *f) {
    const std::string message = f->message;
    kiro_failure_set(f, bad_login, "%s: %s; it is not overwritten", shown(path).c_str(), message.c_str());
    return Step::failed;
}

std::optional<std::string> resolve(const char *path, kiro_failure *f) {
    const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path, nullptr), std::free);
    if (!resolved) {
        set_failure(f, "find", path, errno);
        return std::nullopt;
    }
    return std::string(resolved.get());
}

bool may_replace(const std::string &path, struct stat &info, kiro_failure *f) {
    constexpr mode_t any_write = 0222;
    if (stat(path.c_str(), &info) != 0) {
        set_failure(f, "stat", path, errno);
        return false;
    }
    const char *problem = nullptr;
    if ((info.st_mode & any_write) == 0) {
        problem = "it is marked read-only";
    } else if (info.st_nlink > 1) {
        problem = "it has a second hard link, which would keep the old login";
    } else if (geteuid() != 0 && info.st_uid != geteuid()) {
        problem = "it belongs to another user, run the workers as that one";
    }
    if (problem != nullptr) {
        kiro_failure_set(f, bad_login, "cannot write %s: %s", shown(path).c_str(), problem);
    }
    return problem == nullptr;
}

Step replace(const std::string &path, const struct stat &info, std::string_view before,
             std::string_view after, kiro_failure *f) {
    const size_t slash = path.rfind('/');
    Replacement file(slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1));
    if (!file.write_like(info, after, f)) {
        return Step::failed;
    }
    // Nobody locks these files: what came in while ours was written must be seen.
    switch (file.commit_over(before, f)) {
    case Replacement::Over::done:
        return Step::done;
    case Replacement::Over::changed:
        kiro_failure_set(f, bad_login, "%s is written by somebody else all the time", shown(path).c_str());
        return Step::once_more;
    case Replacement::Over::failed:
        break;
    }
    if (file.error() == EBUSY) {
        kiro_failure_set(f, bad_login, "cannot replace %s: it is a mount point, mount its directory instead",
                         shown(path).c_str());
    }
    return Step::failed;
}

Step write_file(const kiro_source &source, const Refresh &refresh, kiro_failure *f) {
    const auto path = resolve(source.path, f);
    struct stat info;
    if (!path || !may_replace(*path, info, f)) {
        return Step::failed;
    }
    const auto text = read_file(*path, Missing::is_failure, f);
    if (!text) {
        return Step::failed;
    }
    const Plan what = source.kind == KIRO_SOURCE_REFRESH_TOKEN_FILE
                          ? plan_refresh_token(text->view(), refresh, f)
                          : plan_record(text->view(), std::nullopt, refresh, f);
    if (what.step == Step::failed) {
        // Some write in place: then this may be one half of the file.
        not_written(*path, f);
        return Step::once_more;
    }
    return what.text ? replace(*path, info, text->view(), what.text->view(), f) : what.step;
}

Step write_source(const kiro_source &source, const Refresh &refresh, kiro_failure *f) {
    constexpr int attempts = 5;
    constexpr auto pause = std::chrono::milliseconds(40);

    if (source.kind == KIRO_SOURCE_API_KEY_FILE || refresh.fresh.login == KIRO_LOGIN_API_KEY) {
        kiro_failure_set(f, bad_login, "an API key is never written back");
        return Step::failed;
    }
    if (source.kind == KIRO_SOURCE_CREDENTIALS_DB) {
        return write_database(source, refresh, f);
    }
    for (int attempt = 1;; ++attempt) {
        const Step step = write_file(source, refresh, f);
        if (step != Step::once_more || attempt == attempts) {
            return step;
        }
        std::this_thread::sleep_for(pause);
    }
}

// The other login comes after ours: a record that holds one of ours is older.
void remember(Credential &found, const Credential &fresh) {
    constexpr size_t most = ::kiro::kiro::state_format::max_lineage;
    std::vector<std::string> lineage = fresh.lineage;
    lineage.push_back(::kiro::kiro::current_fingerprint(fresh));
    if (lineage.size() > most) {
        lineage.erase(lineage.begin());
    }
    found.lineage = std::move(lineage);
}

} // namespace

kiro_status write_back(const kiro_source &source, const Credential &used, const Credential &fresh,
                       std::optional<Credential> &found, kiro_failure *f) {
    const Step step = write_source(source, {used, fresh}, f);
    if (step == Step::done) {
        return KIRO_OK;
    }
    if (step != Step::other_login) {
        return KIRO_ERROR;
    }
    found = read_source(source, f);
    if (!found) {
        return KIRO_ERROR;
    }
    remember(*found, fresh);
    kiro_failure_set(f, KIRO_FAIL_NONE, "%s holds another login by now", shown(source.path).c_str());
    return KIRO_AGAIN;
}

} // namespace kiro::store
