/*
 * A load for the gateway, and a source for it. What is judged here is only whether streams are whole and how
 * late their tokens are; tools/kiro-sim judges requests.
 *
 *   kiro_load upstream --cert FILE --key FILE --ready FILE
 *   kiro_load client --url http://127.0.0.1:8000/v1/chat/completions --streams 500 --interval 10000 --tokens
 * 1000 kiro_load leave --url http://127.0.0.1:8000/v1/ --upstream PORT
 */
#include "client.h"
#include "leave.h"
#include "upstream.h"

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace {

using std::string_view;

using Place = std::variant<std::string *, std::uint16_t *, int *, std::uint64_t *, double *, bool *>;

void set(Place place, const char *value) {
    std::visit(
        [&](auto *at) {
            using T = std::remove_pointer_t<decltype(at)>;
            if constexpr (std::is_same_v<T, std::string>) {
                *at = value;
            } else if constexpr (std::is_same_v<T, double>) {
                *at = std::strtod(value, nullptr);
            } else if constexpr (std::is_same_v<T, bool>) {
                *at = string_view(value) == "1";
            } else {
                std::from_chars(value, value + std::strlen(value), *at);
            }
        },
        place);
}

void parse(int argc, char **argv, const std::map<string_view, Place> &options) {
    for (int i = 2; i < argc; i += 2) {
        const string_view name = argv[i];
        const auto at = options.find(name.substr(0, 2) == "--" ? name.substr(2) : name);
        if (at == options.end() || i + 1 == argc) {
            throw std::invalid_argument("what is " + std::string(name) + '?');
        }
        set(at->second, argv[i + 1]);
    }
}

int run(int argc, char **argv) {
    const string_view command = argc > 1 ? argv[1] : "";
    if (command == "upstream") {
        load::UpstreamOptions o;
        parse(argc, argv,
              {{"port", &o.port},
               {"tls-port", &o.tls_port},
               {"cert", &o.certificate},
               {"key", &o.key},
               {"ready", &o.ready}});
        return load::run_upstream(o);
    }
    if (command == "client") {
        load::ClientOptions o;
        parse(argc, argv,
              {{"label", &o.label},
               {"url", &o.url},
               {"dialect", &o.dialect},
               {"streams", &o.streams},
               {"seconds", &o.seconds},
               {"calls", &o.calls},
               {"ramp", &o.ramp},
               {"tokens", &o.plan.tokens},
               {"most-tokens", &o.most_tokens},
               {"interval", &o.plan.interval},
               {"first", &o.plan.first},
               {"pad", &o.plan.pad},
               {"batch", &o.plan.batch},
               {"tool", &o.plan.tool},
               {"stall", &o.stall},
               {"stall-after", &o.stall_after},
               {"stalled", &o.stalled},
               {"rcvbuf", &o.receive_buffer},
               {"limit", &o.limit},
               {"header", &o.header}});
        return load::run_client(o);
    }
    if (command == "leave") {
        load::LeaveOptions o;
        parse(argc, argv,
              {{"url", &o.url},
               {"h2", &o.h2_port},
               {"upstream", &o.upstream},
               {"dialect", &o.dialect},
               {"count", &o.count},
               {"at-once", &o.at_once}});
        return load::run_leave(o);
    }
    throw std::invalid_argument("kiro_load upstream | client | leave");
}

} // namespace

int main(int argc, char **argv) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return run(argc, argv);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "kiro_load: %s\n", e.what());
        return 2;
    }
}
