// Bytes that must not outlive their owner in freed memory, nor appear in a core dump.
#ifndef KIRO_CORE_KIRO_SECRET_H
#define KIRO_CORE_KIRO_SECRET_H

#include <cstddef>
#include <new>
#include <string_view>
#include <vector>

#include <openssl/crypto.h>

namespace kiro::kiro {

// Whole pages that no core dump has; throws std::bad_alloc. Freed ones are wiped.
void *allocate_secret(std::size_t n);
void free_secret(void *p, std::size_t n) noexcept;

template <class T> struct WipingAllocator {
    using value_type = T;

    WipingAllocator() = default;
    template <class U> WipingAllocator(const WipingAllocator<U> &) {}

    T *allocate(std::size_t n) { return static_cast<T *>(allocate_secret(n * sizeof(T))); }
    void deallocate(T *p, std::size_t n) { free_secret(p, n * sizeof(T)); }
    template <class U> bool operator==(const WipingAllocator<U> &) const { return true; }
};

// A vector, not a string: a string would keep short values inside the object,
// where the allocator never sees them.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string_view text) : bytes_(text.begin(), text.end()) {}

    std::string_view view() const { return {bytes_.data(), bytes_.size()}; }
    bool empty() const { return bytes_.empty(); }
    std::size_t size() const { return bytes_.size(); }
    char *data() { return bytes_.data(); }

    void append(std::string_view text) { bytes_.insert(bytes_.end(), text.begin(), text.end()); }
    void push_back(char c) { bytes_.push_back(c); }
    void reserve(std::size_t n) { bytes_.reserve(n); }
    void resize(std::size_t n) { bytes_.resize(n); }
    void clear() {
        OPENSSL_cleanse(bytes_.data(), bytes_.size());
        bytes_.clear();
    }

private:
    std::vector<char, WipingAllocator<char>> bytes_;
};

} // namespace kiro::kiro

#endif
