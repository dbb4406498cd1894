// A record that parses survives the state format and makes a sane request; what does
// not parse says why. The same bytes are an auth host's answer, too.
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

void check_request(const kiro_credential *cred) {
    kiro_failure f;
    std::string out(kiro_refresh_request(cred, {"h", 1}, {"/p", 2}, {"a", 1}, nullptr, 0, &f), '\0');
    check(kiro_refresh_request(cred, {"h", 1}, {"/p", 2}, {"a", 1}, out.data(), out.size(), &f) ==
          out.size());
    const size_t end = out.find("\r\n\r\n");
    check(out.empty() || end != out.npos);
    check(out.empty() || out.find('\n', end + 4) == out.npos);
    char endpoint[256];
    check(kiro_auth_endpoint(cred, endpoint, sizeof(endpoint)) <= sizeof(endpoint));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = reinterpret_cast<const char *>(data);
    kiro_failure f{};
    kiro_credential *cred = kiro_credential_parse(bytes, size, &f);
    check(cred != nullptr || f.message[0] != '\0');
    if (cred != nullptr) {
        const std::string state = serialize(cred);
        kiro_credential *again = kiro_credential_parse(state.data(), state.size(), &f);
        check(again != nullptr && serialize(again) == state);
        check(kiro_credential_prefer_state(cred, again) == 1);
        check_request(cred);
        kiro_credential_add_registration(cred, bytes, size, &f);
        check_request(cred);
        kiro_credential_free(again);
        kiro_credential_free(cred);
    }
    kiro_credential_free(kiro_credential_from_api_key({bytes, size}, &f));
    kiro_credential_free(kiro_credential_from_refresh_token({bytes, size}, &f));

    const std::string token(120, 't');
    cred = kiro_credential_from_refresh_token({token.data(), token.size()}, &f);
    for (int status : {200, 400, 401, 403}) {
        kiro_refresh_reply(cred, 1000, status, bytes, size, &f);
        check_request(cred);
    }
    kiro_credential_free(cred);
    return 0;
}
