// What becomes a part of host names: regions, ARNs, URLs of issuers, and registrations and profiles that
// carry them.
#include "core/kiro/credential.h"
#include "core/kiro/https_url.h"
#include "core/kiro/login_database.h"
#include "core/kiro/profile_arn.h"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace kiro::kiro;

void check(bool good) {
    if (!good) {
        std::abort();
    }
}

void check_region(std::string_view region) {
    check(!region.empty() && region.size() <= 32 &&
          region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == region.npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    if (is_region(text)) {
        check_region(text);
    }
    if (const auto region = arn_region(text)) {
        check_region(*region);
        check(text.size() <= 256 && text.find_first_of("\"\\\r\n ") == text.npos);
    }
    if (const auto url = parse_https_url(text)) {
        check(url->host.size() <= 253 && url->host.find('.') != url->host.npos);
        check(url->host.find_first_not_of(
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-") == url->host.npos);
        const char top = url->host[url->host.rfind('.') + 1];
        check((top | 0x20) >= 'a' && (top | 0x20) <= 'z');
        check(url->path.empty() || url->path.front() == '/');
        check(belongs_to_issuer(url->host, url->host));
    }
    const std::string arn = profile_of(text);
    check(arn.empty() || arn_region(arn));
    kiro_failure f{};
    const auto registration = parse_registration(text, &f);
    check(registration || f.message[0] != '\0');
    if (registration) {
        check(is_token(registration->client_id) && is_token(registration->client_secret.view()));
        check(registration->region.empty() || is_region(registration->region));
    }
    return 0;
}
