// The golden vectors of gtest/data/vectors, read with a JSON reader that the core does not use.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <simdjson.h>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/data.h"

namespace test {

inline std::string read_file(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        throw std::runtime_error("cannot read " + path);
    }
    return std::string(std::istreambuf_iterator<char>(in), {});
}

struct VectorHeader {
    std::string name, type, value; // numbers in decimal, bytes and uuids in hex
};

struct VectorFrame {
    std::vector<VectorHeader> headers;
    std::string payload;
};

struct VectorTool {
    std::string id, name, input; // input minified
};

struct Expect {
    std::string text, reasoning, signature;
    std::vector<VectorTool> tools;
    std::string exception, open_tool, bad_tool;
    std::optional<std::string> stop;
    bool complete = false;
    std::optional<double> context_percent, credits;
    size_t trailing = 0;
};

struct Vector {
    std::string name, kind, must_fail, bytes;
    std::vector<VectorFrame> frames;
    std::vector<size_t> chunks;
    std::optional<Expect> expect;
};

inline std::string from_hex(std::string_view hex) {
    std::string out;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
        out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return out;
}

inline std::string text_of(const simdjson::dom::element &object, const char *key) {
    std::string_view value;
    return object[key].get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
}

inline std::string scalar_of(const simdjson::dom::element &value) {
    std::string_view text;
    return value.get(text) == simdjson::SUCCESS ? std::string(text) : simdjson::minify(value);
}

inline std::vector<Vector> load_vectors() {
    const std::string dir = kiro::test::data_path("vectors/");
    simdjson::dom::parser parser;
    const simdjson::dom::element manifest = parser.load(dir + "manifest.json");
    std::vector<Vector> all;
    for (const simdjson::dom::element v : manifest["vectors"].get_array()) {
        Vector vector;
        vector.name = text_of(v, "name");
        vector.kind = text_of(v, "kind");
        vector.must_fail = text_of(v, "mustFail");
        vector.bytes = read_file(dir + text_of(v, "file"));
        simdjson::dom::array list;
        if (v["frames"].get(list) == simdjson::SUCCESS) {
            for (const simdjson::dom::element f : list) {
                VectorFrame frame;
                std::string_view payload;
                if (f["payloadHex"].get(payload) == simdjson::SUCCESS) {
                    frame.payload = from_hex(payload);
                } else {
                    frame.payload = text_of(f, "payloadJson");
                }
                for (const simdjson::dom::element h : f["headers"].get_array()) {
                    frame.headers.push_back(
                        {text_of(h, "name"), text_of(h, "type"), scalar_of(h["value"].value())});
                }
                vector.frames.push_back(frame);
            }
        }
        if (v["chunks"].get(list) == simdjson::SUCCESS) {
            for (const simdjson::dom::element n : list) {
                vector.chunks.push_back(uint64_t(n));
            }
        }
        simdjson::dom::element e;
        if (v["expect"].get(e) == simdjson::SUCCESS) {
            Expect x;
            x.text = text_of(e, "text");
            x.reasoning = text_of(e, "reasoning");
            x.signature = text_of(e, "signature");
            x.exception = text_of(e, "exception");
            x.open_tool = text_of(e, "openTool");
            x.bad_tool = text_of(e, "badTool");
            std::string_view stop;
            if (e["stop"].get(stop) == simdjson::SUCCESS) {
                x.stop = std::string(stop);
            }
            bool complete = false;
            if (e["complete"].get(complete) == simdjson::SUCCESS) {
                x.complete = complete;
            }
            double number = 0;
            if (e["contextPct"].get(number) == simdjson::SUCCESS) {
                x.context_percent = number;
            }
            if (e["credits"].get(number) == simdjson::SUCCESS) {
                x.credits = number;
            }
            uint64_t trailing = 0;
            if (e["trailing"].get(trailing) == simdjson::SUCCESS) {
                x.trailing = trailing;
            }
            for (const simdjson::dom::element t : e["tools"].get_array()) {
                x.tools.push_back(
                    {text_of(t, "id"), text_of(t, "name"), simdjson::minify(t["input"].value())});
            }
            vector.expect = x;
        }
        all.push_back(vector);
    }
    return all;
}

inline const std::vector<Vector> &vectors() {
    static const std::vector<Vector> all = load_vectors();
    return all;
}

inline const Vector &vector_named(const std::string &name) {
    for (const Vector &v : vectors()) {
        if (v.name == name) {
            return v;
        }
    }
    throw std::runtime_error("no vector " + name);
}

// All ways to cut a stream that are worth testing: whole, byte by byte, at every single place.
inline std::vector<std::vector<size_t>> plans(std::string_view bytes) {
    const size_t n = bytes.size();
    std::vector<std::vector<size_t>> all{{n}, std::vector<size_t>(n, 1)};
    for (size_t at = 1; at < n; ++at) {
        all.push_back({at, n - at});
    }
    return all;
}

// And as the manifest says.
inline std::vector<std::vector<size_t>> plans(const Vector &v) {
    std::vector<std::vector<size_t>> all = plans(std::string_view(v.bytes));
    if (!v.chunks.empty()) {
        all.push_back(v.chunks);
    }
    return all;
}

} // namespace test
