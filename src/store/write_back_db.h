// A refreshed login goes back into the database of kiro-cli or Amazon Q.
#ifndef KIRO_STORE_WRITE_BACK_DB_H
#define KIRO_STORE_WRITE_BACK_DB_H

#include "store/write_plan.h"

namespace kiro::store {

// One transaction on the rows that hold a spent token; no row is added. failed: f is set with
// the path in it, KIRO_FAIL_UNAVAILABLE while others have the database locked.
Step write_database(const kiro_source &source, const Refresh &refresh, kiro_failure *f);

} // namespace kiro::store

#endif
