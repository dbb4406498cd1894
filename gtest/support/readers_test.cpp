/*
 * The judges judged: good streams that they take, and small corruptions of them that they must refuse. Each
 * row breaks one rule of the client contract.
 */
#include "support/own_vectors.h"
#include "support/reply_judge.h"

#include <gtest/gtest.h>

namespace {

// Text, reasoning with a signature, two calls, text.
std::string good(kiro_api api) {
    using namespace test::own;
    const std::string bytes = thought("one") + thought("two") + reasoning(R"({"signature":"UzE="})") +
                              text("three") + text("four") + call("t1", R"({\"a\":1})") + call("t2", "{}") +
                              text("five") + test::tail("TOOL_USE");
    return test::play({api, true, ""},
                      api == KIRO_API_OPENAI_CHAT ? test::asked_request(api, 1).get() : nullptr, bytes,
                      {.pieces = {bytes.size()}})
        .output;
}

test::Seen read(kiro_api api, const std::string &stream) {
    return test::read({api, true, ""}, stream, api == KIRO_API_OPENAI_CHAT);
}

struct Corruption {
    kiro_api api;
    const char *rule;
    const char *from, *to; // the first one
};

constexpr kiro_api kChat = KIRO_API_OPENAI_CHAT, kMessages = KIRO_API_ANTHROPIC,
                   kResponses = KIRO_API_OPENAI_RESPONSES;

constexpr Corruption kCorruptions[] = {
    // framing
    {kChat, "one line of data", "data: {", "data: \ndata: {"},
    {kChat, "a blank line", "\n\ndata:", "\ndata:"},
    {kChat, "no event lines", "data: {", "event: chunk\ndata: {"},
    {kMessages, "event lines", "event: content_block_stop\n", ""},
    {kMessages, "event line is the type", "event: content_block_stop\n", "event: content_block_end\n"},
    {kResponses, "event line is the type", "event: response.in_progress\n", "event: response.created\n"},
    {kChat, "JSON", "\"delta\":{}", "\"delta\":{"},
    {kMessages, "whole characters", "three", R"(\ud83d)"},
    {kMessages, "UTF-8", "three", "\xff"},
    // Chat Completions
    {kChat, "role in the first delta", R"("role":"assistant",)", ""},
    {kChat, "role once", R"("delta":{"content":"three")", R"("delta":{"role":"assistant","content":"three")"},
    {kChat, "object", "chat.completion.chunk", "chat.completion"},
    {kChat, "id has its prefix", "chatcmpl-", "x"},
    {kChat, "index", R"("index":0,"delta")", R"("index":1,"delta")"},
    {kChat, "delta is an object", R"("delta":{})", R"("delta":null)"},
    {kChat, "known members of a delta", R"({"content":"three")", R"({"contents":"three")"},
    {kChat, "no empty content", R"({"content":"three")", R"({"content":"")"},
    {kChat, "type of a call", R"("type":"function",)", ""},
    {kChat, "id of a call", R"("id":"t1",)", ""},
    {kChat, "name of a call", R"("name":"f",)", ""},
    {kChat, "ids are unique", R"("id":"t2")", R"("id":"t1")"},
    {kChat, "calls count on", R"("index":1,"id":"t2")", R"("index":2,"id":"t2")"},
    {kChat, "one call an index", R"("index":1,"id":"t2")", R"("index":0,"id":"t2")"},
    {kChat, "arguments are a string", R"("arguments":"{\"a\":1}")", R"("arguments":{"a":1})"},
    {kChat, "arguments are JSON", R"({\"a\":1})", R"({\"a\":1)"},
    {kChat, "arguments are an object", R"({\"a\":1})", R"([1])"},
    {kChat, "a known finish_reason", R"("finish_reason":"tool_calls")", R"("finish_reason":"end_turn")"},
    {kChat, "finish_reason stands alone", R"("delta":{},)", R"("delta":{"content":"x"},)"},
    {kChat, "total_tokens is the sum", R"("total_tokens":)", R"("total_tokens":9)"},
    {kChat, "usage is asked for", R"("choices":[],"usage")", R"("choices":[],"used")"},
    {kChat, "[DONE]", "data: [DONE]\n\n", ""},
    {kChat, "nothing behind the end", "data: [DONE]\n\n", "data: [DONE]\n\ndata: [DONE]\n\n"},
    // Messages
    {kMessages, "id has its prefix", R"("id":"msg_)", R"("id":")"},
    {kMessages, "content at the start", R"("content":[])", R"("content":[{"type":"text","text":""}])"},
    {kMessages, "output tokens at the start", R"("output_tokens":0)", R"("output_tokens":7)"},
    {kMessages, "input_tokens at the start", R"("input_tokens":0,)", ""},
    {kMessages, "indexes count on", R"("index":1,"content_block")", R"("index":2,"content_block")"},
    {kMessages, "delta of the open block", R"("index":1,"delta")", R"("index":0,"delta")"},
    {kMessages, "stop of the open block", R"(_stop","index":1)", R"(_stop","index":0)"},
    {kMessages, "known blocks", R"({"type":"text","text":""})", R"({"type":"words","text":""})"},
    {kMessages, "text at the start", R"({"type":"text","text":""})", R"({"type":"text","text":"x"})"},
    {kMessages, "text of a block", R"({"type":"text","text":""})", R"({"type":"text"})"},
    {kMessages, "signature at the start", R"("thinking":"","signature":"")", R"("thinking":"")"},
    {kMessages, "known deltas", "text_delta", "word_delta"},
    {kMessages, "deltas of the block's kind", "thinking_delta\",\"thinking\"", "text_delta\",\"text\""},
    {kMessages, "no empty text", "three", ""},
    {kMessages, "input in deltas only", R"("input":{})", R"("input":{"a":1})"},
    {kMessages, "id of a call", R"("id":"t1")", R"("id":"")"},
    {kMessages, "ids are unique", R"("id":"t2")", R"("id":"t1")"},
    {kMessages, "name of a call", R"("name":"f",)", ""},
    {kMessages, "input is an object", R"({\"a\":1})", R"([1])"},
    {kMessages, "input is JSON", R"({\"a\":1})", R"({\"a\":})"},
    {kMessages, "a known stop_reason", R"("stop_reason":"tool_use")", R"("stop_reason":"tool_calls")"},
    {kMessages, "a stop_reason", R"("stop_reason":"tool_use")", R"("stop_reason":null)"},
    {kMessages, "stop_sequence with its reason", R"("stop_reason":"tool_use","stop_sequence":null)",
     R"("stop_reason":"tool_use","stop_sequence":"x")"},
    {kMessages, "stop_sequence says which", R"("stop_reason":"tool_use","stop_sequence":null)",
     R"("stop_reason":"stop_sequence","stop_sequence":null)"},
    {kMessages, "no invented events", "event: content_block_stop\ndata: {\"type\":\"content_block_stop\"",
     "event: heartbeat\ndata: {\"type\":\"heartbeat\"}\n\n"
     "event: content_block_stop\ndata: {\"type\":\"content_block_stop\""},
    {kMessages, "ping behind message_start", "event: message_start",
     "event: ping\ndata: {\"type\":\"ping\"}\n\nevent: message_start"},
    // Responses
    {kResponses, "sequence numbers", R"("sequence_number":3)", R"("sequence_number":4)"},
    {kResponses, "the id stays",
     R"("type":"response.in_progress","sequence_number":1,"response":{"id":"resp_)",
     R"("type":"response.in_progress","sequence_number":1,"response":{"id":"resp_x)"},
    {kResponses, "created_at", R"("created_at":1790000000)", R"("created_at":1790000001)"},
    {kResponses, "output at the start", R"("output":[])", R"("output":null)"},
    {kResponses, "output_index counts on", R"("output_index":1,"item":)", R"("output_index":2,"item":)"},
    {kResponses, "item_id is the item's", R"("item_id":"rs_)", R"("item_id":"xs_)"},
    {kResponses, "summary_index", R"("summary_index":0)", R"("summary_index":1)"},
    {kResponses, "content_index", R"("content_index":0)", R"("content_index":1)"},
    {kResponses, "content at the start", R"("role":"assistant","content":[])", R"("role":"assistant")"},
    {kResponses, "arguments at the start", R"("arguments":"")", R"("arguments":"x")"},
    {kResponses, "name at the start", R"("name":"f",)", ""},
    {kResponses, "call_id at the start", R"("call_id":"t1",)", ""},
    {kResponses, "annotations", R"("annotations":[],)", ""},
    {kResponses, "deltas add up", R"("delta":"three")", R"("delta":"thre")"},
    {kResponses, "no empty delta", R"("delta":"three")", R"("delta":"")"},
    {kResponses, "the part's text", R"("text":"threefour","annotations":[])",
     R"("text":"three","annotations":[])"},
    {kResponses, "known events", "response.output_text.delta", "response.output_texts.delta"},
    {kResponses, "known items", R"("type":"function_call")", R"("type":"function_calls")"},
    {kResponses, "total_tokens", R"("total_tokens":)", R"("total_tokens":9)"},
    {kResponses, "a completed answer", R"("status":"completed","completed_at")",
     R"("status":"done","completed_at")"},
};

TEST(Readers, RefuseSmallCorruptions) {
    for (const Corruption &row : kCorruptions) {
        std::string stream = good(row.api);
        ASSERT_NO_THROW(read(row.api, stream)) << stream;
        const size_t at = stream.find(row.from);
        ASSERT_NE(at, stream.npos) << row.rule << " in " << stream;
        stream.replace(at, std::strlen(row.from), row.to);
        EXPECT_THROW(read(row.api, stream), test::BadStream) << row.api << " " << row.rule;
    }
}

std::vector<std::string> events_of(const std::string &stream) {
    std::vector<std::string> events;
    for (size_t at = 0; at < stream.size();) {
        const size_t end = stream.find("\n\n", at) + 2;
        events.push_back(stream.substr(at, end - at));
        at = end;
    }
    return events;
}

std::string joined(const std::vector<std::string> &events) {
    std::string stream;
    for (const std::string &event : events) {
        stream += event;
    }
    return stream;
}

// A stream from which one of these is missing, or comes twice, is still legal: it says something else.
bool says_something(const std::string &event) {
    for (const char *mark : {R"({"content":")", R"("reasoning_content")", "_delta\",\"text\"",
                             "_delta\",\"thinking\"", "signature_delta"}) {
        if (event.find(mark) != event.npos) {
            return true;
        }
    }
    return false;
}

TEST(Readers, RefuseMissingDoubledAndMovedEvents) {
    for (const kiro_api api : {kChat, kMessages, kResponses}) {
        const std::vector<std::string> events = events_of(good(api));
        ASSERT_GT(events.size(), 10u);
        for (size_t i = 0; i < events.size(); ++i) {
            SCOPED_TRACE(std::to_string(api) + " " + events[i]);
            std::vector<std::string> less = events, more = events;
            less.erase(less.begin() + static_cast<long>(i));
            more.insert(more.begin() + static_cast<long>(i), events[i]);
            // Of a call with the input {} the delta may be left out, and one of Messages that is cut is
            // another.
            const bool loose = says_something(events[i]) || events[i].find("partial_json") != events[i].npos;
            if (!loose) {
                EXPECT_THROW(read(api, joined(less)), test::BadStream) << "missing";
                EXPECT_THROW(read(api, joined(more)), test::BadStream) << "twice";
            }
            if (i + 1 < events.size() && !(says_something(events[i]) && says_something(events[i + 1]))) {
                std::vector<std::string> swapped = events;
                std::swap(swapped[i], swapped[i + 1]);
                // A text and a call may change places in Chat.
                if (api != kChat || (!says_something(events[i]) && !says_something(events[i + 1]))) {
                    EXPECT_THROW(read(api, joined(swapped)), test::BadStream) << "moved";
                }
            }
        }
        for (size_t i = 1; i < events.size(); ++i) {
            std::vector<std::string> start(events.begin(), events.begin() + static_cast<long>(i));
            EXPECT_THROW(read(api, joined(start)), test::BadStream) << "cut at " << i;
        }
    }
}

TEST(Readers, RefuseSmallCorruptionsOfObjects) {
    struct Row {
        kiro_api api;
        const char *from, *to;
    };
    constexpr Row rows[] = {
        {kChat, R"("finish_reason":"tool_calls")", R"("finish_reason":null)"},
        {kChat, R"("arguments":"{\"a\":1}")", R"("arguments":"")"},
        {kChat, R"("role":"assistant",)", ""},
        {kChat, R"("refusal":null,)", ""},
        {kChat, R"("usage":)", R"("used":)"},
        {kMessages, R"("type":"message",)", ""},
        {kMessages, R"("input":{"a":1})", R"("input":"{}")"},
        {kMessages, R"("signature":"UzE=")", R"("signatures":"UzE=")"},
        {kMessages, R"("stop_reason":"tool_use")", R"("stop_reason":"stop")"},
        {kMessages, R"("output_tokens":)", R"("outputs":)"},
        {kResponses, R"("annotations":[],)", ""},
        {kResponses, R"("status":"completed","role")", R"("status":"incomplete","role")"},
        {kResponses, R"("call_id":"t1")", R"("call_id":"")"},
        {kResponses, R"("total_tokens")", R"("totals")"},
        {kResponses, R"("summary":[)", R"("summaries":[)"},
    };
    using namespace test::own;
    const std::string bytes = thought("one") + reasoning(R"({"signature":"UzE="})") + text("three") +
                              call("t1", R"({\"a\":1})") + test::tail("TOOL_USE");
    for (const Row &row : rows) {
        const test::Mode mode{row.api, false, ""};
        std::string object = test::play(mode, nullptr, bytes, {.pieces = {bytes.size()}}).output;
        ASSERT_NO_THROW(test::read(mode, object)) << object;
        const size_t at = object.find(row.from);
        ASSERT_NE(at, object.npos) << row.from << " in " << object;
        object.replace(at, std::strlen(row.from), row.to);
        EXPECT_THROW(test::read(mode, object), test::BadStream) << row.from;
    }
}

} // namespace
