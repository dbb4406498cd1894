// Every stream vector through all dialects, streamed and collected, cut everywhere: against goldens,
// against the manifest, and by the rules of strict clients.

#include "core/json/writer.h"

#include "support/data.h"
#include "support/own_vectors.h"
#include "support/reply_judge.h"
#include "support/reply_run.h"
#include "support/vectors.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace {

std::string describe(const test::Outcome &o) {
    std::string text = "gate ";
    text += o.gate == KIRO_GATE_FAILED ? "failed" : "complete";
    text += "\nfailure ";
    text += kiro_failure_name(o.failure.kind);
    text += " retry " + std::to_string(o.failure.retry);
    text += "\nfinished " + std::to_string(o.info.finished) + " failed " + std::to_string(o.info.failed);
    text += "\nstop " + o.stop;
    text += "\ntokens " + std::to_string(o.info.input_tokens) + " " + std::to_string(o.info.output_tokens);
    char numbers[64];
    snprintf(numbers, sizeof(numbers), "\ncredits %g context %g\n\n", o.info.credits, o.info.context_percent);
    text += numbers + o.output;
    return o.settled.empty() ? text : text + "\n\nsettled:\n" + o.settled;
}

std::string golden(const std::string &name, const std::string &got) {
    const std::string path = kiro::test::data_path("reply/" + name + ".txt");
    if (std::getenv("KIRO_WRITE_GOLDEN") != nullptr) {
        std::ofstream(path, std::ios::binary) << got;
    }
    return test::read_file(path);
}

std::vector<const test::Vector *> streams() {
    std::vector<const test::Vector *> all;
    for (const test::Vector &v : test::vectors()) {
        if (v.kind == "stream") {
            all.push_back(&v);
        }
    }
    return all;
}

// One answer in one mode, cut in each of these ways.
void check_golden(const std::string &name, const test::Mode &mode, std::string_view bytes,
                  const std::vector<std::vector<size_t>> &plans, const kiro_request *request = nullptr) {
    SCOPED_TRACE(name);
    const test::Outcome bytewise = test::run(mode, bytes, std::vector<size_t>(bytes.size(), 1), request);
    const std::string usual = describe(bytewise);
    ASSERT_EQ(usual, golden(name, usual));
    if (bytewise.gate == KIRO_GATE_COMPLETE) {
        const bool usage = bytewise.output.find("\"choices\":[],\"usage\"") != std::string::npos;
        ASSERT_NO_THROW(test::read(mode, bytewise.output, usage));
    }
    // If the failure comes in the piece that would have opened the gate, nothing is sent and it
    // keeps its true status.
    std::string early;
    for (const auto &plan : plans) {
        const test::Outcome outcome = test::run(mode, bytes, plan, request);
        const std::string got = describe(outcome);
        if (outcome.early && got != usual) {
            if (early.empty()) {
                early = golden(name + ".early", got);
            }
            ASSERT_EQ(got, early) << plan[0];
        } else {
            ASSERT_EQ(got, usual) << plan[0];
        }
    }
}

TEST(ReplyVectors, GoldensAtEverySplit) {
    ASSERT_EQ(streams().size(), 23u);
    for (const test::Vector *v : streams()) {
        for (const test::Mode &mode : test::kModes) {
            check_golden(v->name + "." + mode.name, mode, v->bytes, test::plans(*v));
        }
    }
}

TEST(ReplyVectors, OwnGoldensAtEverySplit) {
    for (const test::OwnVector &v : test::own_vectors()) {
        for (const test::Mode &mode : test::kModes) {
            check_golden(v.name + "." + mode.name, mode, v.bytes, test::plans(v.bytes));
        }
    }
}

TEST(ReplyVectors, GoldensOfWhatWasAskedFor) {
    for (const test::Mode &mode : test::kModes) {
        for (size_t asked = 1; asked < std::size(test::kAskings); ++asked) {
            const std::string_view asking = test::kAskings[asked].name;
            const test::AskedRequest &request = test::asked_request(mode.api, asked);
            const std::string alias = request.names().empty() ? "" : request.names()[0].first;
            for (const test::AskedVector &v : test::asked_vectors(alias)) {
                if (v.asking != asking) {
                    continue;
                }
                std::vector<std::vector<size_t>> plans{{v.bytes.size()}};
                for (size_t at = 1; at < v.bytes.size(); at += 7) {
                    plans.push_back({at, v.bytes.size() - at});
                    plans.push_back(std::vector<size_t>(v.bytes.size() / at + 1, at));
                }
                std::string name = "asked_" + std::string(asking) + "_" + v.name + "." + mode.name;
                std::replace(name.begin(), name.end(), ' ', '_');
                check_golden(name, mode, v.bytes, plans, request.get());
            }
        }
    }
}

// A file that a model writes in one call: 300 KB of arguments in small pieces.
TEST(ReplyVectors, AVeryLongInput) {
    std::string bytes = test::own::tool("t1", R"("input":"{\"text\":\"",)");
    std::string text;
    for (size_t i = 0; text.size() < 300000; ++i) {
        const std::string word = "line " + std::to_string(i) + " \u00e9\U0001F642 ";
        text += word + "\n";
        bytes += test::own::tool("t1", R"("input":")" + word + R"(\\n",)");
    }
    bytes += test::own::tool("t1", R"("input":"\"}",)") + test::own::tool("t1", "", true) + test::tail();
    const std::string input = "{\"text\":" + [&] {
        std::string json;
        kiro::json::append_string(json, text);
        return json;
    }() + "}";
    for (const test::Mode &mode : test::kModes) {
        std::string usual;
        for (const size_t piece : {bytes.size(), size_t{16384}, size_t{1000}, size_t{77}}) {
            const test::Outcome outcome =
                test::run(mode, bytes, std::vector<size_t>(bytes.size() / piece + 1, piece));
            test::Seen seen;
            ASSERT_NO_THROW(seen = test::read(mode, outcome.output));
            ASSERT_EQ(seen.tools.size(), 1u);
            ASSERT_EQ(seen.tools[0].input, test::minified_object(input));
            usual = usual.empty() ? outcome.output : usual;
            ASSERT_EQ(usual, outcome.output) << mode.name << " in pieces of " << piece;
        }
    }
}

struct StopWords {
    const char *openai;
    const char *anthropic;
    const char *responses;

    const char *of(kiro_api api) const {
        return api == KIRO_API_ANTHROPIC ? anthropic : api == KIRO_API_OPENAI_CHAT ? openai : responses;
    }
};

// The table of the protocol notes, written down a second time.
StopWords stop_words(const test::Expect &e, bool legacy_end) {
    if (!e.bad_tool.empty() || !e.open_tool.empty() || (!e.complete && !legacy_end)) {
        return {"length", "max_tokens", "incomplete/max_output_tokens"};
    }
    if (e.stop == "MODEL_CONTEXT_WINDOW_EXCEEDED") {
        return {"length", "model_context_window_exceeded", "incomplete/max_output_tokens"};
    }
    if (!e.tools.empty()) {
        return {"tool_calls", "tool_use", "completed"};
    }
    return {"stop", "end_turn", "completed"};
}

TEST(ReplyVectors, ManifestExpectations) {
    for (const test::Vector *v : streams()) {
        const test::Expect &e = *v->expect;
        const bool legacy_end = !e.complete && e.credits.has_value();
        const bool whole = e.complete || legacy_end;
        for (const test::Mode &mode : test::kModes) {
            SCOPED_TRACE(v->name + "." + mode.name);
            const test::Outcome o = test::run_bytes(mode, v->bytes);
            if (e.context_percent) {
                EXPECT_DOUBLE_EQ(o.info.context_percent, *e.context_percent);
            }
            if (e.credits) {
                EXPECT_DOUBLE_EQ(o.info.credits, *e.credits);
            }
            // A call that is all there is and is broken is worth another try.
            const bool broken =
                !e.bad_tool.empty() && e.text.empty() && e.reasoning.empty() && e.tools.empty();
            if (broken) {
                EXPECT_EQ(o.gate, KIRO_GATE_FAILED);
                EXPECT_EQ(o.failure.kind, KIRO_FAIL_UPSTREAM_CUT);
                EXPECT_EQ(o.failure.retry, KIRO_RETRY_BACKOFF);
                test::Seen seen;
                ASSERT_NO_THROW(seen = test::read(mode, o.settled)) << o.settled;
                EXPECT_EQ(seen.stop, stop_words(e, legacy_end).of(mode.api));
                EXPECT_TRUE(seen.tools.empty());
                continue;
            }
            if (!mode.stream && !whole) {
                EXPECT_EQ(o.gate, KIRO_GATE_FAILED);
                EXPECT_EQ(o.output, "");
                EXPECT_EQ(o.failure.kind,
                          e.exception.empty() ? KIRO_FAIL_UPSTREAM_CUT : KIRO_FAIL_OVERLOADED);
                const bool clean = e.exception.empty() && o.failure.retry == KIRO_RETRY_ONCE;
                EXPECT_TRUE(clean || o.failure.retry == KIRO_RETRY_BACKOFF);
                continue;
            }
            EXPECT_EQ(o.gate, KIRO_GATE_COMPLETE);
            test::Seen seen;
            ASSERT_NO_THROW(seen = test::read(mode, o.output)) << o.output;
            EXPECT_EQ(seen.text, e.text);
            EXPECT_EQ(seen.reasoning, e.reasoning);
            if (mode.api != KIRO_API_OPENAI_CHAT) {
                EXPECT_EQ(seen.signature + seen.opaque, e.signature);
            }
            ASSERT_EQ(seen.tools.size(), e.tools.size());
            for (size_t i = 0; i < seen.tools.size(); ++i) {
                EXPECT_EQ(seen.tools[i].id, e.tools[i].id);
                EXPECT_EQ(seen.tools[i].name, e.tools[i].name);
                EXPECT_EQ(seen.tools[i].input, e.tools[i].input);
            }
            EXPECT_EQ(seen.error, !e.exception.empty());
            EXPECT_EQ(o.info.failed != 0, !e.exception.empty());
            if (e.exception.empty()) {
                const StopWords words = stop_words(e, legacy_end);
                EXPECT_EQ(seen.stop, words.of(mode.api));
                EXPECT_EQ(o.stop, seen.stop.substr(0, seen.stop.find('/')));
                EXPECT_EQ(o.failure.kind, whole ? KIRO_FAIL_NONE : KIRO_FAIL_UPSTREAM_CUT);
                if (seen.usage && seen.stop != "") {
                    EXPECT_EQ(seen.output, o.info.output_tokens);
                    EXPECT_EQ(seen.input, o.info.input_tokens);
                }
            }
        }
    }
}

TEST(ReplyVectors, NegativeOnesAreProtocolFailures) {
    for (const test::Vector &v : test::vectors()) {
        if (v.kind != "negative") {
            continue;
        }
        for (const test::Mode &mode : test::kModes) {
            SCOPED_TRACE(v.name + "." + mode.name);
            for (const auto &plan : test::plans(v)) {
                const test::Outcome o = test::run(mode, v.bytes, plan);
                ASSERT_EQ(o.gate, KIRO_GATE_FAILED);
                ASSERT_EQ(o.failure.kind, KIRO_FAIL_UPSTREAM_PROTOCOL);
                ASSERT_EQ(o.failure.retry, KIRO_RETRY_BACKOFF);
                ASSERT_EQ(o.output, "");
            }
        }
    }
}

} // namespace
