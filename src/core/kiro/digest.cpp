#include "core/kiro/digest.h"

#include <new>
#include <openssl/evp.h>
#include <stdexcept>

namespace kiro::kiro {

namespace {

void check(int ok) {
    if (ok != 1)
        throw std::runtime_error("SHA-256 failed");
}

void append_hex(std::string &out, uint8_t byte) {
    constexpr char digits[] = "0123456789abcdef";
    out += digits[byte >> 4];
    out += digits[byte & 15];
}

} // namespace

void Sha256::Free::operator()(evp_md_ctx_st *c) const {
    EVP_MD_CTX_free(c);
}

Sha256::Sha256() : context(EVP_MD_CTX_new()) {
    if (!context)
        throw std::bad_alloc();
    check(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr));
}

Sha256 &Sha256::add(std::string_view data) {
    check(EVP_DigestUpdate(context.get(), data.data(), data.size()));
    return *this;
}

Sha256 &Sha256::add_field(std::string_view data) {
    std::string length = std::to_string(data.size());
    length += ':';
    return add(length).add(data);
}

std::array<uint8_t, 32> Sha256::finish() {
    std::array<uint8_t, 32> digest{};
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context.get(), digest.data(), &size));
    return digest;
}

std::string uuid_of(Sha256 &hash) {
    auto digest = hash.finish();
    digest[6] = static_cast<uint8_t>((digest[6] & 0x0F) | 0x40);
    digest[8] = static_cast<uint8_t>((digest[8] & 0x3F) | 0x80);
    std::string out;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out += '-';
        append_hex(out, digest[i]);
    }
    return out;
}

std::string short_hash(std::string_view data) {
    auto digest = Sha256().add(data).finish();
    std::string out;
    for (size_t i = 0; i < 4; i++)
        append_hex(out, digest[i]);
    return out;
}

} // namespace kiro::kiro
