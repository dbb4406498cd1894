#include "store/profile.h"

#include "core/kiro/profile_arn.h"
#include "core/kiro/secret_json.h"
#include "store/file.h"
#include "store/state.h"

namespace kiro::store {

namespace {

using ::kiro::kiro::SecretJson;

constexpr std::string_view format = "ngx_kiro profile";
constexpr const char *fingerprint_member = "fingerprint";
constexpr const char *arn_member = "profileArn";

std::string name_of(const char *account) {
    return std::string(account) + ".profile";
}

std::string_view text_of(const SecretJson &json, std::string_view name) {
    const auto element = json.find(name);
    std::string_view text;
    return element && !element->get(text) ? text : std::string_view();
}

} // namespace

bool write_profile(const char *dir, const char *account, std::string_view fingerprint, std::string_view arn,
                   kiro_failure *f) {
    if (!check_account(account, f)) {
        return false;
    }
    ::kiro::kiro::SecretJsonWriter out;
    out.member("format", format);
    out.member(fingerprint_member, fingerprint);
    out.member(arn_member, arn);
    return replace_file(dir, name_of(account), out.finish().view(), f);
}

std::optional<std::string> read_profile(const char *dir, const char *account, std::string_view fingerprint,
                                        kiro_failure *f) {
    if (!check_account(account, f)) {
        return std::nullopt;
    }
    const std::string path = std::string(dir) + "/" + name_of(account);
    Exposure exposure{Exposure::mend};
    const auto data = read_file(path, Missing::is_nothing, f, &exposure);
    if (!data) {
        return std::nullopt;
    }
    SecretJson json;
    const bool ours = json.parse(data->view()) == SecretJson::Status::ok && text_of(json, "format") == format;
    const std::string_view arn = ours ? text_of(json, arn_member) : std::string_view();
    if (!ours || (!arn.empty() && !::kiro::kiro::arn_region(arn))) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "%s is damaged", shown(path).c_str());
        return std::nullopt;
    }
    if (fingerprint.empty() || text_of(json, fingerprint_member) != fingerprint) {
        kiro_failure_set(f, KIRO_FAIL_NONE, "%s", "");
        return std::nullopt;
    }
    return std::string(arn);
}

} // namespace kiro::store
