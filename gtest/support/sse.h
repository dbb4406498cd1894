// Strict readers of both dialects' streams: what the pickiest clients insist on, and what they would show.
#pragma once

#include <cstdint>
#include <map>
#include <simdjson.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace test {

struct SeenTool {
    std::string id, name, input; // minified

    bool operator==(const SeenTool &) const = default;
};

struct SeenSearch {
    std::string id, input;
    std::string result; // minified content, empty: none yet
};

struct Seen {
    std::string text, reasoning, signature, opaque;
    std::vector<SeenTool> tools;
    std::vector<SeenSearch> searches;
    std::vector<std::string> blocks;                  // Anthropic: the types in order
    std::vector<std::string> tool_types, tool_spaces; // Responses: of the calls
    std::string stop;
    uint64_t input = 0, output = 0;
    bool usage = false;
    bool error = false; // the stream ended with one
    std::string error_type;
};

struct BadStream : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void need(bool condition, const std::string &what) {
    if (!condition) {
        throw BadStream(what);
    }
}

struct SseEvent {
    std::string name, data;
    bool comment = false;
};

// Events by the narrowest reading of the format: an optional event line, one data line, a blank line.
inline std::vector<SseEvent> split_sse(std::string_view text) {
    std::vector<SseEvent> events;
    while (!text.empty()) {
        const size_t end = text.find("\n\n");
        need(end != text.npos, "stream does not end with a blank line");
        std::string_view block = text.substr(0, end);
        text.remove_prefix(end + 2);
        SseEvent event;
        if (block.starts_with(":")) {
            need(block.find('\n') == block.npos, "comment with a second line");
            event.comment = true;
        } else {
            if (block.starts_with("event: ")) {
                const size_t line = block.find('\n');
                need(line != block.npos, "event without data");
                event.name = block.substr(7, line - 7);
                block.remove_prefix(line + 1);
            }
            need(block.starts_with("data: "), "no data line");
            need(block.find('\n') == block.npos && block.find('\r') == block.npos,
                 "more than one line of data");
            event.data = block.substr(6);
        }
        events.push_back(event);
    }
    return events;
}

using Json = simdjson::dom::element;

inline std::string str(const Json &object, const char *key) {
    std::string_view value;
    need(object[key].get(value) == simdjson::SUCCESS, std::string("no string ") + key);
    need(simdjson::validate_utf8(value.data(), value.size()), "not UTF-8");
    return std::string(value);
}

inline uint64_t num(const Json &object, const char *key) {
    uint64_t value = 0;
    need(object[key].get(value) == simdjson::SUCCESS, std::string("no integer ") + key);
    return value;
}

inline bool has(const Json &object, const char *key) {
    Json value;
    return object[key].get(value) == simdjson::SUCCESS;
}

inline Json get(const Json &object, const char *key) {
    Json value;
    need(object[key].get(value) == simdjson::SUCCESS, std::string("no ") + key);
    return value;
}

inline Json parse_json(simdjson::dom::parser &parser, const std::string &text) {
    Json value;
    need(parser.parse(text).get(value) == simdjson::SUCCESS, "not JSON: " + text);
    return value;
}

inline std::string minified_object(const std::string &text) {
    simdjson::dom::parser parser;
    const Json value = parse_json(parser, text);
    need(value.is_object(), "arguments are no object: " + text);
    return simdjson::minify(value);
}

inline void read_openai_usage(const Json &usage, Seen &seen) {
    seen.usage = true;
    seen.input = num(usage, "prompt_tokens");
    seen.output = num(usage, "completion_tokens");
    need(num(usage, "total_tokens") == seen.input + seen.output, "total_tokens is not the sum");
}

inline void read_openai_error(const Json &error, Seen &seen) {
    str(error, "message");
    seen.error_type = str(error, "type");
    need(has(error, "param") && has(error, "code"), "error without param or code");
    seen.error = true;
}

inline Seen read_openai_stream(std::string_view text, bool include_usage = false) {
    Seen seen;
    simdjson::dom::parser parser;
    std::string id, model;
    uint64_t created = 0;
    bool role = false, finished = false, done = false;
    struct Call {
        std::string id, name, arguments;
    };
    std::vector<Call> calls;
    for (const SseEvent &event : split_sse(text)) {
        need(!done && !seen.error, "something behind the end");
        if (event.comment) {
            continue;
        }
        need(event.name.empty(), "Chat has no event lines");
        if (event.data == "[DONE]") {
            need(finished, "[DONE] without a finish_reason");
            done = true;
            continue;
        }
        const Json chunk = parse_json(parser, event.data);
        if (has(chunk, "error")) {
            read_openai_error(get(chunk, "error"), seen);
            continue;
        }
        need(str(chunk, "object") == "chat.completion.chunk", "object");
        if (id.empty()) {
            id = str(chunk, "id");
            model = str(chunk, "model");
            created = num(chunk, "created");
        }
        need(!id.empty() && id == str(chunk, "id") && model == str(chunk, "model") &&
                 created == num(chunk, "created"),
             "the envelope changes");
        const simdjson::dom::array choices = get(chunk, "choices").get_array();
        if (choices.size() == 0) {
            need(include_usage && finished && !seen.usage, "stray chunk without choices");
            read_openai_usage(get(chunk, "usage"), seen);
            continue;
        }
        need(!finished, "a choice behind its finish_reason");
        need(choices.size() == 1, "one choice");
        const Json choice = choices.at(0);
        need(num(choice, "index") == 0, "index");
        const Json delta = get(choice, "delta");
        need(delta.is_object(), "delta");
        if (has(delta, "role")) {
            need(!role && str(delta, "role") == "assistant", "role must come once");
            role = true;
        }
        need(role, "the first delta has no role");
        if (has(delta, "content") && !get(delta, "content").is_null()) {
            seen.text += str(delta, "content");
        }
        if (has(delta, "reasoning_content")) {
            seen.reasoning += str(delta, "reasoning_content");
        }
        if (has(delta, "tool_calls")) {
            for (const Json part : get(delta, "tool_calls").get_array()) {
                const uint64_t index = num(part, "index");
                const Json function = get(part, "function");
                if (index == calls.size()) {
                    need(str(part, "type") == "function", "type");
                    calls.push_back({str(part, "id"), str(function, "name"), str(function, "arguments")});
                    need(!calls.back().id.empty() && !calls.back().name.empty(), "call without id or name");
                } else {
                    need(index + 1 == calls.size(), "calls are mixed or skipped");
                    need(!has(part, "id") && !has(part, "type") && !has(function, "name"),
                         "id or name again");
                    calls.back().arguments += str(function, "arguments");
                }
            }
        }
        if (!get(choice, "finish_reason").is_null()) {
            seen.stop = str(choice, "finish_reason");
            finished = true;
        }
    }
    need(done || seen.error, "no end");
    need(!include_usage || seen.error || seen.usage, "no usage");
    for (const Call &call : calls) {
        seen.tools.push_back({call.id, call.name, minified_object(call.arguments)});
    }
    need((seen.stop == "tool_calls") <= !calls.empty(), "tool_calls without calls");
    return seen;
}

inline Seen read_openai_object(std::string_view text) {
    Seen seen;
    simdjson::dom::parser parser;
    const Json answer = parse_json(parser, std::string(text));
    need(str(answer, "object") == "chat.completion" && !str(answer, "id").empty(), "envelope");
    str(answer, "model");
    num(answer, "created");
    const Json choice = get(answer, "choices").at(0);
    need(num(choice, "index") == 0, "index");
    const Json message = get(choice, "message");
    need(str(message, "role") == "assistant", "role");
    need(get(message, "refusal").is_null(), "refusal");
    if (has(message, "tool_calls")) {
        for (const Json call : get(message, "tool_calls").get_array()) {
            need(str(call, "type") == "function", "type");
            const Json function = get(call, "function");
            seen.tools.push_back(
                {str(call, "id"), str(function, "name"), minified_object(str(function, "arguments"))});
        }
        need(!seen.tools.empty(), "empty tool_calls");
    }
    if (!get(message, "content").is_null()) {
        seen.text = str(message, "content");
    } else {
        need(!seen.tools.empty(), "content may be null only beside calls");
    }
    if (has(message, "reasoning_content")) {
        seen.reasoning = str(message, "reasoning_content");
    }
    seen.stop = str(choice, "finish_reason");
    read_openai_usage(get(answer, "usage"), seen);
    return seen;
}

inline void read_anthropic_usage(const Json &usage, Seen &seen) {
    seen.usage = true;
    seen.input = num(usage, "input_tokens") + num(usage, "cache_creation_input_tokens") +
                 num(usage, "cache_read_input_tokens");
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
        for (const Json hit : content.get_array()) {
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

inline Seen read_anthropic_stream(std::string_view text) {
    Seen seen;
    simdjson::dom::parser parser;
    bool started = false, delta_seen = false, stopped = false;
    std::string open; // type of the open block
    uint64_t index = 0;
    bool signature_given = false;
    SeenTool tool;
    for (const SseEvent &event : split_sse(text)) {
        need(!stopped && !seen.error, "something behind the end");
        if (event.comment) {
            continue;
        }
        const Json data = parse_json(parser, event.data);
        need(event.name == str(data, "type"), "event line and type differ");
        if (event.name == "ping") {
            need(started, "ping before message_start");
            continue;
        }
        if (event.name == "error") {
            seen.error_type = str(get(data, "error"), "type");
            str(get(data, "error"), "message");
            seen.error = true;
            continue;
        }
        if (event.name == "message_start") {
            need(!started, "second message_start");
            started = true;
            const Json message = get(data, "message");
            need(!str(message, "id").empty() && str(message, "type") == "message" &&
                     str(message, "role") == "assistant",
                 "message");
            str(message, "model");
            need(get(message, "content").get_array().size() == 0, "content at the start");
            need(get(message, "stop_reason").is_null(), "stop_reason at the start");
            read_anthropic_usage(get(message, "usage"), seen);
            need(seen.output <= 1, "output tokens at the start");
            continue;
        }
        need(started, "no message_start");
        need(!delta_seen || event.name == "message_stop", "a block behind message_delta");
        if (event.name == "content_block_start") {
            need(open.empty(), "two open blocks");
            need(num(data, "index") == index, "index");
            const Json block = get(data, "content_block");
            open = str(block, "type");
            seen.blocks.push_back(open);
            signature_given = false;
            if (open == "text") {
                need(str(block, "text").empty(), "text at the start");
            } else if (open == "thinking") {
                need(str(block, "thinking").empty() && str(block, "signature").empty(),
                     "thinking at the start");
            } else if (open == "tool_use") {
                need(simdjson::minify(get(block, "input")) == "{}", "input at the start");
                tool = {str(block, "id"), str(block, "name"), ""};
                need(!tool.id.empty() && !tool.name.empty(), "call without id or name");
            } else if (open == "server_tool_use") {
                need(simdjson::minify(get(block, "input")) == "{}", "input at the start");
                tool = read_search_use(block);
            } else if (open == "web_search_tool_result") {
                read_search_result(block, seen);
            } else {
                need(open == "redacted_thinking", "unknown block " + open);
                seen.opaque += str(block, "data");
            }
        } else if (event.name == "content_block_delta") {
            need(!open.empty() && num(data, "index") == index, "delta without a block");
            const Json delta = get(data, "delta");
            const std::string type = str(delta, "type");
            if (type == "text_delta") {
                need(open == "text", "text_delta elsewhere");
                seen.text += str(delta, "text");
            } else if (type == "thinking_delta") {
                need(open == "thinking" && !signature_given, "thinking_delta elsewhere");
                seen.reasoning += str(delta, "thinking");
            } else if (type == "signature_delta") {
                need(open == "thinking" && !signature_given, "signature must come once");
                signature_given = true;
                seen.signature += str(delta, "signature");
            } else {
                need(type == "input_json_delta" && (open == "tool_use" || open == "server_tool_use"),
                     "unknown delta " + type);
                tool.input += str(delta, "partial_json");
            }
        } else if (event.name == "content_block_stop") {
            need(!open.empty() && num(data, "index") == index, "stop without a block");
            if (open == "tool_use") {
                tool.input = minified_object(tool.input);
                seen.tools.push_back(tool);
            } else if (open == "server_tool_use") {
                seen.searches.push_back({tool.id, minified_object(tool.input), ""});
            }
            open.clear();
            ++index;
        } else if (event.name == "message_delta") {
            need(open.empty(), "message_delta inside a block");
            seen.stop = str(get(data, "delta"), "stop_reason");
            need(get(get(data, "delta"), "stop_sequence").is_null(), "stop_sequence");
            read_anthropic_usage(get(data, "usage"), seen);
            check_searches(get(data, "usage"), seen);
            delta_seen = true;
        } else {
            need(event.name == "message_stop" && delta_seen, "unknown event " + event.name);
            stopped = true;
        }
    }
    need(stopped || seen.error, "no end");
    need((seen.stop == "tool_use") <= !seen.tools.empty(), "tool_use without calls");
    return seen;
}

inline Seen read_anthropic_object(std::string_view text) {
    Seen seen;
    simdjson::dom::parser parser;
    const Json answer = parse_json(parser, std::string(text));
    need(!str(answer, "id").empty() && str(answer, "type") == "message" && str(answer, "role") == "assistant",
         "envelope");
    str(answer, "model");
    for (const Json block : get(answer, "content").get_array()) {
        const std::string type = str(block, "type");
        seen.blocks.push_back(type);
        if (type == "text") {
            seen.text += str(block, "text");
        } else if (type == "thinking") {
            seen.reasoning += str(block, "thinking");
            seen.signature += str(block, "signature");
        } else if (type == "redacted_thinking") {
            seen.opaque += str(block, "data");
        } else if (type == "server_tool_use") {
            seen.searches.push_back({read_search_use(block).id, simdjson::minify(get(block, "input")), ""});
        } else if (type == "web_search_tool_result") {
            read_search_result(block, seen);
        } else {
            need(type == "tool_use" && get(block, "input").is_object(), "block");
            seen.tools.push_back(
                {str(block, "id"), str(block, "name"), simdjson::minify(get(block, "input"))});
        }
    }
    seen.stop = str(answer, "stop_reason");
    need(get(answer, "stop_sequence").is_null(), "stop_sequence");
    read_anthropic_usage(get(answer, "usage"), seen);
    check_searches(get(answer, "usage"), seen);
    return seen;
}

inline void read_responses_usage(const Json &usage, Seen &seen) {
    seen.usage = true;
    seen.input = num(usage, "input_tokens");
    seen.output = num(usage, "output_tokens");
    need(num(usage, "total_tokens") == seen.input + seen.output, "total_tokens is not the sum");
    need(num(get(usage, "input_tokens_details"), "cached_tokens") <= seen.input, "cached_tokens");
    need(num(get(usage, "output_tokens_details"), "reasoning_tokens") <= seen.output, "reasoning_tokens");
}

// A finished item of the output.
inline void read_responses_item(const Json &item, bool last, Seen &seen) {
    const std::string type = str(item, "type");
    need(!str(item, "id").empty(), "item without id");
    seen.blocks.push_back(type);
    if (type == "message") {
        need(str(item, "role") == "assistant", "role");
        const std::string status = str(item, "status");
        need(status == "completed" || (last && status == "incomplete"), "status of a message");
        const simdjson::dom::array parts = get(item, "content").get_array();
        need(parts.size() == 1, "one part");
        const Json part = parts.at(0);
        need(str(part, "type") == "output_text" && get(part, "annotations").is_array(), "part");
        need(!str(part, "text").empty(), "empty message");
        seen.text += str(part, "text");
    } else if (type == "reasoning") {
        const simdjson::dom::array summary = get(item, "summary").get_array();
        need(summary.size() <= 1, "summary");
        for (const Json part : summary) {
            need(str(part, "type") == "summary_text", "part of a summary");
            seen.reasoning += str(part, "text");
        }
        if (has(item, "encrypted_content")) {
            seen.signature += str(item, "encrypted_content");
        } else {
            need(summary.size() == 1, "empty reasoning");
        }
    } else {
        const bool custom = type == "custom_tool_call";
        need(custom || type == "function_call", "unknown item " + type);
        need(str(item, "status") == "completed", "status of a call");
        const std::string input = str(item, custom ? "input" : "arguments");
        seen.tools.push_back(
            {str(item, "call_id"), str(item, "name"), custom ? input : minified_object(input)});
        need(!seen.tools.back().id.empty() && !seen.tools.back().name.empty(), "call without id or name");
        need(seen.tools.back().id != str(item, "id"), "id and call_id are the same");
        seen.tool_types.push_back(type);
        seen.tool_spaces.push_back(has(item, "namespace") ? str(item, "namespace") : "");
    }
}

// What every response object has; fills seen from its output if it is one that ended.
inline void read_response(const Json &response, Seen &seen) {
    need(str(response, "object") == "response" && str(response, "id").starts_with("resp_"), "envelope");
    str(response, "model");
    num(response, "created_at");
    for (const char *key : {"error", "incomplete_details", "instructions", "metadata", "parallel_tool_calls",
                            "previous_response_id", "reasoning", "store", "temperature", "text",
                            "tool_choice", "top_p", "truncation", "usage"}) {
        need(has(response, key), std::string("response without ") + key);
    }
    need(get(response, "tools").is_array() && get(response, "output").is_array(), "tools, output");
    const std::string status = str(response, "status");
    const simdjson::dom::array output = get(response, "output").get_array();
    if (status == "in_progress") {
        need(output.size() == 0 && get(response, "usage").is_null(), "an answer before its end");
        return;
    }
    size_t left = output.size();
    for (const Json item : output) {
        read_responses_item(item, --left == 0, seen);
    }
    if (status == "failed") {
        const Json error = get(response, "error");
        seen.error_type = str(error, "code");
        str(error, "message");
        seen.error = true;
        return;
    }
    need(get(response, "error").is_null(), "error without failed");
    seen.stop = status;
    if (status == "incomplete") {
        seen.stop += "/" + str(get(response, "incomplete_details"), "reason");
    } else {
        need(status == "completed" && get(response, "incomplete_details").is_null(), "status " + status);
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
    std::string type, id, call_id, name, text;
    bool open = false, part = false, text_done = false, part_done = false;
};

inline Seen read_responses_stream(std::string_view text) {
    Seen streamed, seen;
    simdjson::dom::parser parser;
    uint64_t sequence = 0, index = 0;
    std::string response_id;
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
            seen.error_type = str(data, "code");
            str(data, "message");
            need(has(data, "param"), "error without param");
            seen.error = true;
            continue;
        }
        if (has(data, "response")) {
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
            }
            need(response_id == str(response, "id"), "the id changes");
            read_response(response, seen);
            if (ended) {
                need(!item.open, "an open item at the end");
                const simdjson::dom::array output = get(response, "output").get_array();
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
            need(!item.open, "two open items");
            const Json added = get(data, "item");
            item = {};
            item.open = true;
            item.type = str(added, "type");
            item.id = str(added, "id");
            need(!item.id.empty(), "item without id");
            if (item.type == "message") {
                need(str(added, "status") == "in_progress" && str(added, "role") == "assistant", "message");
                need(get(added, "content").get_array().size() == 0, "content at the start");
            } else if (item.type == "reasoning") {
                need(get(added, "summary").get_array().size() == 0, "summary at the start");
            } else {
                const bool custom = item.type == "custom_tool_call";
                need(custom || item.type == "function_call", "unknown item " + item.type);
                need(str(added, "status") == "in_progress", "status of a call");
                need(str(added, custom ? "input" : "arguments").empty(), "input at the start");
                item.call_id = str(added, "call_id");
                item.name = str(added, "name");
            }
            continue;
        }
        need(item.open, type + " without an item");
        if (type == "response.output_item.done") {
            const Json done = get(data, "item");
            need(str(done, "type") == item.type && str(done, "id") == item.id, "the item changes");
            const size_t calls = streamed.tools.size();
            Seen one;
            read_responses_item(done, true, one);
            if (item.type == "message") {
                need(item.part_done && one.text == item.text, "text of the item");
            } else if (item.type == "reasoning") {
                need(item.part_done == item.part && one.reasoning == item.text, "text of the reasoning");
            } else {
                const bool custom = item.type == "custom_tool_call";
                need(item.text_done && one.tools.size() == 1 && one.tools[0].id == item.call_id &&
                         one.tools[0].name == item.name &&
                         str(done, custom ? "input" : "arguments") == item.text,
                     "the call changes");
            }
            need(calls == streamed.tools.size(), "calls");
            items.push_back(simdjson::minify(done));
            item.open = false;
            ++index;
            continue;
        }
        need(str(data, "item_id") == item.id, "item_id");
        const bool message = item.type == "message", reasoning = item.type == "reasoning";
        if (message) {
            need(num(data, "content_index") == 0, "content_index");
        } else if (reasoning) {
            need(num(data, "summary_index") == 0, "summary_index");
        }
        const std::string part_added =
            message ? "response.content_part.added" : "response.reasoning_summary_part.added";
        const std::string part_done =
            message ? "response.content_part.done" : "response.reasoning_summary_part.done";
        const std::string stem = message                        ? "response.output_text"
                                 : reasoning                    ? "response.reasoning_summary_text"
                                 : item.type == "function_call" ? "response.function_call_arguments"
                                                                : "response.custom_tool_call_input";
        if ((message || reasoning) && type == part_added) {
            const Json part = get(data, "part");
            need(!item.part && str(part, "text").empty(), "part at the start");
            need(str(part, "type") == (message ? "output_text" : "summary_text"), "type of the part");
            need(!message || get(part, "annotations").is_array(), "annotations");
            item.part = true;
        } else if ((message || reasoning) && type == part_done) {
            need(item.text_done && !item.part_done, "part done early or twice");
            need(str(get(data, "part"), "text") == item.text, "text of the part");
            item.part_done = true;
        } else if (type == stem + ".delta") {
            need((item.part || !(message || reasoning)) && !item.text_done, "delta outside of its part");
            item.text += str(data, "delta");
        } else {
            need(type == stem + ".done" && !item.text_done, "unknown event " + type);
            const char *key = message || reasoning           ? "text"
                              : item.type == "function_call" ? "arguments"
                                                             : "input";
            need(str(data, key) == item.text, "the whole differs from its deltas");
            item.text_done = true;
        }
    }
    need(ended || seen.error, "no end");
    return seen;
}

} // namespace test
