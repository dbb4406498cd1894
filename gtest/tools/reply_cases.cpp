/*
 * Answers of the upstream as files:
 *
 *   reply_cases seeds FOLDER                 the vectors for the fuzzers, a folder for each
 *   reply_cases streams FOLDER SEED COUNT    our own vectors and random answers as event streams, and
 *                                            cases.json: what a client must see of them
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/json/writer.h"
#include "support/line_frames.h"
#include "support/own_vectors.h"
#include "support/reply_judge.h"
#include "support/vectors.h"

namespace {

namespace fs = std::filesystem;

void append(const fs::path &folder, const std::string &name, const std::string &bytes) {
    fs::create_directories(folder);
    std::ofstream file(folder / name, std::ios::binary | std::ios::app);
    file << bytes;
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + (folder / name).string());
    }
}

std::string header(const test::VectorFrame &frame, std::string_view name) {
    for (const test::VectorHeader &header : frame.headers) {
        if (header.name == name) {
            return header.value;
        }
    }
    return {};
}

const char *fuzzer_of(std::string_view type) {
    return type == "assistantResponseEvent"  ? "event_text_fuzz"
           : type == "reasoningContentEvent" ? "event_reasoning_fuzz"
           : type == "toolUseEvent"          ? "event_tool_fuzz"
                                             : nullptr;
}

void write_seeds(const fs::path &folder) {
    fs::remove_all(folder / "reply_fuzz");
    for (const char *name : {"eventstream_fuzz", "event_text_fuzz", "event_reasoning_fuzz", "event_tool_fuzz",
                             "event_tail_fuzz", "event_exception_fuzz"}) {
        fs::remove_all(folder / name);
    }
    for (const test::Vector &vector : test::vectors()) {
        append(folder / "eventstream_fuzz", vector.name, std::string("\0\x10", 2) + vector.bytes);
        append(folder / "eventstream_fuzz", vector.name + ".repaired",
               std::string("\1\x10", 2) + vector.bytes);
        std::string lines(6, '\0'); // the fuzzer's options
        for (const test::VectorFrame &frame : vector.frames) {
            const std::string type = header(frame, ":event-type");
            const std::string exception = header(frame, ":exception-type");
            if (const char kind = test::line_kind(type, exception); kind != 0) {
                lines.append(1, kind).append(frame.payload).append("\n");
            }
            if (const char *fuzzer = fuzzer_of(type); fuzzer != nullptr) {
                append(folder / fuzzer, vector.name, frame.payload + "\n");
            }
            constexpr std::string_view kTail[] = {"metadataEvent", "contextUsageEvent", "meteringEvent"};
            for (std::size_t i = 0; i < std::size(kTail); ++i) {
                if (type == kTail[i]) {
                    append(folder / "event_tail_fuzz", vector.name,
                           std::string(1, static_cast<char>(i)) + frame.payload + "\n");
                }
            }
            if (!exception.empty()) {
                append(folder / "event_exception_fuzz", vector.name,
                       std::string("\4\0\1\0", 4) + exception + "\n" + frame.payload);
            }
        }
        if (vector.kind == "stream") {
            append(folder / "reply_fuzz", vector.name, lines);
        }
    }
    // Their first two bytes are options too.
    for (const char *name :
         {"event_text_fuzz", "event_reasoning_fuzz", "event_tool_fuzz", "event_tail_fuzz"}) {
        for (const fs::directory_entry &entry : fs::directory_iterator(folder / name)) {
            const std::string lines = test::read_file(entry.path().string());
            std::ofstream(entry.path(), std::ios::binary) << std::string(2, '\0') << lines;
        }
    }
}

std::string json_string(std::string_view text) {
    std::string out;
    kiro::json::append_string(out, text);
    return out;
}

// What the strict readers see in one dialect's stream.
std::string client_view(kiro_api api, std::string_view bytes) {
    const test::Mode mode{api, true, ""};
    const test::Played played =
        test::play(mode, nullptr, bytes, {.pieces = {bytes.size()}, .filtered = true});
    if (played.gate == KIRO_GATE_FAILED) {
        return R"({"fails":true})";
    }
    const test::Seen seen = test::read(mode, played.output);
    std::string out = "{\"fails\":" + std::string(seen.error ? "true" : "false");
    out += ",\"text\":" + json_string(seen.text) + ",\"reasoning\":" + json_string(seen.reasoning);
    out += ",\"signature\":" + json_string(seen.signature) + ",\"opaque\":" + json_string(seen.opaque);
    out += ",\"stop\":" + json_string(seen.stop.substr(0, seen.stop.find('/')));
    out += ",\"input\":" + std::to_string(seen.input) + ",\"output\":" + std::to_string(seen.output);
    out += ",\"blocks\":[";
    for (const std::string &block : seen.blocks) {
        out += (out.back() == '[' ? "" : ",") + json_string(block);
    }
    out += "],\"tools\":[";
    for (const test::SeenTool &tool : seen.tools) {
        out += (out.back() == '[' ? "" : ",") + ("{\"id\":" + json_string(tool.id)) +
               ",\"name\":" + json_string(tool.name) + ",\"input\":" + tool.input + "}";
    }
    return out + "]}";
}

void write_streams(const fs::path &folder, std::uint64_t seed, std::size_t count) {
    std::vector<test::OwnVector> cases = test::own_vectors();
    for (std::size_t i = 0; i < count; ++i) {
        const std::string bytes = test::seeded_bytes(seed + i, 60 + i % 90);
        test::Choices choices(bytes);
        const std::vector<std::pair<std::string, std::string>> no_names;
        cases.push_back(
            {"random_" + std::to_string(seed + i), test::ReplyMaker(choices, no_names).make().bytes});
    }
    std::string json = "[";
    for (const test::OwnVector &one : cases) {
        append(folder, one.name + ".bin", one.bytes);
        json += (json.size() > 1 ? ",\n" : "\n") + ("{\"name\":" + json_string(one.name)) +
                ",\"openai\":" + client_view(KIRO_API_OPENAI_CHAT, one.bytes) +
                ",\"anthropic\":" + client_view(KIRO_API_ANTHROPIC, one.bytes) +
                ",\"responses\":" + client_view(KIRO_API_OPENAI_RESPONSES, one.bytes) + "}";
    }
    append(folder, "cases.json", json + "\n]\n");
}

} // namespace

int main(int argc, char **argv) {
    try {
        if (argc == 3 && std::strcmp(argv[1], "seeds") == 0) {
            write_seeds(argv[2]);
            return 0;
        }
        if (argc == 5 && std::strcmp(argv[1], "streams") == 0) {
            write_streams(argv[2], std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10));
            return 0;
        }
    } catch (const std::exception &bad) {
        std::fprintf(stderr, "%s\n", bad.what());
        return 1;
    }
    std::fputs("usage: reply_cases seeds FOLDER | streams FOLDER SEED COUNT\n", stderr);
    return 2;
}
