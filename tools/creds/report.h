// What a person wants to know of a credential source, without a secret in it.
#ifndef KIRO_TOOLS_CREDS_REPORT_H
#define KIRO_TOOLS_CREDS_REPORT_H

#include <cstdint>
#include <string>
#include <vector>

#include "core/kiro/credential.h"
#include "kiro/store.h"

namespace kiro::creds {

struct Line {
    std::string label;
    std::string text;
};

struct Report {
    std::vector<Line> lines;
    bool usable = false; // now, or after a refresh
};

Report report(const kiro_source &source, const ::kiro::kiro::Credential &cred, int64_t now);

// Who else can read or change the file, or what is beside it; one sentence each.
std::vector<std::string> permission_warnings(const std::string &path, const ::kiro::kiro::Credential &cred);

// Without control characters: the text may come from the source.
std::string printable(std::string_view text);

} // namespace kiro::creds

#endif
