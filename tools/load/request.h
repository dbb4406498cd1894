// Requests of clients, by dialect.
#pragma once

#include "plan.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace load {

struct Dialect {
    std::string_view name;
    std::string_view path;     // behind the location's prefix
    std::string_view terminal; // what a stream that is whole has near its end
};

const Dialect *find_dialect(std::string_view name);

std::string request_body(const Dialect &dialect, const Plan &plan, bool stream = true);

// http://127.0.0.1:port/path, or https
struct Target {
    bool tls = false;
    std::uint16_t port = 0;
    std::string path;
};

Target parse_target(std::string_view url);

std::string http1_request(std::string_view path, std::string_view body);
std::string http2_request(std::string_view path,
                          std::string_view body); // with all that a connection begins with
std::string http2_cancel();

} // namespace load
