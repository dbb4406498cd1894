// The rows of a login database, their values parted by byte 0xff: a login that is found is one that survives
// the state format; a database without one says why.
#include "core/kiro/login_database.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/kiro/profile_arn.h"

namespace {

using namespace kiro::kiro;

void check(bool good) {
    if (!good) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    const uint8_t choice = data[0];
    const uint8_t present = data[1];
    std::string_view rest(reinterpret_cast<const char *>(data + 2), size - 2);
    const auto next = [&rest] {
        const size_t end = rest.find('\xff');
        const std::string_view value = rest.substr(0, end);
        rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
        return value;
    };
    DatabaseRows rows;
    for (size_t i = 0; i < token_keys().size(); ++i) {
        if ((present >> i & 1) != 0) {
            const std::string key(token_keys()[i]);
            rows.tokens.push_back({key, Secret(next()), {}});
            for (std::string &registration : registration_keys(key)) {
                rows.registrations.push_back({std::move(registration), Secret(next()), {}});
            }
        }
    }
    for (std::string_view key : {state_profile_key, state_region_key, state_start_url_key}) {
        rows.state.push_back({std::string(key), Secret(next()), {}});
    }
    const std::string_view forced = (choice & 1) != 0 ? token_keys()[choice / 2 % token_keys().size()] : "";
    kiro_failure f{};
    const auto cred = login_from_rows(rows, forced, 1790856000000, &f);
    check(cred || f.message[0] != '\0');
    if (cred) {
        check(forced.empty() || cred->source_key == forced);
        check(cred->profile_arn.empty() || arn_region(cred->profile_arn));
        check(cred->sso_region.empty() || is_region(cred->sso_region));
        const Secret state = serialize(*cred);
        const auto again = parse_credential(state.view(), &f);
        check(again && serialize(*again).view() == state.view() && prefer_state(*cred, *again));
    }
    return 0;
}
