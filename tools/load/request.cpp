#include "request.h"

#include <array>
#include <charconv>
#include <stdexcept>

namespace load {
namespace {

using std::string_view;

constexpr std::array<Dialect, 3> kDialects{{
    {"openai", "chat/completions", "data: [DONE]\n\n"},
    {"anthropic", "messages", "event: message_stop\n"},
    {"responses", "responses", "event: response.completed\n"},
}};

std::string h2_frame(char type, char flags, char stream, string_view payload) {
    std::string out;
    for (int shift = 16; shift >= 0; shift -= 8) {
        out += static_cast<char>(payload.size() >> shift);
    }
    out += type;
    out += flags;
    out.append(3, '\0');
    out += stream;
    out += payload;
    return out;
}

// A literal field, its name from the static table, not indexed; short values only.
void h2_field(std::string &out, int name, string_view value) {
    if (name < 15) {
        out += static_cast<char>(name);
    } else {
        out += '\x0f';
        out += static_cast<char>(name - 15);
    }
    out += static_cast<char>(value.size());
    out += value;
}

} // namespace

const Dialect *find_dialect(string_view name) {
    for (const Dialect &dialect : kDialects) {
        if (dialect.name == name) {
            return &dialect;
        }
    }
    return nullptr;
}

std::string request_body(const Dialect &dialect, const Plan &plan, bool stream) {
    const std::string text = write_plan(plan) + " a request of the load";
    std::string out = R"({"model":"claude-sonnet-4.5")";
    if (stream) {
        out += R"(,"stream":true)";
    }
    const string_view schema = R"({"type":"object","properties":{"text":{"type":"string"}}})";
    if (dialect.name == "responses") {
        out += R"(,"input":")" + text + '"';
        if (plan.tool) {
            out.append(R"(,"tools":[{"type":"function","name":"write","parameters":)")
                .append(schema)
                .append("}]");
        }
    } else {
        out += R"(,"messages":[{"role":"user","content":")" + text + R"("}])";
        if (dialect.name == "anthropic") {
            out += R"(,"max_tokens":1000000000)";
            if (plan.tool) {
                out.append(R"(,"tools":[{"name":"write","input_schema":)").append(schema).append("}]");
            }
        } else if (plan.tool) {
            out.append(R"(,"tools":[{"type":"function","function":{"name":"write","parameters":)")
                .append(schema)
                .append("}}]");
        }
    }
    return out + '}';
}

Target parse_target(string_view url) {
    Target target;
    target.tls = url.substr(0, 8) == "https://";
    const std::size_t colon = url.find(':', 7);
    const std::size_t slash = url.find('/', 8);
    if (colon == url.npos || slash == url.npos) {
        throw std::invalid_argument("no http://127.0.0.1:PORT/PATH: " + std::string(url));
    }
    std::from_chars(url.data() + colon + 1, url.data() + slash, target.port);
    target.path = url.substr(slash);
    return target;
}

std::string http1_request(string_view path, string_view body) {
    std::string out("POST ");
    out += path;
    out +=
        " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nanthropic-version: 2023-06-01\r\n"
        "Content-Length: ";
    return out.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
}

std::string http2_request(string_view path, string_view body) {
    std::string fields("\x83\x86"); // :method POST, :scheme http
    h2_field(fields, 4, path);
    h2_field(fields, 1, "localhost");
    h2_field(fields, 31, "application/json");
    h2_field(fields, 28, std::to_string(body.size()));
    return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, "") + h2_frame(1, 4, 1, fields) +
           h2_frame(0, 1, 1, body);
}

std::string http2_cancel() {
    return h2_frame(3, 0, 1, string_view("\0\0\0\x08", 4));
}

} // namespace load
