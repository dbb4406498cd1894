#include "core/kiro/secret.h"

#include <sys/mman.h>

namespace kiro::kiro {

#if defined(__SANITIZE_ADDRESS__)
#define KIRO_PLAIN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KIRO_PLAIN_HEAP 1
#endif
#endif

#ifdef KIRO_PLAIN_HEAP

// The sanitizer watches over the heap only.
void *allocate_secret(std::size_t n) {
    return ::operator new(n);
}

void free_secret(void *p, std::size_t n) noexcept {
    OPENSSL_cleanse(p, n);
    ::operator delete(p);
}

#else

void *allocate_secret(std::size_t n) {
    void *p = mmap(nullptr, n == 0 ? 1 : n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        throw std::bad_alloc();
    }
#ifdef MADV_DONTDUMP
    madvise(p, n, MADV_DONTDUMP);
#endif
    return p;
}

void free_secret(void *p, std::size_t n) noexcept {
    OPENSSL_cleanse(p, n); // a fork may share the pages
    munmap(p, n == 0 ? 1 : n);
}

#endif

} // namespace kiro::kiro
