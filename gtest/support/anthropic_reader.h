// Messages as the strictest of all clients would read them.
#pragma once

#include "support/sse.h"

namespace test {

inline void read_anthropic_usage(const Json &usage, Seen &seen) {
    seen.usage = true;
    seen.input = num(usage, "input_tokens") + num(usage, "cache_creation_input_tokens") +
                 num(usage, "cache_read_input_tokens");
    need(seen.input >= num(usage, "input_tokens"), "the input counters are too large");
    seen.output = num(usage, "output_tokens");
}

inline void read_search_result(const Json &block, Seen &seen) {
    need(!seen.searches.empty() && seen.searches.back().result.empty() &&
             str(block, "tool_use_id") == seen.searches.back().id,
         "a search result without its search");
    const Json content = get(block, "content");
    if (content.is_object()) {
        need(str(content, "type") == "web_search_tool_result_error" && !str(content, "error_code").empty(),
             "search error");
    } else {
        for (const Json hit : list(block, "content")) {
            need(str(hit, "type") == "web_search_result" && !str(hit, "title").empty() &&
                     !str(hit, "url").empty(),
                 "search result");
            str(hit, "encrypted_content");
            need(get(hit, "page_age").is_null() || get(hit, "page_age").is_string(), "page_age");
        }
    }
    seen.searches.back().result = simdjson::minify(content);
}

inline SeenTool read_search_use(const Json &block) {
    const SeenTool tool{str(block, "id"), str(block, "name"), ""};
    need(tool.id.starts_with("srvtoolu_") && tool.id.size() > 9 && tool.name == "web_search",
         "server_tool_use");
    return tool;
}

inline void check_searches(const Json &usage, const Seen &seen) {
    const uint64_t told =
        has(usage, "server_tool_use") ? num(get(usage, "server_tool_use"), "web_search_requests") : 0;
    need(told == seen.searches.size(), "usage does not count the searches");
    for (const SeenSearch &search : seen.searches) {
        need(!search.result.empty(), "a search without its result");
    }
}

// stop_reason and stop_sequence of a message or of its delta.
inline void read_anthropic_stop(const Json &object, Seen &seen) {
    seen.stop = str(object, "stop_reason");
    need(one_of(seen.stop, {"end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "pause_turn",
                            "model_context_window_exceeded"}),
         "stop_reason", seen.stop);
    if (seen.stop == "stop_sequence") {
        seen.stop_text = filled(object, "stop_sequence");
    } else {
        need(get(object, "stop_sequence").is_null(), "stop_sequence");
    }
    need(seen.stop != "tool_use" || !seen.tools.empty(), "tool_use without calls");
    need_own_ids(seen.tools);
}

inline void read_anthropic_error(const Json &data, Seen &seen) {
    only_keys(data, {"type", "error", "request_id"});
    const Json error = sub(data, "error");
    only_keys(error, {"type", "message", "details"});
    filled(error, "message");
    seen.error_type = str(error, "type");
    need(
        one_of(seen.error_type, {"invalid_request_error", "authentication_error", "billing_error",
                                 "permission_error", "not_found_error", "conflict_error", "request_too_large",
                                 "rate_limit_error", "api_error", "timeout_error", "overloaded_error"}),
        "type of the error", seen.error_type);
    seen.error = true;
}

// The one block that may be open.
struct OpenBlock {
    std::string type; // empty: none is open
    std::string input, id, name;
    bool any = false;       // a text or input came
    bool signature = false; // came: nothing may follow it
};

inline void start_anthropic_block(const Json &block, OpenBlock &open, Seen &seen) {
    open = {};
    open.type = str(block, "type");
    seen.blocks.push_back(open.type);
    if (open.type == "text") {
        only_keys(block, {"type", "text", "citations"});
        need(str(block, "text").empty(), "text at the start");
    } else if (open.type == "thinking") {
        only_keys(block, {"type", "thinking", "signature"});
        need(str(block, "thinking").empty() && str(block, "signature").empty(), "thinking at the start");
    } else if (open.type == "redacted_thinking") {
        only_keys(block, {"type", "data"});
        seen.opaque += filled(block, "data");
    } else if (open.type == "tool_use" || open.type == "server_tool_use") {
        only_keys(block, {"type", "id", "name", "input"});
        need(simdjson::minify(get(block, "input")) == "{}", "input at the start");
        open.id = filled(block, "id");
        open.name = filled(block, "name");
        if (open.type == "server_tool_use") {
            read_search_use(block);
        }
    } else {
        need(open.type == "web_search_tool_result", "unknown block", open.type);
        read_search_result(block, seen);
    }
}

inline void read_anthropic_delta(const Json &delta, OpenBlock &open, Seen &seen) {
    const std::string type = str(delta, "type");
    if (type == "text_delta") {
        only_keys(delta, {"type", "text"});
        need(open.type == "text", "text_delta elsewhere");
        seen.text += filled(delta, "text");
        open.any = true;
    } else if (type == "thinking_delta") {
        only_keys(delta, {"type", "thinking"});
        need(open.type == "thinking" && !open.signature, "thinking_delta elsewhere");
        seen.reasoning += filled(delta, "thinking");
        open.any = true;
    } else if (type == "signature_delta") {
        only_keys(delta, {"type", "signature"});
        need(open.type == "thinking" && !open.signature, "signature must come once");
        open.signature = true;
        seen.signature += filled(delta, "signature");
    } else {
        need(type == "input_json_delta" && (open.type == "tool_use" || open.type == "server_tool_use"),
             "unknown delta", type);
        only_keys(delta, {"type", "partial_json"});
        open.input += str(delta, "partial_json");
    }
}

inline void stop_anthropic_block(const OpenBlock &open, Seen &seen) {
    if (open.type == "text") {
        need(open.any, "empty text block");
    } else if (open.type == "thinking") {
        need(open.any || open.signature, "empty thinking block");
    } else if (open.type == "tool_use") {
        add_call(seen, {open.id, open.name, open.input.empty() ? "{}" : open.input});
    } else if (open.type == "server_tool_use") {
        seen.searches.push_back({open.id, minified_object(open.input), ""});
    }
}

inline Seen read_anthropic_stream(std::string_view text, bool streamed_calls = false) {
    Seen seen;
    seen.streamed_calls = streamed_calls;
    simdjson::dom::parser parser;
    bool started = false, delta_seen = false, stopped = false;
    OpenBlock open;
    uint64_t index = 0;
    for (const SseEvent &event : split_sse(text)) {
        need(!stopped && !seen.error, "something behind the end");
        if (event.comment) {
            continue;
        }
        const Json data = parse_json(parser, event.data);
        need(event.name == str(data, "type"), "event line and type differ");
        if (event.name == "ping") {
            only_keys(data, {"type"});
            need(started, "ping before message_start");
            continue;
        }
        if (event.name == "error") {
            need(!delta_seen, "an error behind message_delta");
            read_anthropic_error(data, seen);
            continue;
        }
        if (event.name == "message_start") {
            need(!started, "second message_start");
            started = true;
            only_keys(data, {"type", "message"});
            const Json message = get(data, "message");
            only_keys(message, {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence",
                                "stop_details", "container", "context_management", "usage"});
            need(str(message, "id").starts_with("msg_") && str(message, "type") == "message" &&
                     str(message, "role") == "assistant",
                 "message");
            str(message, "model");
            need(list(message, "content").size() == 0, "content at the start");
            need(get(message, "stop_reason").is_null(), "stop_reason at the start");
            need(get(message, "stop_sequence").is_null(), "stop_sequence at the start");
            read_anthropic_usage(get(message, "usage"), seen);
            need(seen.output <= 1, "output tokens at the start");
            continue;
        }
        need(started, "no message_start");
        if (event.name == "message_stop") {
            only_keys(data, {"type"});
            need(delta_seen, "message_stop without message_delta");
            stopped = true;
            continue;
        }
        need(!delta_seen, "something behind message_delta");
        if (event.name == "content_block_start") {
            only_keys(data, {"type", "index", "content_block"});
            need(open.type.empty(), "two open blocks");
            need(num(data, "index") == index, "index");
            start_anthropic_block(sub(data, "content_block"), open, seen);
        } else if (event.name == "content_block_delta") {
            only_keys(data, {"type", "index", "delta"});
            need(!open.type.empty() && num(data, "index") == index, "delta without a block");
            read_anthropic_delta(sub(data, "delta"), open, seen);
        } else if (event.name == "content_block_stop") {
            only_keys(data, {"type", "index"});
            need(!open.type.empty() && num(data, "index") == index, "stop without a block");
            stop_anthropic_block(open, seen);
            open.type.clear();
            ++index;
        } else {
            need(event.name == "message_delta", "unknown event", event.name);
            only_keys(data, {"type", "delta", "usage", "context_management"});
            need(open.type.empty(), "message_delta inside a block");
            const uint64_t before = seen.output;
            read_anthropic_stop(sub(data, "delta"), seen);
            read_anthropic_usage(get(data, "usage"), seen);
            need(seen.output >= before, "usage is not cumulative");
            check_searches(get(data, "usage"), seen);
            delta_seen = true;
        }
    }
    need(stopped || seen.error, "no end");
    check_cut_calls(seen);
    return seen;
}

inline Seen read_anthropic_object(std::string_view text) {
    Seen seen;
    simdjson::dom::parser parser;
    const Json answer = parse_json(parser, std::string(text));
    only_keys(answer, {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence",
                       "stop_details", "container", "context_management", "usage"});
    need(str(answer, "id").starts_with("msg_") && str(answer, "type") == "message" &&
             str(answer, "role") == "assistant",
         "envelope");
    str(answer, "model");
    for (const Json block : list(answer, "content")) {
        const std::string type = str(block, "type");
        seen.blocks.push_back(type);
        if (type == "text") {
            only_keys(block, {"type", "text", "citations"});
            seen.text += filled(block, "text");
        } else if (type == "thinking") {
            only_keys(block, {"type", "thinking", "signature"});
            const std::string thinking = str(block, "thinking"), signature = str(block, "signature");
            need(!thinking.empty() || !signature.empty(), "empty thinking block");
            seen.reasoning += thinking;
            seen.signature += signature;
        } else if (type == "redacted_thinking") {
            only_keys(block, {"type", "data"});
            seen.opaque += filled(block, "data");
        } else if (type == "server_tool_use") {
            seen.searches.push_back({read_search_use(block).id, simdjson::minify(get(block, "input")), ""});
        } else if (type == "web_search_tool_result") {
            read_search_result(block, seen);
        } else {
            need(type == "tool_use", "unknown block", type);
            only_keys(block, {"type", "id", "name", "input"});
            seen.tools.push_back(
                {filled(block, "id"), filled(block, "name"), simdjson::minify(sub(block, "input"))});
        }
    }
    read_anthropic_stop(answer, seen);
    read_anthropic_usage(get(answer, "usage"), seen);
    check_searches(get(answer, "usage"), seen);
    return seen;
}

} // namespace test
