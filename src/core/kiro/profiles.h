// ListAvailableProfiles of the management host: the request, and what its pages tell.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/kiro/secret.h"
#include "kiro/profiles.h"

namespace kiro::kiro {

std::optional<Secret> profiles_request(const kiro_profiles_query &query, kiro_failure *f);

class ProfileList {
public:
    struct Profile {
        std::string arn, name;
    };

    // As kiro_profiles_page(); throws std::bad_alloc.
    kiro_status add_page(int status, std::string_view error_type, std::string_view body, kiro_failure *f);

    std::string_view next() const { return next_; } // JSON-escaped
    bool builder_id() const { return builder_id_; }
    const std::vector<Profile> &profiles() const { return profiles_; }

private:
    std::vector<Profile> profiles_;
    std::string next_;
    size_t pages_ = 0;
    bool builder_id_ = false;

    void read_page(std::string_view body);
    void add(Profile profile);
};

// "us-east-1, account ****3456, profile ****CDEF, \"name\"".
std::string describe(const ProfileList::Profile &profile);

} // namespace kiro::kiro
