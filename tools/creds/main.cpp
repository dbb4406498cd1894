// kiro-creds: reads a credential source as the module does and says what is in it.

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "core/kiro/secret_json.h"
#include "creds/report.h"
#include "store/file.h"
#include "store/source.h"

namespace {

using ::kiro::creds::printable;

enum Exit { usable = 0, unusable = 1, unreadable = 2, misused = 3 };

constexpr const char *help = R"(usage: kiro-creds [--key KEY] FILE|DATABASE

Reads a credential source as nginx does and says what it is. No secret is printed.

  FILE      login of the Kiro IDE or AWS SSO, ksk_ API key, refresh token, or a state file
  DATABASE  data.sqlite3 of kiro-cli or Amazon Q
  --key     the row of the database to use, as credentials_db_key

exit status: 0 the login can be used, 1 it cannot, 2 there is none, 3 wrong arguments
)";

struct Arguments {
    std::string path;
    std::string key;
};

std::optional<Arguments> arguments(int argc, char **argv) {
    Arguments out;
    bool only_paths = false;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (!only_paths && word == "--") {
            only_paths = true;
        } else if (!only_paths && word == "--key" && i + 1 < argc) {
            out.key = argv[++i];
        } else if ((!only_paths && word.starts_with("-")) || word.empty() || !out.path.empty()) {
            return std::nullopt;
        } else {
            out.path = word;
        }
    }
    return out.path.empty() ? std::nullopt : std::optional(out);
}

// By its content, as a person would choose the directive. Nothing: f is set.
std::optional<kiro_source_kind> kind_of(const kiro_source &source, kiro_failure *f) {
    if (kiro::store::detect(source) == KIRO_SOURCE_CREDENTIALS_DB) {
        return KIRO_SOURCE_CREDENTIALS_DB;
    }
    const auto data = kiro::store::read_file(source.path, kiro::store::Missing::is_failure, f);
    if (!data) {
        return std::nullopt;
    }
    const std::string_view text = kiro::kiro::trim(data->view());
    if (text.empty()) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "%s is empty", source.path);
        return std::nullopt;
    }
    return text.starts_with("ksk_")                               ? KIRO_SOURCE_API_KEY_FILE
           : text.find_first_of("{[\"") == std::string_view::npos ? KIRO_SOURCE_REFRESH_TOKEN_FILE
                                                                  : KIRO_SOURCE_CREDENTIALS_FILE;
}

int run(const Arguments &given) {
    kiro_failure f{};
    kiro_source source{};
    source.kind = KIRO_SOURCE_CREDENTIALS_FILE;
    source.path = given.path.c_str();
    source.allow_exposed = 1; // the report warns of them
    source.key = given.key.empty() ? nullptr : given.key.c_str();
    const auto kind = kind_of(source, &f);
    if (kind) {
        source.kind = *kind;
    }
    if (kind && source.key != nullptr && *kind != KIRO_SOURCE_CREDENTIALS_DB) {
        std::fprintf(stderr, "kiro-creds: --key is for databases, and %s is none\n",
                     printable(given.path).c_str());
        return misused;
    }
    const auto cred = kind ? kiro::store::read_source(source, &f) : std::nullopt;
    if (!cred) {
        std::fprintf(stderr, "kiro-creds: %s\n", printable(f.message).c_str());
        return unreadable;
    }
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    const auto report = kiro::creds::report(source, *cred, now);
    for (const auto &line : report.lines) {
        std::printf("%-14s %s\n", (line.label + ":").c_str(), line.text.c_str());
    }
    for (const auto &warning : kiro::creds::permission_warnings(given.path, *cred)) {
        std::printf("%-14s %s\n", "warning:", printable(warning).c_str());
    }
    return report.usable ? usable : unusable;
}

} // namespace

int main(int argc, char **argv) {
    if (argc == 2 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0)) {
        std::fputs(help, stdout);
        return usable;
    }
    const auto given = arguments(argc, argv);
    if (!given) {
        std::fputs(help, stderr);
        return misused;
    }
    try {
        return run(*given);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "kiro-creds: %s\n", printable(error.what()).c_str());
        return unreadable;
    }
}
