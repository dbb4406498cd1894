// Responses as the strictest of all clients would read them.
#pragma once

#include "support/sse.h"

namespace test {

inline void read_responses_usage(const Json &usage, Seen &seen) {
    seen.usage = true;
    seen.input = num(usage, "input_tokens");
    seen.output = num(usage, "output_tokens");
    need(num(usage, "total_tokens") == seen.input + seen.output, "total_tokens is not the sum");
    need(num(usage, "total_tokens") >= seen.input, "total_tokens is too large for a counter");
    need(num(get(usage, "input_tokens_details"), "cached_tokens") <= seen.input, "cached_tokens");
    need(num(get(usage, "output_tokens_details"), "reasoning_tokens") <= seen.output, "reasoning_tokens");
}

// A finished item of the output.
inline void read_responses_item(const Json &item, bool last, Seen &seen) {
    const std::string type = str(item, "type");
    filled(item, "id");
    seen.blocks.push_back(type);
    if (type == "message") {
        only_keys(item, {"id", "type", "status", "role", "content", "phase"});
        need(str(item, "role") == "assistant", "role");
        const std::string status = str(item, "status");
        need(status == "completed" || (last && status == "incomplete"), "status of a message");
        const simdjson::dom::array parts = list(item, "content");
        need(parts.size() == 1, "one part");
        const Json part = parts.at(0);
        only_keys(part, {"type", "text", "annotations", "logprobs"});
        need(str(part, "type") == "output_text" && get(part, "annotations").is_array(), "part");
        seen.text += filled(part, "text");
    } else if (type == "reasoning") {
        only_keys(item, {"id", "type", "summary", "content", "encrypted_content", "status"});
        const simdjson::dom::array summary = list(item, "summary");
        need(summary.size() <= 1, "summary");
        for (const Json part : summary) {
            only_keys(part, {"type", "text"});
            need(str(part, "type") == "summary_text", "part of a summary");
            seen.reasoning += filled(part, "text");
        }
        if (has(item, "encrypted_content") && !get(item, "encrypted_content").is_null()) {
            seen.signature += filled(item, "encrypted_content");
        } else {
            need(summary.size() == 1, "empty reasoning");
        }
    } else {
        const bool custom = type == "custom_tool_call";
        need(custom || type == "function_call", "unknown item", type);
        const char *input = custom ? "input" : "arguments";
        only_keys(item, {"id", "type", "status", "call_id", "name", "namespace", input});
        const bool whole = str(item, "status") == "completed";
        need(whole || (seen.streamed_calls && !custom && str(item, "status") == "incomplete"),
             "status of a call");
        SeenTool call{filled(item, "call_id"), filled(item, "name"), str(item, input)};
        need(call.id != str(item, "id"), "id and call_id are the same");
        if (!whole) {
            seen.cut.push_back(call);
            return;
        }
        call.input = custom ? call.input : minified_object(call.input);
        seen.tools.push_back(call);
        seen.tool_types.push_back(type);
        seen.tool_spaces.push_back(has(item, "namespace") ? filled(item, "namespace") : "");
    }
}

// What every response object has; fills seen from its output if it is one that ended.
inline void read_response(const Json &response, Seen &seen) {
    need(str(response, "object") == "response" && str(response, "id").starts_with("resp_"), "envelope");
    str(response, "model");
    num(response, "created_at");
    const simdjson::dom::object members = response.get_object();
    std::vector<std::string_view> keys;
    for (const auto member : members) {
        need(std::find(keys.begin(), keys.end(), member.key) == keys.end(), "twice the member", member.key);
        keys.push_back(member.key);
    }
    for (const char *key : {"error", "incomplete_details", "instructions", "metadata", "parallel_tool_calls",
                            "previous_response_id", "reasoning", "store", "temperature", "text",
                            "tool_choice", "top_p", "truncation", "usage"}) {
        need(has(response, key), "response without", key);
    }
    need(get(response, "tools").is_array(), "tools");
    const std::string status = str(response, "status");
    const simdjson::dom::array output = list(response, "output");
    if (status == "in_progress") {
        need(output.size() == 0 && get(response, "usage").is_null(), "an answer before its end");
        need(get(response, "error").is_null() && get(response, "incomplete_details").is_null(),
             "an end before the end");
        return;
    }
    size_t left = output.size();
    std::vector<std::string> ids;
    for (const Json item : output) {
        read_responses_item(item, --left == 0, seen);
        ids.push_back(str(item, "id"));
        need(std::count(ids.begin(), ids.end(), ids.back()) == 1, "two items with the id", ids.back());
        need(status != "completed" || !has(item, "status") || str(item, "status") == "completed",
             "an unfinished item of a complete answer");
    }
    need_own_ids(seen.tools);
    if (status == "failed") {
        const Json error = sub(response, "error");
        only_keys(error, {"code", "message"});
        seen.error_type = filled(error, "code");
        filled(error, "message");
        seen.error = true;
        return;
    }
    need(get(response, "error").is_null(), "error without failed");
    seen.stop = status;
    if (status == "incomplete") {
        const std::string reason = str(sub(response, "incomplete_details"), "reason");
        need(one_of(reason, {"max_output_tokens", "content_filter"}), "reason", reason);
        seen.stop += "/" + reason;
    } else {
        need(status == "completed" && get(response, "incomplete_details").is_null(), "status", status);
    }
    read_responses_usage(get(response, "usage"), seen);
}

inline Seen read_responses_object(std::string_view text) {
    Seen seen;
    simdjson::dom::parser parser;
    read_response(parse_json(parser, std::string(text)), seen);
    need(!seen.stop.empty(), "not an answer");
    return seen;
}

// One item from added to done, or nothing.
struct OpenItem {
    std::string type, id, call_id, name, space, text;
    bool open = false, part = false, text_done = false, part_done = false;

    bool message() const { return type == "message"; }
    bool reasoning() const { return type == "reasoning"; }
    bool custom() const { return type == "custom_tool_call"; }
    bool in_parts() const { return message() || reasoning(); }
};

inline void add_responses_item(const Json &added, OpenItem &item) {
    item = {};
    item.open = true;
    item.type = str(added, "type");
    item.id = filled(added, "id");
    if (item.message()) {
        only_keys(added, {"id", "type", "status", "role", "content", "phase"});
        need(str(added, "status") == "in_progress" && str(added, "role") == "assistant", "message");
        need(list(added, "content").size() == 0, "content at the start");
    } else if (item.reasoning()) {
        only_keys(added, {"id", "type", "summary", "encrypted_content", "status"});
        need(list(added, "summary").size() == 0, "summary at the start");
        need(!has(added, "encrypted_content") || get(added, "encrypted_content").is_null(),
             "encrypted_content at the start");
    } else {
        need(item.custom() || item.type == "function_call", "unknown item", item.type);
        only_keys(added, {"id", "type", "status", "call_id", "name", "namespace",
                          item.custom() ? "input" : "arguments"});
        need(str(added, "status") == "in_progress", "status of a call");
        need(str(added, item.custom() ? "input" : "arguments").empty(), "input at the start");
        item.call_id = filled(added, "call_id");
        item.name = filled(added, "name");
        item.space = has(added, "namespace") ? str(added, "namespace") : "";
    }
}

inline void finish_responses_item(const Json &done, const OpenItem &item) {
    need(str(done, "type") == item.type && str(done, "id") == item.id, "the item changes");
    Seen one;
    one.streamed_calls = true; // whether that is allowed is seen at the end
    read_responses_item(done, true, one);
    need(item.part_done == item.part, "a part is not done");
    if (item.message()) {
        need(item.part && one.text == item.text, "text of the item");
    } else if (item.reasoning()) {
        need(one.reasoning == item.text, "text of the reasoning");
    } else {
        const SeenTool &call = one.tools.empty() ? one.cut[0] : one.tools[0];
        need(item.text_done && call.id == item.call_id && call.name == item.name &&
                 (one.tools.empty() || one.tool_spaces[0] == item.space) &&
                 str(done, item.custom() ? "input" : "arguments") == item.text,
             "the call changes");
    }
}

// An event about the text, arguments or input of the open item.
inline void read_responses_delta(const std::string &type, const Json &data, OpenItem &item) {
    need(item.open, "nothing is open for", type);
    need(str(data, "item_id") == item.id, "item_id");
    const bool message = item.message(), reasoning = item.reasoning();
    const char *position = message ? "content_index" : "summary_index";
    if (item.in_parts()) {
        need(num(data, position) == 0, position);
    }
    const std::string part = message ? "response.content_part" : "response.reasoning_summary_part";
    const std::string stem = message                        ? "response.output_text"
                             : reasoning                    ? "response.reasoning_summary_text"
                             : item.type == "function_call" ? "response.function_call_arguments"
                                                            : "response.custom_tool_call_input";
    if (item.in_parts() && type == part + ".added") {
        only_keys(data, {"type", "sequence_number", "item_id", "output_index", position, "part"});
        const Json added = sub(data, "part");
        need(!item.part && str(added, "text").empty(), "part at the start");
        need(str(added, "type") == (message ? "output_text" : "summary_text"), "type of the part");
        need(!message || get(added, "annotations").is_array(), "annotations");
        item.part = true;
    } else if (item.in_parts() && type == part + ".done") {
        only_keys(data, {"type", "sequence_number", "item_id", "output_index", position, "part"});
        need(item.text_done && !item.part_done, "part done early or twice");
        const Json done = sub(data, "part");
        need(str(done, "text") == item.text, "text of the part");
        need(str(done, "type") == (message ? "output_text" : "summary_text"), "type of the part");
        need(!message || get(done, "annotations").is_array(), "annotations");
        item.part_done = true;
    } else if (type == stem + ".delta") {
        only_keys(data, {"type", "sequence_number", "item_id", "output_index",
                         item.in_parts() ? position : "output_index", "delta", "logprobs"});
        need((item.part || !item.in_parts()) && !item.text_done, "delta outside of its part");
        item.text += item.in_parts() ? filled(data, "delta") : str(data, "delta");
    } else {
        need(type == stem + ".done" && !item.text_done && (item.part || !item.in_parts()), "unknown event",
             type);
        const char *key = item.in_parts() ? "text" : item.custom() ? "input" : "arguments";
        only_keys(data, {"type", "sequence_number", "item_id", "output_index",
                         item.in_parts() ? position : "name", key, "logprobs"});
        need(str(data, key) == item.text, "the whole differs from its deltas");
        need(!has(data, "name") || str(data, "name") == item.name, "the name changes");
        item.text_done = true;
    }
}

inline Seen read_responses_stream(std::string_view text, bool streamed_calls = false) {
    Seen seen;
    seen.streamed_calls = streamed_calls;
    simdjson::dom::parser parser;
    uint64_t sequence = 0, index = 0, created = 0;
    std::string response_id, model;
    std::vector<std::string> items; // finished, minified
    OpenItem item;
    bool ended = false;
    for (const SseEvent &event : split_sse(text)) {
        need(!ended && !seen.error, "something behind the end");
        if (event.comment) {
            continue;
        }
        const Json data = parse_json(parser, event.data);
        const std::string type = str(data, "type");
        need(event.name == type, "event line and type differ");
        need(num(data, "sequence_number") == sequence++, "sequence_number");
        if (type == "error") {
            only_keys(data, {"type", "sequence_number", "code", "message", "param"});
            seen.error_type = filled(data, "code");
            filled(data, "message");
            need(has(data, "param"), "error without param");
            seen.error = true;
            continue;
        }
        if (has(data, "response")) {
            only_keys(data, {"type", "sequence_number", "response"});
            const Json response = get(data, "response");
            const std::string status = str(response, "status");
            if (sequence <= 2) {
                need(type == (sequence == 1 ? "response.created" : "response.in_progress") &&
                         status == "in_progress",
                     "the beginning");
            } else {
                need(type == "response." + status && status != "in_progress", "the end");
                ended = true;
            }
            if (sequence == 1) {
                response_id = str(response, "id");
                model = str(response, "model");
                created = num(response, "created_at");
            }
            need(response_id == str(response, "id") && model == str(response, "model") &&
                     created == num(response, "created_at"),
                 "the envelope changes");
            read_response(response, seen);
            if (ended) {
                need(!item.open, "an open item at the end");
                const simdjson::dom::array output = list(response, "output");
                need(output.size() == items.size(), "output is not what was streamed");
                for (size_t i = 0; i < items.size(); ++i) {
                    need(simdjson::minify(output.at(i)) == items[i], "output differs from its item");
                }
            }
            continue;
        }
        need(sequence > 2, "no response.created");
        need(num(data, "output_index") == index, "output_index");
        if (type == "response.output_item.added") {
            only_keys(data, {"type", "sequence_number", "output_index", "item"});
            need(!item.open, "two open items");
            add_responses_item(sub(data, "item"), item);
        } else if (type == "response.output_item.done") {
            only_keys(data, {"type", "sequence_number", "output_index", "item"});
            need(item.open, "nothing is open for", type);
            finish_responses_item(sub(data, "item"), item);
            items.push_back(simdjson::minify(sub(data, "item")));
            item.open = false;
            ++index;
        } else {
            read_responses_delta(type, data, item);
        }
    }
    need(ended || seen.error, "no end");
    check_cut_calls(seen);
    return seen;
}

} // namespace test
