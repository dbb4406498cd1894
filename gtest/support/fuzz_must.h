// How a fuzz target says that something is wrong.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace test {

inline void must(bool holds) {
    if (!holds) {
        std::abort();
    }
}

template <class Body> void or_abort(Body &&body) {
    try {
        body();
    } catch (const std::exception &bad) {
        std::fprintf(stderr, "%s\n", bad.what());
        std::abort();
    }
}

} // namespace test
