// Makes event-stream messages, with a checksum of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace test {

inline uint32_t slow_crc32(std::string_view bytes) {
    uint32_t crc = 0xffffffff;
    for (unsigned char byte : bytes) {
        crc ^= byte;
        for (int k = 0; k < 8; ++k) {
            crc = (crc >> 1) ^ ((crc & 1) ? 0xedb88320 : 0);
        }
    }
    return ~crc;
}

inline std::string big_endian(uint64_t value, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) {
        out.push_back(static_cast<char>(value >> (8 * i)));
    }
    return out;
}

inline std::string raw_message(std::string_view headers, std::string_view payload) {
    std::string m = big_endian(headers.size() + payload.size() + 16, 4) + big_endian(headers.size(), 4);
    m += big_endian(slow_crc32(m), 4);
    m += headers;
    m += payload;
    return m + big_endian(slow_crc32(m), 4);
}

inline std::string string_header(std::string_view name, std::string_view value) {
    std::string h(1, static_cast<char>(name.size()));
    h += name;
    h += '\x07';
    h += big_endian(value.size(), 2);
    h += value;
    return h;
}

inline std::string event(std::string_view type, std::string_view payload) {
    return raw_message(string_header(":event-type", type) +
                           string_header(":content-type", "application/json") +
                           string_header(":message-type", "event"),
                       payload);
}

inline std::string exception(std::string_view type, std::string_view payload) {
    return raw_message(string_header(":exception-type", type) +
                           string_header(":content-type", "application/json") +
                           string_header(":message-type", "exception"),
                       payload);
}

inline std::string text_event(std::string_view escaped) {
    return event("assistantResponseEvent", "{\"content\":\"" + std::string(escaped) + "\"}");
}

// more: its other members, each behind a comma.
inline std::string tool_event(std::string_view id, std::string_view name, std::string_view more) {
    return event("toolUseEvent", "{\"name\":\"" + std::string(name) + "\",\"toolUseId\":\"" +
                                     std::string(id) + "\"" + std::string(more) + "}");
}

inline std::string tool_input(std::string_view id, std::string_view name, std::string_view escaped) {
    return tool_event(id, name, ",\"input\":\"" + std::string(escaped) + "\"");
}

inline std::string tool_stop(std::string_view id, std::string_view name) {
    return tool_event(id, name, ",\"stop\":true");
}

inline std::string tail(std::string_view stop = "END_TURN") {
    return event("metadataEvent", "{\"stopReason\":\"" + std::string(stop) + "\"}") +
           event("contextUsageEvent", R"({"contextUsagePercentage":1.25})") +
           event("meteringEvent", R"({"unit":"credit","unitPlural":"credits","usage":0.5})");
}

} // namespace test
