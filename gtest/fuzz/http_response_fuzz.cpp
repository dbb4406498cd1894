// One response, whole and cut in pieces: both must come out the same.
#include "kiro/http.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

constexpr size_t cap = 4096;

bool same(kiro_str a, kiro_str b) {
    return a.len == b.len && (a.len == 0 || std::memcmp(a.data, b.data, a.len) == 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = reinterpret_cast<const char *>(data);
    const size_t step = size == 0 ? 1 : data[0] % 7 + 1;
    kiro_http *whole = kiro_http_create(cap);
    kiro_http *cut = kiro_http_create(cap);
    kiro_http_feed(whole, bytes, size);
    for (size_t i = 0; i < size; i += step) {
        kiro_http_feed(cut, bytes + i, size - i < step ? size - i : step);
    }
    const kiro_status a = kiro_http_eof(whole);
    const kiro_status b = kiro_http_eof(cut);
    if (a != b || kiro_http_body(whole).len > cap) {
        std::abort();
    }
    if (a == KIRO_OK &&
        (kiro_http_status(whole) != kiro_http_status(cut) ||
         !same(kiro_http_body(whole), kiro_http_body(cut)) ||
         !same(kiro_http_header(whole, "retry-after"), kiro_http_header(cut, "retry-after")))) {
        std::abort();
    }
    kiro_http_free(whole);
    kiro_http_free(cut);
    return 0;
}
