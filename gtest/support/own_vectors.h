/*
 * More answers of the upstream, beside those of gtest/data/vectors: what that set leaves out. Made here, of
 * payloads as the service writes them or might.
 */
#pragma once

#include "support/frames.h"

#include <string>
#include <string_view>
#include <vector>

namespace test {

struct OwnVector {
    std::string name, bytes;
};

namespace own {

inline std::string text(std::string_view raw) {
    return text_event(raw);
}

inline std::string reasoning(std::string_view payload) {
    return event("reasoningContentEvent", payload);
}

inline std::string thought(std::string_view raw) {
    return reasoning("{\"text\":\"" + std::string(raw) + "\"}");
}

// more: members with a comma behind.
inline std::string tool(std::string_view id, std::string_view more, bool stop = false) {
    return event("toolUseEvent", "{" + std::string(more) + R"("name":"f","toolUseId":")" + std::string(id) +
                                     (stop ? R"(","stop":true})" : "\"}"));
}

inline std::string call(std::string_view id, std::string_view escaped) {
    return tool(id, "") + tool(id, "\"input\":\"" + std::string(escaped) + "\",") + tool(id, "", true);
}

inline std::string usage(std::string_view payload) {
    return event("contextUsageEvent", payload);
}

inline std::string error_frame() {
    return raw_message(string_header(":error-code", "InternalFailure") +
                           string_header(":error-message", "host 10.0.0.1 of account 123456789012") +
                           string_header(":message-type", "error"),
                       "");
}

} // namespace own

inline std::vector<OwnVector> own_vectors() {
    using namespace own;
    const std::string end = event("metadataEvent", R"({"stopReason":"END_TURN"})");
    const std::string meter = event("meteringEvent", R"({"usage":0.25})");
    const std::string text_a = text("a");
    return {
        // reasoning
        {"reasoning_between_texts", thought("1") + reasoning(R"({"signature":"UzE="})") + text("a") +
                                        thought("2") + thought("3") + reasoning(R"({"signature":"UzI="})") +
                                        text("b") + thought("4") + end},
        {"reasoning_signature_only", reasoning(R"({"signature":"UzE="})") + text_a + end},
        {"reasoning_redacted_first", reasoning(R"({"redactedContent":"UmVk"})") + text_a + end},
        {"reasoning_redacted_between",
         thought("1") + reasoning(R"({"redactedContent":"UmVk"})") + thought("2") + text_a + end},
        {"reasoning_late", text_a + reasoning(R"({"text":"...","signature":"T3A="})") + end},
        {"reasoning_late_after_call",
         call("t1", "{}") + reasoning(R"({"text":"...","signature":"T3A="})") + end},
        {"reasoning_only", thought("1") + reasoning(R"({"signature":"UzE="})") + end},
        {"reasoning_dots", thought("...") + text_a + end},
        {"reasoning_surrogates", thought(R"(\ud83d)") + text_a + thought(R"(\ude42 \ud83d)") + end},
        // text
        {"text_empty_between", text("") + text_a + text("") + thought("") + text("b") + text("") + end},
        {"text_lone_half", text(R"(a\ud83d)") + end},
        {"text_half_before_call", text(R"(a\ud83d)") + call("t1", "{}") + text(R"(\ude42)") + end},
        {"text_code_event", event("codeEvent", R"({"content":"int x;"})") + end},
        // calls
        {"call_input_object", tool("t1", R"("input":{"b": [1, "\u00e9"], "a":{}},)", true) + end},
        {"call_input_array", tool("t1", R"("input":[1],)", true) + text_a + end},
        {"call_input_number", tool("t1", R"("input":5,)", true) + text_a + end},
        {"call_input_string", tool("t1", R"("input":"{\"a\":1}",)", true) + end},
        {"call_input_null", tool("t1", R"("input":null,)") + tool("t1", "", true) + end},
        {"call_stop_alone", tool("t1", "", true) + end},
        {"call_repeated", call("t1", R"({\"a\":1})") + call("t1", R"({\"a\":1})") + end},
        {"call_new_while_open", text_a + tool("t1", R"("input":"{\"a\":",)") + call("t2", "{}") + end},
        {"call_no_name",
         text_a + event("toolUseEvent", R"({"toolUseId":"t1","input":"{}","stop":true})") + end},
        {"call_no_id", text_a + event("toolUseEvent", R"({"name":"f","input":"{}","stop":true})") + end},
        {"call_name_late",
         event("toolUseEvent", R"({"toolUseId":"t1","input":"{}"})") + tool("t1", "", true) + end},
        {"call_cut_only", tool("t1", R"("input":"{\"a\":",)")},
        {"call_cut_but_tail", text_a + tool("t1", R"("input":"{\"a\":",)") + end},
        {"call_then_exception", call("t1", "{}") + exception("error", R"({"message":"x"})")},
        {"call_then_cut", call("t1", "{}") + text_a},
        {"call_max_tokens",
         text_a + call("t1", "{}") + event("metadataEvent", R"({"stopReason":"MAX_TOKENS"})")},
        {"call_end_turn", call("t1", "{}") + call("t2", "{}") + end},
        // the end
        {"end_metering_only", text_a + meter},
        {"end_metadata_twice",
         text_a + end + event("metadataEvent", R"({"stopReason":"MAX_TOKENS"})") + meter},
        {"end_unknown_stop", text_a + event("metadataEvent", R"({"stopReason":"SOMETHING_NEW"})")},
        {"end_no_stop", text_a + event("metadataEvent", "{}")},
        {"end_null_stop", text_a + event("metadataEvent", R"({"stopReason":null})")},
        {"end_filtered",
         text_a + event("metadataEvent", R"({"stopReason":"CONTENT_FILTERED","stopDetails":)"
                                         R"({"refusal":{"category":"CYBER","explanation":"secret"}}})")},
        {"end_filtered_alone", event("metadataEvent", R"({"stopReason":"CONTENT_FILTERED"})")},
        {"end_pause", text_a + event("metadataEvent", R"({"stopReason":"PAUSE_TURN"})")},
        {"end_max_tokens", text_a + event("metadataEvent", R"({"stopReason":"MAX_TOKENS"})")},
        {"end_data_behind", text_a + end + meter + text("b") + call("t1", "{}")},
        {"end_garbage_behind", text_a + end + "garbage that is no frame"},
        {"end_nothing_but", end + usage(R"({"contextUsagePercentage":1})") + meter},
        // numbers
        {"usage_over_100", text_a + end + usage(R"({"contextUsagePercentage":150.5})")},
        {"usage_over_100_no_stop",
         text_a + event("metadataEvent", "{}") + usage(R"({"contextUsagePercentage":150.5})")},
        {"usage_negative", text_a + end + usage(R"({"contextUsagePercentage":-3})")},
        {"usage_no_number", text_a + end + usage(R"({"contextUsagePercentage":"NaN"})") +
                                event("meteringEvent", R"({"usage":null})")},
        {"usage_too_large", text_a + end + usage(R"({"contextUsagePercentage":1e999})") +
                                event("meteringEvent", R"({"usage":1e999})")},
        {"usage_tokens",
         text_a +
             event("metadataEvent",
                   R"({"stopReason":"END_TURN","tokenUsage":{"uncachedInputTokens":100,)"
                   R"("cacheReadInputTokens":2000,"cacheWriteInputTokens":30,"outputTokens":7,)"
                   R"("totalTokens":2137,"contextUsagePercentage":1.5}})") +
             usage(R"({"contextUsagePercentage":9})")},
        {"usage_tokens_some",
         text_a + event("metadataEvent", R"({"tokenUsage":{"uncachedInputTokens":100,"outputTokens":7}})")},
        {"usage_tokens_odd",
         text_a + event("metadataEvent", R"({"tokenUsage":{"uncachedInputTokens":-1,"outputTokens":"7",)"
                                         R"("cacheReadInputTokens":1e30}})")},
        // failures
        {"fail_error_member", text_a + exception("error", R"({"message":"account 123456789012"})")},
        {"fail_validation_member", text_a + exception("validationError", R"({"message":"bad"})")},
        {"fail_unavailable_member", text_a + exception("serviceUnavailableError", R"({"message":"busy"})")},
        {"fail_throttling_shape",
         text_a + exception("ThrottlingException", R"({"message":"slow","retryAfterMilliseconds":2500})")},
        {"fail_length_shape", text_a + exception("ContentLengthExceededException", R"({"message":"long"})")},
        {"fail_model_shape", text_a + exception("ModelStreamErrorException", R"({"message":"x"})")},
        {"fail_first", exception("throttlingError", R"({"message":"slow"})")},
        {"fail_first_shape", exception("InternalServerException", R"({"message":"x"})")},
        {"fail_first_length", exception("ContentLengthExceededException", R"({"message":"long"})")},
        {"fail_after_tail", text_a + end + exception("error", R"({"message":"x"})")},
        {"fail_error_frame", text_a + error_frame()},
        {"fail_error_frame_first", error_frame()},
        {"fail_invalid_state",
         text_a + event("invalidStateEvent", R"({"reason":"INVALID_TASK_ASSIST_PLAN","message":"x"})")},
        {"fail_after_thought", thought("1") + exception("error", R"({"message":"x"})")},
        {"fail_after_signature",
         reasoning(R"({"signature":"UzE="})") + exception("error", R"({"message":"x"})")},
        // what no client sees
        {"other_code_reference",
         event("codeReferenceEvent", R"({"references":[{"licenseName":"MIT","repository":"r"}]})") + text_a +
             end},
        {"other_events", event("initial-response", R"({"conversationId":"c"})") +
                             event("messageMetadataEvent", R"({"conversationId":"c","utteranceId":"u"})") +
                             text_a + event("followupPromptEvent", R"({"followupPrompt":{"content":"q"}})") +
                             event("citationEvent", R"({"target":{"location":1},"citationText":"t"})") +
                             event("supplementaryWebLinksEvent", R"({"supplementaryWebLinks":[]})") +
                             event("toolResultEvent", R"({"toolResult":{"toolUseId":"t","content":[]}})") +
                             text("b") + end},
        {"other_empty_payloads", event("assistantResponseEvent", "") + text_a +
                                     event("reasoningContentEvent", "") + event("contextUsageEvent", "") +
                                     event("meteringEvent", "") + event("metadataEvent", "")},
    };
}

// Answers to requests that change what a client sees, by the name of what was asked for.
struct AskedVector {
    const char *asking;
    std::string name, bytes;
};

// alias: what the tool is called upstream whose own name the service does not take.
inline std::vector<AskedVector> asked_vectors(const std::string &alias) {
    using namespace own;
    const std::string end = tail();
    const std::string aliased = event("toolUseEvent", R"({"toolUseId":"t1","name":")" + alias +
                                                          R"(","input":"{\"a\":1}","stop":true})");
    const std::string reasoned = thought("1") + reasoning(R"({"signature":"UzE="})") + text("a") +
                                 thought("2") + reasoning(R"({"redactedContent":"UmVk"})") + text("b");
    return {
        {"tools", "alias", text("a") + aliased + end},
        {"tools", "seals", reasoned + end},
        {"plain", "hidden", reasoned + call("t1", "{}") + end},
        {"plain", "hidden_only", thought("1") + reasoning(R"({"signature":"UzE="})") + end},
        {"stop texts", "split", text("one E") + text("N") + text("D two") + end},
        {"stop texts", "escaped",
         text(R"(one \u00)"
              "e9 two") +
             end},
        {"stop texts", "over_call", text("EN") + call("t1", "{}") + text("D") + end},
        {"stop texts", "at_start", text("END") + end},
        {"stop texts", "held_at_the_end", text("one EN") + end},
        {"limit", "text",
         text("one two three ") + text("four five six seven eight nine ten eleven ") +
             text("twelve thirteen fourteen fifteen sixteen seventeen eighteen") + end},
        {"limit", "call",
         text("a") +
             call("t1", R"({\"a\":\"one two three four five six seven eight nine ten )"
                        R"(eleven twelve thirteen fourteen fifteen sixteen\"})") +
             end},
        {"JSON", "fence", text("```js") + text(R"(on\n{\"a\":1)") + text(R"(}\n``)") + text("`") + end},
        {"JSON", "bare", text(R"({\"a\":)") + text("1}") + end},
        {"JSON", "prose", text("Sorry.") + end},
        {"tags", "closed", text("<thin") + text(R"(king>one</thinking>\n)") + text(R"(\ntwo)") + end},
        {"tags", "unclosed", text("<thinking>one") + text(" two") + end},
        {"tags", "before_call", text("<thinking>one</thinking>") + call("t1", "{}") + end},
        {"tags", "cut", text("<thinking>one</thi")},
        {"tags", "none", text("no <thinking> here") + end},
        {"freeform", "text",
         event(
             "toolUseEvent",
             R"({"toolUseId":"t1","name":"patch","input":"{\"input\":\"*** a\\nb \\\"q\\\" \\u00e9\"}","stop":true})") +
             end},
        {"freeform", "empty",
         event("toolUseEvent", R"({"toolUseId":"t1","name":"patch","input":"{}","stop":true})") + end},
        {"legacy", "two_calls", call("t1", R"({\"a\":1})") + call("t2", "{}") + end},
        {"legacy", "text_and_call", text("a") + call("t1", "{}") + text("b") + end},
    };
}

} // namespace test
