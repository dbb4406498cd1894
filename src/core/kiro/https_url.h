// URLs that a credential file names: the file is not trusted, its token endpoint gets the
// refresh token.
#ifndef KIRO_CORE_KIRO_HTTPS_URL_H
#define KIRO_CORE_KIRO_HTTPS_URL_H

#include <optional>
#include <string_view>

namespace kiro::kiro {

// An absolute https URL without user, query and fragment, at the default port of a host that
// has a public name: no address in any spelling, no bare or local name.
struct HttpsUrl {
    std::string_view host;
    std::string_view path;
};
std::optional<HttpsUrl> parse_https_url(std::string_view url);

// Whether the issuer has its tokens made there: at its own host, at one below it, or at one
// that it is known for.
bool belongs_to_issuer(std::string_view host, std::string_view issuer);

} // namespace kiro::kiro

#endif
