// Chat Completions as the strictest of all clients would read it.
#pragma once

#include "support/sse.h"

namespace test {

inline void read_openai_usage(const Json &usage, Seen &seen) {
    seen.usage = true;
    seen.input = num(usage, "prompt_tokens");
    seen.output = num(usage, "completion_tokens");
    need(num(usage, "total_tokens") == seen.input + seen.output, "total_tokens is not the sum");
    need(num(usage, "total_tokens") >= seen.input, "total_tokens is too large for a counter");
    if (has(usage, "prompt_tokens_details")) {
        need(num(get(usage, "prompt_tokens_details"), "cached_tokens") <= seen.input, "cached_tokens");
    }
    if (has(usage, "completion_tokens_details")) {
        need(num(get(usage, "completion_tokens_details"), "reasoning_tokens") <= seen.output,
             "reasoning_tokens");
    }
}

inline void read_openai_error(const Json &error, Seen &seen) {
    only_keys(error, {"message", "type", "param", "code"});
    filled(error, "message");
    seen.error_type = filled(error, "type");
    need(has(error, "param") && has(error, "code"), "error without param or code");
    seen.error = true;
}

inline void check_openai_stop(const Seen &seen, bool legacy) {
    need(one_of(seen.stop, {"stop", "length", "tool_calls", "content_filter", "function_call"}),
         "finish_reason", seen.stop);
    need(seen.stop != "tool_calls" || (!seen.tools.empty() && !legacy), "tool_calls without calls");
    need(seen.stop != "function_call" || (!seen.tools.empty() && legacy), "function_call without one");
    need_own_ids(seen.tools);
}

// A call as its deltas add up.
struct ChatCall {
    std::string id, type, name, input;
};

// One entry of delta.tool_calls.
inline void read_call_delta(const Json &part, std::vector<ChatCall> &calls) {
    const uint64_t index = num(part, "index");
    if (index == calls.size()) {
        only_keys(part, {"index", "id", "type", "function", "custom"});
        ChatCall call;
        call.id = filled(part, "id");
        call.type = str(part, "type");
        need(one_of(call.type, {"function", "custom"}), "type of a call", call.type);
        const bool custom = call.type == "custom";
        need(has(part, "function") != custom && has(part, "custom") == custom, "type and body differ");
        const Json body = sub(part, call.type.c_str());
        only_keys(body, {"name", custom ? "input" : "arguments"});
        call.name = filled(body, "name");
        call.input = str(body, custom ? "input" : "arguments");
        calls.push_back(call);
        return;
    }
    need(index + 1 == calls.size(), "calls are mixed or skipped");
    ChatCall &call = calls.back();
    const bool custom = call.type == "custom";
    only_keys(part, {"index", call.type}); // id, type and name never again
    const Json body = sub(part, call.type.c_str());
    only_keys(body, {custom ? "input" : "arguments"});
    call.input += str(body, custom ? "input" : "arguments");
}

inline void read_legacy_delta(const Json &part, std::vector<ChatCall> &calls) {
    if (calls.empty()) {
        only_keys(part, {"name", "arguments"});
        calls.push_back({"", "function", filled(part, "name"), str(part, "arguments")});
    } else {
        only_keys(part, {"arguments"});
        calls.back().input += str(part, "arguments");
    }
}

inline Seen read_openai_stream(std::string_view text, bool include_usage = false,
                               bool streamed_calls = false) {
    Seen seen;
    seen.streamed_calls = streamed_calls;
    simdjson::dom::parser parser;
    std::string id, model;
    uint64_t created = 0;
    bool role = false, finished = false, done = false, legacy = false;
    std::vector<ChatCall> calls;
    for (const SseEvent &event : split_sse(text)) {
        need(!done && !seen.error, "something behind the end");
        if (event.comment) {
            continue;
        }
        need(event.name.empty(), "Chat has no event lines");
        if (event.data == "[DONE]") {
            need(finished, "[DONE] without a finish_reason");
            need(!include_usage || seen.usage, "[DONE] without usage");
            done = true;
            continue;
        }
        const Json chunk = parse_json(parser, event.data);
        if (has(chunk, "error")) {
            only_keys(chunk, {"error"});
            need(!finished, "an error behind the finish_reason");
            read_openai_error(get(chunk, "error"), seen);
            continue;
        }
        only_keys(chunk, {"id", "object", "created", "model", "system_fingerprint", "service_tier", "choices",
                          "usage"});
        need(str(chunk, "object") == "chat.completion.chunk", "object");
        if (id.empty()) {
            id = filled(chunk, "id");
            need(id.starts_with("chatcmpl-"), "id", id);
            model = str(chunk, "model");
            created = num(chunk, "created");
        }
        need(id == str(chunk, "id") && model == str(chunk, "model") && created == num(chunk, "created"),
             "the envelope changes");
        const simdjson::dom::array choices = list(chunk, "choices");
        if (choices.size() == 0) {
            need(include_usage, "a usage chunk that nobody asked for");
            need(finished && !seen.usage, "stray chunk without choices");
            read_openai_usage(get(chunk, "usage"), seen);
            continue;
        }
        need(!has(chunk, "usage") || (include_usage && get(chunk, "usage").is_null()),
             "usage beside a choice");
        need(!finished, "a choice behind its finish_reason");
        need(choices.size() == 1, "one choice");
        const Json choice = choices.at(0);
        only_keys(choice, {"index", "delta", "logprobs", "finish_reason"});
        need(num(choice, "index") == 0, "index");
        need(!has(choice, "logprobs") || get(choice, "logprobs").is_null(), "logprobs");
        const Json delta = sub(choice, "delta");
        only_keys(delta, {"role", "content", "refusal", "reasoning_content", "tool_calls", "function_call"});
        const bool first = !role;
        if (has(delta, "role")) {
            need(!role && str(delta, "role") == "assistant", "role must come once");
            role = true;
        }
        need(role, "the first delta has no role");
        need(!has(delta, "refusal") || (first && get(delta, "refusal").is_null()), "refusal");
        if (has(delta, "content") && !(first && get(delta, "content").is_null())) {
            const std::string content = str(delta, "content");
            need(first || !content.empty(), "empty content");
            seen.text += content;
        }
        if (has(delta, "reasoning_content")) {
            seen.reasoning += filled(delta, "reasoning_content");
        }
        if (has(delta, "tool_calls")) {
            need(!legacy, "both kinds of calls");
            const simdjson::dom::array parts = list(delta, "tool_calls");
            need(parts.size() > 0, "empty tool_calls");
            for (const Json part : parts) {
                read_call_delta(part, calls);
            }
        }
        if (has(delta, "function_call")) {
            need(legacy || calls.empty(), "both kinds of calls");
            legacy = true;
            read_legacy_delta(sub(delta, "function_call"), calls);
        }
        if (!get(choice, "finish_reason").is_null()) {
            need(delta.get_object().size() == 0, "finish_reason beside a delta");
            seen.stop = filled(choice, "finish_reason");
            finished = true;
        } else {
            need(delta.get_object().size() > 0, "empty delta");
        }
    }
    need(done || seen.error, "no end");
    for (const ChatCall &call : calls) {
        if (call.type == "custom") {
            seen.tools.push_back({call.id, call.name, call.input});
        } else {
            add_call(seen, {call.id, call.name, call.input});
        }
        seen.tool_types.push_back(call.type);
    }
    check_cut_calls(seen);
    if (!seen.error) {
        check_openai_stop(seen, legacy);
    }
    return seen;
}

inline Seen read_openai_object(std::string_view text) {
    Seen seen;
    simdjson::dom::parser parser;
    const Json answer = parse_json(parser, std::string(text));
    only_keys(answer,
              {"id", "object", "created", "model", "system_fingerprint", "service_tier", "choices", "usage"});
    need(str(answer, "object") == "chat.completion" && str(answer, "id").starts_with("chatcmpl-"),
         "envelope");
    str(answer, "model");
    num(answer, "created");
    need(list(answer, "choices").size() == 1, "one choice");
    const Json choice = list(answer, "choices").at(0);
    only_keys(choice, {"index", "message", "logprobs", "finish_reason"});
    need(num(choice, "index") == 0, "index");
    const Json message = get(choice, "message");
    only_keys(message, {"role", "content", "refusal", "annotations", "reasoning_content", "tool_calls",
                        "function_call"});
    need(str(message, "role") == "assistant", "role");
    need(get(message, "refusal").is_null(), "refusal");
    const bool legacy = has(message, "function_call");
    if (has(message, "tool_calls")) {
        need(!legacy, "both kinds of calls");
        for (const Json call : list(message, "tool_calls")) {
            const std::string type = str(call, "type");
            const bool custom = type == "custom";
            need(custom || type == "function", "type of a call", type);
            only_keys(call, {"id", "type", type});
            const Json body = sub(call, type.c_str());
            only_keys(body, {"name", custom ? "input" : "arguments"});
            const std::string input = str(body, custom ? "input" : "arguments");
            seen.tools.push_back(
                {filled(call, "id"), filled(body, "name"), custom ? input : minified_object(input)});
            seen.tool_types.push_back(type);
        }
        need(!seen.tools.empty(), "empty tool_calls");
    }
    if (legacy) {
        const Json call = sub(message, "function_call");
        only_keys(call, {"name", "arguments"});
        seen.tools.push_back({"", filled(call, "name"), minified_object(str(call, "arguments"))});
        seen.tool_types.push_back("function");
    }
    if (!get(message, "content").is_null()) {
        seen.text = str(message, "content");
    } else {
        need(!seen.tools.empty(), "content may be null only beside calls");
    }
    if (has(message, "reasoning_content")) {
        seen.reasoning = filled(message, "reasoning_content");
    }
    seen.stop = filled(choice, "finish_reason");
    check_openai_stop(seen, legacy);
    read_openai_usage(get(answer, "usage"), seen);
    return seen;
}

} // namespace test
