// The requests of gtest/data/requests: {"about": the rule it exercises, "request": what a client sends,
// "upstream": what goes out (V3)}; with "notice", the tools of lost calls that the model is told of. Of one
// that is not taken "refused": {"param", "message"} instead. The file
// name's first word is the dialect.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kiro/kiro.h"
#include "support/client_request.h"

namespace kiro::test {

struct Golden {
    std::filesystem::path path;
    std::string text;                                           // of the file
    std::string_view about, notice, request, upstream, refused; // values of its members; empty: absent

    std::string name() const { return path.stem().string(); }
    kiro_api api() const;
};

// The corpus in the order of its names.
std::vector<Golden> corpus();

// Parses the request, and gives it the notice.
bool parse(const Golden &golden, ClientRequest &request);

// JSON for people: one space a level, short values on one line.
std::string pretty(std::string_view json);

std::string minified(std::string_view json);

// Writes the golden with what came out of it.
void update(const Golden &golden, std::string_view key, std::string_view json);

} // namespace kiro::test
