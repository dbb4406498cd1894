// Answers of an auth host for each kind of login, the first byte choosing kind and status: a credential
// changes only with a good answer, and then still makes a request and a state.
#include "kiro/credential.h"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void check(bool good) {
    if (!good) {
        std::abort();
    }
}

std::string serialize(const kiro_credential *cred) {
    std::string out(kiro_credential_serialize(cred, nullptr, 0), '\0');
    check(kiro_credential_serialize(cred, out.data(), out.size()) == out.size());
    return out;
}

std::string record(int kind) {
    constexpr const char *more[] = {
        R"("authMethod":"social")",
        R"("authMethod":"IdC","clientId":"c","clientSecret":"s")",
        R"("authMethod":"external_idp","clientId":"c","tokenEndpoint":"https://i.example/t","issuerUrl":"https://i.example")",
    };
    return R"({"accessToken":"a","refreshToken":")" + std::string(120, 't') + "\"," + more[kind] + "}";
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    constexpr int statuses[] = {200, 200, 400, 401, 403, 429, 500, 302};
    const std::string json = record(data[0] % 3);
    kiro_failure f{};
    kiro_credential *cred = kiro_credential_parse(json.data(), json.size(), &f);
    check(cred != nullptr);
    for (int64_t round = 0; round < 2; ++round) {
        const std::string before = serialize(cred);
        f = {};
        const kiro_refresh_verdict verdict =
            kiro_refresh_reply(cred, 1790856000000 + round, statuses[data[0] / 3 % 8],
                               reinterpret_cast<const char *>(data + 1), size - 1, &f);
        check(verdict == KIRO_REFRESH_OK || (f.message[0] != '\0' && serialize(cred) == before));
        kiro_credential_view view;
        kiro_credential_get(cred, &view);
        check(view.access_token.len != 0 && view.refresh_token.len != 0);
        check(verdict != KIRO_REFRESH_OK || view.expires_at != 0);
        kiro_str region;
        check(kiro_arn_region(view.profile_arn, &region) == KIRO_OK);
    }
    const std::string state = serialize(cred);
    kiro_credential *again = kiro_credential_parse(state.data(), state.size(), &f);
    check(again != nullptr && serialize(again) == state);
    check(kiro_refresh_request(again, {"h", 1}, {"", 0}, {"a", 1}, nullptr, 0, &f) != 0);
    kiro_credential_free(again);
    kiro_credential_free(cred);
    return 0;
}
