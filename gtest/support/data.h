// Where the tests' data lies.

#pragma once

#include <string>

namespace kiro::test {

// A path below gtest/data.
std::string data_path(const std::string &name);

} // namespace kiro::test
