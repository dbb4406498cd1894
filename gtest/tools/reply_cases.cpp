/*
 * Answers of the upstream as files:
 *
 *   reply_cases seeds FOLDER    the vectors of gtest/data/vectors for the fuzzers, a folder for each
 */
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/line_frames.h"
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
        std::string lines(5, '\0'); // the fuzzer's options
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

} // namespace

int main(int argc, char **argv) {
    try {
        if (argc == 3 && std::strcmp(argv[1], "seeds") == 0) {
            write_seeds(argv[2]);
            return 0;
        }
    } catch (const std::exception &bad) {
        std::fprintf(stderr, "%s\n", bad.what());
        return 1;
    }
    std::fputs("usage: reply_cases seeds FOLDER\n", stderr);
    return 2;
}
