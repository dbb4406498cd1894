/*
 * The service as a load source: any POST is answered by the plan in its body.
 *
 *   POST /sse/openai (anthropic, responses)    the bytes that the gateway would make, for proxy_pass
 *   POST anything else                         an event stream
 *   GET /closed                                "id microseconds" of streams that the other side closed
 *   GET /state                                 open connections and streams, tokens and bytes sent
 */
#pragma once

#include <cstdint>
#include <string>

namespace load {

struct UpstreamOptions {
    std::uint16_t port = 0;     // 0: chosen
    std::uint16_t tls_port = 0; // 0: chosen, if there is a certificate
    std::string certificate, key;
    std::string ready; // this file gets "port tls_port" when it listens
};

int run_upstream(const UpstreamOptions &options);

} // namespace load
