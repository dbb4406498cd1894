/*
 * Answers of the upstream that no service would send, with what a client must see of them: events out of
 * order, calls that are cut, repeated or mixed, exceptions anywhere, payloads of odd types.
 */
#pragma once

#include "support/frames.h"
#include "support/random_json.h"
#include "support/sse.h"

#include <map>
#include <string>
#include <vector>

namespace test {

struct RandomReply {
    std::string bytes;

    // What came before the end.
    std::u16string text, reasoning;
    std::vector<SeenTool> tools; // those that ended well
    bool complete = false;       // the upstream said so

    std::map<std::string, std::string> inputs; // of all calls, by id, as far as they came
};

inline constexpr std::string_view kInputs[] = {
    "{}",
    "",
    " \n",
    R"({"a":1})",
    R"( {"a" : [1, {"b": null}], "c": ""} )",
    R"({"input":"a text"})",
    "{\"s\":\"q\\\"\\\\ \u00e9\U0001F642 \\u00e9\\ud83d\\ude42\\n</x>\"}",
    R"({"s":"\ud83d"})", // half a character
    // and those that nobody may run
    R"({"a":)",
    R"({"a":1)",
    R"({"a":1}})",
    R"({"a":"\ud8)",
    "[1]",
    "5",
    R"("text")",
    "nul",
};

inline std::string without_halves(std::string json) {
    for (std::size_t at = 0; (at = json.find("\\ud83d", at)) != json.npos; at += 6) {
        if (json.compare(at + 6, 6, "\\ude42") != 0) {
            json.replace(at, 6, "\\ufffd");
        }
    }
    return json;
}

// Control characters in strings are escaped on their way.
inline std::string without_line_ends(std::string json) {
    bool string = false;
    for (std::size_t at = 0; at < json.size(); ++at) {
        if (json[at] == '"') {
            string = !string;
        } else if (string && json[at] == '\\') {
            ++at;
        } else if (string && json[at] == '\n') {
            json.replace(at++, 1, "\\n");
        }
    }
    return json;
}

// What must reach the client of an input; empty: it is no object, so there is no call.
inline std::string client_input(std::string json) {
    if (json.find_first_not_of(" \n") == json.npos) {
        return "{}";
    }
    json = without_halves(without_line_ends(std::move(json)));
    simdjson::dom::parser parser;
    Json value;
    return parser.parse(json).get(value) == simdjson::SUCCESS && value.is_object() ? simdjson::minify(value)
                                                                                   : "";
}

class ReplyMaker {
public:
    // names: what tools are called upstream and by the client.
    ReplyMaker(Choices &choices, const std::vector<std::pair<std::string, std::string>> &names)
        : choices_(choices), names_(names) {}

    RandomReply make() {
        while (!choices_.empty() && !stopped_ && reply_.bytes.size() < 20000) {
            step();
        }
        if (!stopped_ && choices_.below(8) != 7) {
            add(tail(choices_.pick(kStops)));
            reply_.complete = true;
        }
        return reply_;
    }

private:
    static constexpr std::string_view kStops[] = {
        "END_TURN",      "TOOL_USE", "MAX_TOKENS", "CONTENT_FILTERED", "MODEL_CONTEXT_WINDOW_EXCEEDED",
        "PAUSE_TURN",    "UNKNOWN",  "",           "STOP_SEQUENCE",    "GUARDRAIL_INTERVENED",
        "SOMETHING_ELSE"};

    void add(const std::string &frame) { reply_.bytes += frame; }

    void step() {
        switch (choices_.below(32)) {
        default:
            text();
            break;
        case 9:
        case 10:
        case 11:
            reasoning();
            break;
        case 12:
            seal();
            break;
        case 13:
        case 14:
        case 15:
        case 16:
        case 17:
        case 18:
        case 19:
            call_step();
            break;
        case 20:
        case 21:
            whole_call();
            break;
        case 22:
            number("contextUsageEvent", "contextUsagePercentage");
            break;
        case 23:
            number("meteringEvent", "usage");
            metered_ = reply_.complete = true;
            break;
        case 24:
            metadata();
            break;
        case 25:
            ignored();
            break;
        case 26:
            odd_text();
            break;
        case 27:
            if (choices_.one_in(4)) {
                exception();
            }
            break;
        case 28:
            if (choices_.one_in(8)) {
                nonsense();
            }
            break;
        case 29:
        case 30:
            leaked_call();
            break;
        }
    }

    // Behind the whole tail nothing counts for the answer.
    bool over() const { return metadata_ && metered_; }

    void text() {
        const Text text = random_text(choices_, 6, true);
        add(event(choices_.one_in(16) ? "codeEvent" : "assistantResponseEvent",
                  R"({"modelId":"m","content":")" + text.raw + "\"}"));
        if (!over()) {
            reply_.text += text.units;
        }
    }

    // ASCII in an event, or in many.
    void plain_text(std::string_view text) {
        while (!text.empty()) {
            const std::string part(text.substr(0, choices_.one_in(2) ? text.size() : choices_.below(20) + 1));
            text.remove_prefix(part.size());
            add(event("assistantResponseEvent", "{\"content\":\"" + escaped_input(part) + "\"}"));
            if (!over()) {
                reply_.text.append(part.begin(), part.end());
            }
        }
    }

    // A call as text: one that can be made real, or one that is unknown, quoted, broken or cut.
    void leaked_call() {
        static constexpr std::string_view kBefore[] = {"\n", "\n", "\n", "\n\n", "", "x ", "```\n", "\n   "};
        static constexpr std::string_view kAfter[] = {"", "\n", "\n \n", " and so on", "\n```\n"};
        static constexpr std::string_view kValues[] = {
            "{}",  R"({"a":1})", R"({"a":{"b":"}]\"\\\n"},"c":[]})", R"({"input":"a text"})", R"({"a":)",
            "[1]", "x"};
        const unsigned n = choices_.below(16);
        const std::string name = n < 12 && !names_.empty() ? (n % 2 ? names_[n % names_.size()].first
                                                                    : names_[n % names_.size()].second)
                                 : n < 14                  ? "get"
                                                           : "unknown";
        const std::string value(choices_.pick(kValues));
        std::string call;
        switch (choices_.below(4)) {
        case 0:
        case 1:
            call = "[Called " + name + " with args: " + value + "]";
            break;
        case 2:
            call = "<tool_call>{\"name\": \"" + name + "\", \"arguments\": " + value + "}</tool_call>";
            break;
        default:
            call = "<function_calls>\n<invoke name=\"" + name + "\">\n<parameter name=\"p\">" + value +
                   "</parameter>\n</invoke>\n" +
                   (choices_.one_in(2) ? "<invoke name=\"get\"></invoke>" : "") + "</function_calls>";
        }
        if (choices_.one_in(8)) {
            call.resize(choices_.below(static_cast<unsigned>(call.size())));
        }
        plain_text(std::string(choices_.pick(kBefore)) + call + std::string(choices_.pick(kAfter)));
    }

    // A member of another type is as good as none.
    void odd_text() {
        add(event("assistantResponseEvent", "{\"content\":" + std::string(not_a_string()) + "}"));
        add(event("reasoningContentEvent", "{\"text\":" + std::string(not_a_string()) +
                                               ",\"signature\":" + std::string(not_a_string()) + "}"));
        add(event("assistantResponseEvent", choices_.one_in(2) ? "{}" : ""));
    }

    std::string_view not_a_string() {
        const std::string_view value = choices_.pick(kOddValues);
        return value.starts_with('"') ? "null" : value;
    }

    void reasoning() {
        const Text text = random_text(choices_, 6, true);
        add(event("reasoningContentEvent", "{\"text\":\"" + text.raw + "\"}"));
        if (!over()) {
            reply_.reasoning += text.units;
        }
    }

    void seal() {
        static constexpr std::string_view kSeals[] = {R"({"signature":"QUJD"})",
                                                      R"({"signature":"Ab\/c+=="})",
                                                      R"({"redactedContent":"UmVk"})",
                                                      R"({"text":"...","signature":"T3BhcXVl"})",
                                                      R"({"signature":"","text":""})",
                                                      R"({"text":"",)"
                                                      R"("signature":"Wg=="})"};
        add(event("reasoningContentEvent", choices_.pick(kSeals)));
    }

    struct Call {
        std::string name, input; // input: of JSON
        bool over = false;
    };

    // One frame about the call; input is raw.
    void tool(const std::string &id, const std::string &name, const std::string &more, bool stop) {
        std::string payload = "{";
        payload += more;
        if (choices_.one_in(2)) {
            payload += R"("name":")" + name + R"(","toolUseId":")" + id + "\"";
        } else {
            payload += R"("toolUseId":")" + id + R"(","name":")" + name + "\"";
        }
        payload += stop ? R"(,"stop":true})" : choices_.one_in(4) ? R"(,"stop":false})" : "}";
        add(event("toolUseEvent", payload));

        if (over()) {
            return;
        }
        Call &call = calls_[id];
        if (call.over) {
            return;
        }
        if (call.name.empty()) {
            call.name = name;
        }
        call.input += pending_;
        reply_.inputs[id] = call.input;
        if (!stop) {
            return;
        }
        call.over = true;
        if (call.name.empty() || id.empty()) {
            return;
        }
        if (const std::string input = client_input(call.input); !input.empty()) {
            reply_.tools.push_back({id, client_name(call.name), input});
        }
    }

    std::string client_name(const std::string &upstream) const {
        for (const auto &[theirs, own] : names_) {
            if (theirs == upstream) {
                return own;
            }
        }
        return upstream;
    }

    std::string id() {
        static constexpr std::string_view kIds[] = {"tooluse_A", "tooluse_B", "tooluse_C", "t"};
        const unsigned n = choices_.below(40);
        return n == 39 ? "" : std::string(kIds[n % 4]) + std::to_string(n / 4 % 3);
    }

    std::string name() {
        const unsigned n = choices_.below(24);
        return n == 23 ? "" : n < 20 && !names_.empty() ? names_[n % names_.size()].first : "f";
    }

    static std::string escaped_input(std::string_view json) {
        std::string out;
        for (const char c : json) {
            if (c == '"' || c == '\\') {
                out += '\\';
            }
            if (c == '\n') {
                out += "\\n";
            } else {
                out += c;
            }
        }
        return out;
    }

    // A frame of a call in parts: its start, a part, its end; of calls that are mixed as it happens.
    void call_step() {
        const std::string id = this->id(), name = this->name();
        const auto known = calls_.find(id);
        const std::string so_far = known == calls_.end() ? "" : known->second.input;
        const auto goal = goals_.try_emplace(id, std::string(choices_.pick(kInputs))).first->second;
        pending_.clear();
        std::string more;
        if (known == calls_.end() ? choices_.one_in(2) : !choices_.one_in(8)) {
            std::size_t size = choices_.below(12);
            size = std::min(size, goal.size() - std::min(goal.size(), so_far.size()));
            std::size_t end = so_far.size() + size;
            while (end < goal.size() && (static_cast<unsigned char>(goal[end]) & 0xC0) == 0x80) {
                ++end; // never half a character
            }
            pending_ = end > so_far.size() ? goal.substr(so_far.size(), end - so_far.size()) : "";
            more = "\"input\":\"" + escaped_input(pending_) + "\",";
        } else if (choices_.one_in(4)) {
            more = "\"input\":null,";
        }
        const bool all = so_far.size() + pending_.size() >= goal.size();
        tool(id, name, more, choices_.one_in(all ? 2 : 16));
    }

    // A call in one frame, its input as a string or as a value.
    void whole_call() {
        const std::string id = this->id(), name = this->name();
        pending_ = std::string(choices_.pick(kInputs));
        const bool object = !client_input(pending_).empty() && pending_.find('{') != pending_.npos;
        if (!calls_.contains(id) && object && choices_.one_in(2)) {
            tool(id, name, "\"input\":" + pending_ + ",", true);
        } else {
            tool(id, name, "\"input\":\"" + escaped_input(pending_) + "\",", true);
        }
    }

    void number(std::string_view type, const std::string &key) {
        add(event(type,
                  "{\"" + key + "\":" + std::string(choices_.pick(kOddValues)) + R"(,"unit":"credit"})"));
    }

    void metadata() {
        std::string payload = "{\"stopReason\":\"" + std::string(choices_.pick(kStops)) + "\"";
        if (choices_.one_in(2)) {
            payload += ",\"tokenUsage\":{";
            for (const char *key : {"uncachedInputTokens", "outputTokens", "cacheReadInputTokens",
                                    "cacheWriteInputTokens", "contextUsagePercentage"}) {
                if (choices_.one_in(2)) {
                    payload += "\"" + std::string(key) + "\":" + std::string(choices_.pick(kOddValues)) + ",";
                }
            }
            payload += "\"totalTokens\":7}";
        }
        add(event("metadataEvent", payload + "}"));
        metadata_ = reply_.complete = true;
    }

    void ignored() {
        static constexpr std::string_view kTypes[] = {
            "initial-response",           "messageMetadataEvent",  "codeReferenceEvent",
            "followupPromptEvent",        "citationEvent",         "toolResultEvent",
            "supplementaryWebLinksEvent", "documentCitationEvent", "intentsEvent",
            "dryRunSucceedEvent",         "metricsEvent",          "messageStopEvent",
            "someEventOfThe2030s"};
        static constexpr std::string_view kPayloads[] = {
            "{}", "", R"({"content":"no"})", R"({"followupPrompt":{"content":"no"}})", "[1", "\xff\xfe"};
        add(event(choices_.pick(kTypes), choices_.pick(kPayloads)));
    }

    void exception() {
        static constexpr std::string_view kNames[] = {"error",
                                                      "throttlingError",
                                                      "validationError",
                                                      "serviceUnavailableError",
                                                      "ThrottlingException",
                                                      "InternalServerException",
                                                      "ContentLengthExceededException",
                                                      "ModelStreamErrorException",
                                                      "com.amazon.aws#NewException"};
        static constexpr std::string_view kPayloads[] = {
            R"({"message":"secret arn:aws:x"})",
            R"({"message":"wait","reason":"USER_REQUEST_RATE_EXCEEDED","retryAfterMilliseconds":1500})",
            R"({"message":"x","reason":"CONTENT_LENGTH_EXCEEDS_THRESHOLD"})",
            R"({"__type":"com.amazon.kiro.runtimeservice#ThrottlingException","message":"x"})",
            R"({"message":5,"reason":[]})",
            R"({"reason":"MONTHLY_REQUEST_COUNT"})",
            "{}",
            "",
            "<html>",
            "\xff"};
        stopped_ = true;
        if (choices_.one_in(4)) {
            add(raw_message(string_header(":message-type", "error") +
                                string_header(":error-code", choices_.pick(kNames)) +
                                string_header(":error-message", "secret arn:aws:x"),
                            ""));
        } else if (choices_.one_in(4)) {
            add(event("invalidStateEvent", R"({"reason":"INVALID_TASK_ASSIST_PLAN","message":"secret"})"));
        } else {
            add(test::exception(choices_.pick(kNames), choices_.pick(kPayloads)));
        }
    }

    void nonsense() {
        static constexpr std::string_view kBad[] = {"{",
                                                    "[]",
                                                    "x",
                                                    R"({"content":"a)",
                                                    R"({"content":"\x"})",
                                                    R"({"content":"\ud83)",
                                                    "{\"content\":\"\n\"}",
                                                    "{\"content\":\"\xc3\"}",
                                                    R"({"content":"a"}{})",
                                                    R"({"a":01})"};
        static constexpr std::string_view kTypes[] = {"assistantResponseEvent", "reasoningContentEvent",
                                                      "toolUseEvent",           "metadataEvent",
                                                      "contextUsageEvent",      "meteringEvent"};
        switch (choices_.below(4)) {
        case 0:
            add("this is no frame at all");
            break;
        case 1:
            add(raw_message("", R"({"content":"of no type"})"));
            break;
        default:
            add(event(choices_.pick(kTypes), choices_.pick(kBad)));
        }
        stopped_ = true;
    }

    Choices &choices_;
    const std::vector<std::pair<std::string, std::string>> &names_;
    RandomReply reply_;
    bool metadata_ = false, metered_ = false;
    bool stopped_ = false; // by an exception or nonsense
    std::map<std::string, Call> calls_;
    std::map<std::string, std::string> goals_; // what a call in parts is to become
    std::string pending_;                      // what the next frame adds
};

} // namespace test
