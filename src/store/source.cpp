#include "store/source.h"

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/kiro/login_database.h"
#include "store/credentials_db.h"
#include "store/file.h"

namespace kiro::store {

using ::kiro::kiro::Credential;

namespace {

// Puts the path before what the parser found.
void name_file(const std::string &path, kiro_failure *f) {
    const std::string message = f->message;
    kiro_failure_set(f, f->kind, "%s: %s", shown(path).c_str(), message.c_str());
}

std::optional<Credential> parse(kiro_source_kind kind, std::string_view data, kiro_failure *f) {
    switch (kind) {
    case KIRO_SOURCE_API_KEY_FILE:
        return ::kiro::kiro::credential_from_api_key(data, f);
    case KIRO_SOURCE_REFRESH_TOKEN_FILE:
        return ::kiro::kiro::credential_from_refresh_token(data, f);
    case KIRO_SOURCE_CREDENTIALS_FILE:
        return ::kiro::kiro::parse_credential(data, f);
    case KIRO_SOURCE_CREDENTIALS_DB:
        break;
    }
    kiro_failure_set(f, KIRO_FAIL_INTERNAL, "unknown kind of credential source");
    return std::nullopt;
}

// Where the files beside a source are, each with its slash: where its path says, and where it
// is if that is a link.
std::vector<std::string> directories_of(const std::string &source) {
    const auto directory_of = [](std::string_view path) {
        const size_t slash = path.rfind('/');
        return std::string(slash == path.npos ? "./" : path.substr(0, slash + 1));
    };
    std::vector<std::string> out = {directory_of(source)};
    std::error_code error;
    const std::string resolved = std::filesystem::canonical(source, error).string();
    if (!error && !std::filesystem::equivalent(out.front(), directory_of(resolved), error) && !error) {
        out.push_back(directory_of(resolved));
    }
    return out;
}

// AWS SSO keeps the registration beside the login, named by its hash. A login without it
// serves until its access token expires. False: others may read it, f is set.
bool read_registration(const std::string &source, Credential &cred, Exposure &exposure, kiro_failure *f) {
    std::string problem;
    for (const std::string &dir : directories_of(source)) {
        const std::string path = dir + cred.client_id_hash + ".json";
        kiro_failure why{};
        const auto data = read_file(path, Missing::is_nothing, &why, &exposure);
        if (exposure.refused) {
            *f = why;
            return false;
        }
        if (data && ::kiro::kiro::add_registration(cred, data->view(), &why)) {
            ::kiro::kiro::append_note(cred.found, "client registration beside it");
            return true;
        }
        ::kiro::kiro::append_note(problem, data                         ? shown(path) + ": " + why.message
                                           : why.kind == KIRO_FAIL_NONE ? "there is no " + shown(path)
                                                                        : why.message);
    }
    ::kiro::kiro::append_note(cred.warning,
                              "its client registration, which a refresh needs, was not found: " + problem);
    return true;
}

// The profile that was chosen in the Kiro IDE: in its own directory if the login is where the
// IDE keeps it, or beside a copy of the login.
void read_ide_profile(const std::string &source, Credential &cred) {
    constexpr std::string_view login_dir = "/.aws/sso/cache/";
    constexpr std::string_view name = "profile.json";
    constexpr std::string_view ide_dirs[] = {
        "/.config/Kiro/User/globalStorage/kiro.kiroagent/",
        "/Library/Application Support/Kiro/User/globalStorage/kiro.kiroagent/",
    };
    const bool may_have_profile = cred.login == KIRO_LOGIN_OIDC || cred.login == KIRO_LOGIN_EXTERNAL;
    if (!may_have_profile || !cred.profile_arn.empty() || ::kiro::kiro::is_builder_id(cred)) {
        return;
    }
    std::vector<std::string> paths;
    for (const std::string &dir : directories_of(source)) {
        paths.push_back(dir + std::string(name));
        if (dir.ends_with(login_dir)) {
            for (std::string_view ide_dir : ide_dirs) {
                paths.push_back(dir.substr(0, dir.size() - login_dir.size()).append(ide_dir).append(name));
            }
        }
    }
    for (const std::string &path : paths) {
        kiro_failure ignored{};
        Exposure exposure{Exposure::warn};
        const auto data = read_file(path, Missing::is_nothing, &ignored, &exposure);
        const bool trusted = (exposure.mode & S_IWOTH) == 0;
        cred.profile_arn = data && trusted ? ::kiro::kiro::profile_of(data->view()) : std::string();
        if (!cred.profile_arn.empty()) {
            ::kiro::kiro::append_note(cred.found, "profile of " + shown(path));
            return;
        }
    }
}

} // namespace

kiro_source_kind detect(const kiro_source &source) {
    constexpr std::string_view magic = "SQLite format 3";
    if (source.kind != KIRO_SOURCE_CREDENTIALS_FILE) {
        return source.kind;
    }
    const Fd fd(open(source.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat info;
    std::array<char, magic.size()> start{};
    const bool readable = fd.valid() && fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode) &&
                          pread(fd.get(), start.data(), start.size(), 0) == ssize_t{start.size()};
    return readable && std::string_view(start.data(), start.size()) == magic ? KIRO_SOURCE_CREDENTIALS_DB
                                                                             : source.kind;
}

std::optional<Credential> read_source(const kiro_source &source, kiro_failure *f) {
    if (source.kind == KIRO_SOURCE_CREDENTIALS_DB) {
        return read_credentials_db(source, f);
    }
    const std::string path = source.path;
    Exposure exposure{exposure_rule(source)};
    const auto data = read_file(path, Missing::is_failure, f, &exposure);
    if (!data) {
        return std::nullopt;
    }
    auto cred = parse(source.kind, data->view(), f);
    if (!cred) {
        name_file(path, f);
        return std::nullopt;
    }
    if (cred->login == KIRO_LOGIN_OIDC && !cred->has_registration() && !cred->client_id_hash.empty() &&
        !read_registration(path, *cred, exposure, f)) {
        return std::nullopt;
    }
    ::kiro::kiro::append_note(cred->warning, exposure.warning);
    read_ide_profile(path, *cred);
    return cred;
}

} // namespace kiro::store
