#include "support/data.h"

namespace kiro::test {

std::string data_path(const std::string &name) {
    return KIRO_TEST_DATA "/" + name;
}

} // namespace kiro::test
