// What marks a state file of our own, and the members that only it has.
#ifndef KIRO_CORE_KIRO_STATE_FORMAT_H
#define KIRO_CORE_KIRO_STATE_FORMAT_H

#include <cstddef>

namespace kiro::kiro::state_format {

constexpr const char *name = "ngx_kiro account";
constexpr int version = 1;
constexpr const char *lineage = "lineage";
constexpr size_t max_lineage = 32;

} // namespace kiro::kiro::state_format

#endif
