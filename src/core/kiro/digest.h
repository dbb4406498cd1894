// SHA-256 and the deterministic identifiers made of it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace kiro::kiro {

class Sha256 {
public:
    Sha256();
    Sha256 &add(std::string_view data);
    Sha256 &add_field(std::string_view data); // with its length, so that fields cannot run into each other
    std::array<uint8_t, 32> finish();

private:
    struct Free {
        void operator()(evp_md_ctx_st *context) const;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context;
};

// A UUID from the first bytes of the hash, marked as version 4: what checks for UUIDs most often expect.
std::string uuid_of(Sha256 &hash);

// The first eight hex digits.
std::string short_hash(std::string_view data);

} // namespace kiro::kiro
