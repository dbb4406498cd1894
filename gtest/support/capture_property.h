// A stream in which secrets are spread in many forms over messages of any length, and what holds of it when
// it was masked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/capture/mask.h"
#include "core/eventstream/decoder.h"
#include "support/choices.h"
#include "support/frames.h"

namespace test {

constexpr std::string_view capture_secrets[] = {"aoa-SECRET-token-0123456789", "SECRET",
                                                "p/w+d=SECRET~\"quoted\\back"};

inline std::string base64_of(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            group = group << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            out.push_back(i + k <= text.size() ? digits[group >> (18 - 6 * k) & 63] : '=');
        }
    }
    return out;
}

inline std::string percent_of(std::string_view text, bool all) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (plain && !all) {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.push_back(hex[static_cast<unsigned char>(c) >> 4]);
            out.push_back(hex[static_cast<unsigned char>(c) & 15]);
        }
    }
    return out;
}

// For a JSON string; every nth character as \u00XX.
inline std::string escape_of(std::string_view text, unsigned nth) {
    constexpr std::string_view hex = "0123456789abcdef";
    std::string out;
    unsigned n = 0;
    for (const char c : text) {
        if (nth != 0 && ++n % nth == 0) {
            out += "\\u00";
            out.push_back(hex[static_cast<unsigned char>(c) >> 4]);
            out.push_back(hex[static_cast<unsigned char>(c) & 15]);
        } else {
            out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
        }
    }
    return out;
}

struct Spread {
    std::string stream;
    std::string text;               // of all messages
    std::vector<std::string> forms; // that must not be found in it any more
};

inline Spread spread_secrets(Choices &choices) {
    Spread out;
    std::vector<std::string> letters; // one character of the text, as JSON has it
    const unsigned parts = 1 + choices.below(6);
    for (unsigned part = 0; part < parts; ++part) {
        const std::string_view secret = choices.pick(capture_secrets);
        const std::string front(choices.below(5), 'x');
        std::string form(secret);
        switch (choices.below(5)) {
        case 0:
            break;
        case 1:
            form = percent_of(secret, false);
            break;
        case 2:
            form = percent_of(secret, true);
            break;
        case 3:
            // Too little of a short one does not depend on what stands in front.
            form = secret.size() < 12 ? std::string(secret) : base64_of(front + std::string(secret));
            break;
        default:
            form = "{\"url\":\"" + escape_of(secret, choices.below(4)) + "\"}";
        }
        out.forms.push_back(form);
        for (const char c : " one, " + form + " two.") {
            letters.push_back(escape_of(std::string_view(&c, 1), choices.one_in(6) ? 1 : 0));
            out.text.push_back(c);
        }
    }
    for (std::size_t i = 0; i < letters.size();) {
        std::string piece;
        for (unsigned n = 1 + choices.below(9); n > 0 && i < letters.size(); --n) {
            piece += letters[i++];
        }
        out.stream += text_event(piece);
        if (choices.one_in(5)) {
            out.stream += event("meteringEvent", R"({"usage":0.25})");
        }
    }
    return out;
}

// The text that a client of the stream sees; "?" in front: it is broken.
inline std::string text_of_stream(std::string_view stream) {
    std::string text;
    kiro::eventstream::Decoder decoder;
    decoder.feed(stream);
    for (kiro::eventstream::Frame frame; decoder.next(frame);) {
        constexpr std::string_view begin = "{\"content\":\"";
        std::string_view payload = frame.payload;
        if (!payload.starts_with(begin)) {
            continue;
        }
        payload = payload.substr(begin.size(), payload.size() - begin.size() - 2);
        for (std::size_t i = 0; i < payload.size(); ++i) {
            if (payload[i] == '\\' && payload[i + 1] == 'u') {
                text.push_back(
                    static_cast<char>(std::stoi(std::string(payload.substr(i + 2, 4)), nullptr, 16)));
                i += 5;
            } else if (payload[i] == '\\') {
                text.push_back(payload[++i]);
            } else {
                text.push_back(payload[i]);
            }
        }
    }
    return decoder.fault() == kiro::eventstream::Fault::none && decoder.pending() == 0 ? text : "?" + text;
}

// Empty, or what is wrong.
inline std::string judge_masked(const Spread &spread) {
    kiro::capture::SecretList secrets;
    for (const std::string_view secret : capture_secrets) {
        secrets.add(secret);
    }
    std::string masked = spread.stream;
    kiro::capture::mask(masked, kiro::capture::Needles(secrets));
    if (masked.size() != spread.stream.size()) {
        return "the length has changed";
    }
    const std::string text = text_of_stream(masked);
    if (text.starts_with("?")) {
        return "the masked stream is broken";
    }
    for (const std::string &form : spread.forms) {
        if (text.find(form) != text.npos) {
            return "left: " + form;
        }
    }
    for (const std::string_view secret : capture_secrets) {
        if (text.find(secret) != text.npos) {
            return "left: " + std::string(secret);
        }
    }
    for (std::string_view word : {" one, ", " two."}) {
        std::size_t before = 0;
        std::size_t after = 0;
        for (std::size_t i = 0; (i = spread.text.find(word, i)) != spread.text.npos; ++i) {
            ++before;
        }
        for (std::size_t i = 0; (i = text.find(word, i)) != text.npos; ++i) {
            ++after;
        }
        if (before != after) {
            return "too much was masked: " + text;
        }
    }
    return "";
}

} // namespace test
