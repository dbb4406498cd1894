#include "core/anthropic/reply.h"

#include "core/anthropic/error.h"
#include "core/chat/slices.h"
#include "core/json/writer.h"

#include <algorithm>
#include <array>
#include <variant>

namespace kiro::anthropic {
namespace {

using std::string_view;

// {"id":...,"content":[
std::string message_head(const chat::ReplyHead &head) {
    std::string text(R"({"id":"msg_)");
    text.append(head.id).append(R"(","type":"message","role":"assistant","model":")").append(head.model);
    text.append(R"(","content":[)");
    return text;
}

// The counters without braces. input_tokens is what no cache had to do with.
void append_counters(std::string &out, const chat::Usage &usage) {
    const std::uint64_t cached = std::min(usage.cache_read + usage.cache_write, usage.input);
    out += R"("input_tokens":)";
    json::append_uint(out, usage.input - cached);
    out += R"(,"cache_creation_input_tokens":)";
    json::append_uint(out, usage.cache_write);
    out += R"(,"cache_read_input_tokens":)";
    json::append_uint(out, usage.cache_read);
    out += R"(,"output_tokens":)";
    json::append_uint(out, usage.output);
}

// The rest of a whole answer's usage, behind the counters.
void append_usage_kinds(std::string &out, const chat::Usage &usage) {
    out += R"(,"cache_creation":{"ephemeral_5m_input_tokens":)";
    json::append_uint(out, usage.cache_write);
    out += R"(,"ephemeral_1h_input_tokens":0},"service_tier":"standard")";
}

void append_thinking_tokens(std::string &out, const chat::Usage &usage) {
    out += R"(,"output_tokens_details":{"thinking_tokens":)";
    json::append_uint(out, usage.reasoning);
    out += '}';
}

// In the order of chat::Stop.
constexpr std::array<string_view, chat::kStops> kStopWords{
    "end_turn", "tool_use",  "stop_sequence", "max_tokens", "model_context_window_exceeded",
    "refusal",  "pause_turn"};

// What a refusal can be about. The upstream's other words, and its explanations, are not passed on.
constexpr std::array<string_view, 5> kCategories{"cyber", "bio", "frontier_llm", "reasoning_extraction",
                                                 "general_harms"};

bool same_word(string_view word, string_view any_case) noexcept {
    return std::equal(word.begin(), word.end(), any_case.begin(), any_case.end(), [](char lower, char c) {
        return lower == (c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c);
    });
}

// "stop_reason" and what belongs to it.
void append_end(std::string &out, const chat::TurnEnd &end) {
    out.append(R"("stop_reason":")").append(stop_word(end.stop)).append(R"(","stop_sequence":)");
    if (end.stop == chat::Stop::stop_sequence) {
        json::append_raw_string(out, end.stop_text);
    } else {
        out.append("null");
    }
    out.append(R"(,"stop_details":)");
    if (end.stop == chat::Stop::refusal) {
        const auto category = std::find_if(kCategories.begin(), kCategories.end(),
                                           [&](string_view word) { return same_word(word, end.category); });
        out.append(R"({"type":"refusal","category":)");
        if (category != kCategories.end()) {
            json::append_raw_string(out, *category);
        } else {
            out.append("null");
        }
        out.append(R"(,"explanation":null})");
    } else {
        out.append("null");
    }
    out.append(R"(,"container":null)");
}

void append_searches(std::string &out, std::uint64_t searches) {
    if (searches > 0) {
        out += R"(,"server_tool_use":{"web_search_requests":)";
        json::append_uint(out, searches);
        out += R"(,"web_fetch_requests":0})";
    }
}

std::string search_input(const chat::Search &search) {
    return R"({"query":")" + std::string(search.query) + R"("})";
}

// The block up to its input.
void append_search_use(std::string &out, const chat::Search &search) {
    out += R"({"type":"server_tool_use","id":"srvtoolu_)";
    out.append(search.id).append(R"(","name":"web_search","input":)");
}

void append_search_result(std::string &out, const chat::Search &search) {
    out += R"({"type":"web_search_tool_result","tool_use_id":"srvtoolu_)";
    out.append(search.id).append(R"(","content":)");
    if (search.failed) {
        out += R"({"type":"web_search_tool_result_error","error_code":"unavailable"}})";
        return;
    }
    out += '[';
    for (const chat::SearchHit &hit : search.hits) {
        if (out.back() != '[') {
            out += ',';
        }
        out += R"({"type":"web_search_result","title":")";
        out.append(hit.title).append(R"(","url":")").append(hit.url).append(R"(","encrypted_content":")");
        chat::append_carried(out, hit.snippet);
        out += R"(","page_age":)";
        if (hit.published) {
            out += '"';
            chat::append_date(out, *hit.published);
            out += "\"}";
        } else {
            out += "null}";
        }
    }
    out += "]}";
}

} // namespace

string_view stop_word(chat::Stop stop) noexcept {
    return kStopWords[static_cast<std::size_t>(stop)];
}

StreamWriter::StreamWriter(const chat::ReplyHead &head, const chat::ReplyContext &context)
    : message_start_(
          "event: message_start\ndata: {\"type\":\"message_start\",\"message\":" + message_head(head) +
          R"(],"stop_reason":null,"stop_sequence":null,"stop_details":null,"container":null,)"
          R"("usage":{)"),
      request_id_(head.request_id), input_tokens_(context.input_tokens) {}

void StreamWriter::begin(std::string &out) {
    if (!begun_) {
        begun_ = true;
        out.append(message_start_);
        // What is known at the start; message_delta has the real numbers. Some clients add both outputs,
        // hence 0.
        append_counters(out, {.input = input_tokens_.newest()});
        append_usage_kinds(out, {});
        out.append("}}}\n\n");
    }
}

void StreamWriter::start_block(string_view block, std::string &out) {
    out.append("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
    json::append_uint(out, index_);
    out.append(R"(,"content_block":)").append(block);
}

void StreamWriter::stop_block(std::string &out) {
    out.append("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
    json::append_uint(out, index_++);
    out.append("}\n\n");
}

void StreamWriter::close(std::string &out) {
    if (open_ != Block::none) {
        stop_block(out);
        open_ = Block::none;
    }
}

void StreamWriter::open(Block block, std::string &out) {
    if (open_ == block) {
        return;
    }
    begin(out);
    close(out);
    open_ = block;
    const bool text = block == Block::text;
    start_block(
        text ? R"({"type":"text","text":""}})" : R"({"type":"thinking","thinking":"","signature":""}})", out);
    out.append("\n\n");
    begin_delta(text ? R"({"type":"text_delta","text":")" : R"({"type":"thinking_delta","thinking":")");
}

// Of the open block, up to the contents.
void StreamWriter::begin_delta(string_view delta) {
    delta_.assign("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    json::append_uint(delta_, index_);
    delta_.append(R"(,"delta":)").append(delta);
}

void StreamWriter::add(const chat::TextDelta &event, std::string &out) {
    open(Block::text, out);
    out.append(delta_).append(event.text).append("\"}}\n\n");
}

void StreamWriter::add(const chat::ReasoningDelta &event, std::string &out) {
    open(Block::thinking, out);
    out.append(delta_).append(event.text).append("\"}}\n\n");
}

void StreamWriter::add(const chat::ReasoningSignature &event, std::string &out) {
    open(Block::thinking, out);
    out.append("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    json::append_uint(out, index_);
    out.append(R"(,"delta":{"type":"signature_delta","signature":")")
        .append(event.signature)
        .append("\"}}\n\n");
    close(out);
}

void StreamWriter::add(const chat::OpaqueReasoning &event, std::string &out) {
    begin(out);
    close(out);
    start_block(R"({"type":"redacted_thinking","data":")", out);
    out.append(event.data).append("\"}}\n\n");
    stop_block(out);
}

void StreamWriter::add(const chat::CallStart &event, std::string &out) {
    begin(out);
    close(out);
    open_ = Block::call;
    start_block(R"({"type":"tool_use","id":")", out);
    out.append(event.id).append(R"(","name":")").append(event.name).append("\",\"input\":{}}}\n\n");
    begin_delta(R"({"type":"input_json_delta","partial_json":")");
}

void StreamWriter::input(string_view text, std::string &out) {
    chat::in_slices(text, [&](string_view piece) { out.append(delta_).append(piece).append("\"}}\n\n"); });
}

void StreamWriter::add(const chat::FinishedCall &event, std::string &out) {
    add(chat::start_of(event), out);
    input(event.arguments, out);
    close(out);
}

void StreamWriter::search(const chat::Search &search, std::string &out) {
    begin(out);
    close(out);
    ++searches_;
    std::string block;
    append_search_use(block, search);
    start_block(block, out);
    out.append("{}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    json::append_uint(out, index_);
    out.append(R"(,"delta":{"type":"input_json_delta","partial_json":")");
    json::append_escaped(out, search_input(search));
    out.append("\"}}\n\n");
    stop_block(out);

    block.clear();
    append_search_result(block, search);
    start_block(block, out);
    out.append("}\n\n");
    stop_block(out);
}

void StreamWriter::write(const chat::Event &event, std::string &out) {
    std::visit([&](const auto &kind) { add(kind, out); }, event);
}

void StreamWriter::finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out) {
    begin(out);
    close(out);
    out.append("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
    append_end(out, end);
    out.append(R"(},"usage":{)");
    append_counters(out, usage);
    append_thinking_tokens(out, usage);
    append_searches(out, searches_);
    out.append("}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

void StreamWriter::fail(const kiro_failure &failure, std::string &out) {
    std::array<char, 2048> body;
    out.append("event: error\ndata: ")
        .append(body.data(), error_body(failure, {}, request_id_, body))
        .append("\n\n");
}

void StreamWriter::ping(std::string &out) {
    out.append(begun_ ? "event: ping\ndata: {\"type\":\"ping\"}\n\n" : ": keep-alive\n\n");
}

Collector::Collector(const chat::ReplyHead &head, const chat::ReplyContext &)
    : prefix_(message_head(head)), request_id_(head.request_id) {}

void Collector::element() {
    if (!content_.empty()) {
        content_.append(",");
    }
}

void Collector::open(Block block) {
    if (open_ == block) {
        return;
    }
    close();
    element();
    open_ = block;
    content_.append(block == Block::text ? R"({"type":"text","text":")"
                                         : R"({"type":"thinking","thinking":")");
}

void Collector::close(string_view signature) {
    if (open_ == Block::thinking) {
        content_.append(R"(","signature":")").append(signature);
    }
    if (open_ != Block::none) {
        content_.append("\"}");
        open_ = Block::none;
    }
}

void Collector::add(const chat::TextDelta &event) {
    open(Block::text);
    content_.append(event.text);
}

void Collector::add(const chat::ReasoningDelta &event) {
    open(Block::thinking);
    content_.append(event.text);
}

void Collector::add(const chat::ReasoningSignature &event) {
    open(Block::thinking);
    close(event.signature);
}

void Collector::add(const chat::OpaqueReasoning &event) {
    close();
    element();
    content_.append(R"({"type":"redacted_thinking","data":")").append(event.data).append("\"}");
}

void Collector::add(const chat::FinishedCall &event) {
    close();
    element();
    content_.append(R"({"type":"tool_use","id":")")
        .append(event.id)
        .append(R"(","name":")")
        .append(event.name);
    content_.append(R"(","input":)").append(event.input).append("}");
}

void Collector::search(const chat::Search &search, std::string &) {
    close();
    ++searches_;
    element();
    append_search_use(content_, search);
    content_.append(search_input(search)).append("},");
    append_search_result(content_, search);
}

void Collector::write(const chat::Event &event, std::string &) {
    std::visit([&](const auto &kind) { add(kind); }, event);
}

void Collector::finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out) {
    close();
    out.reserve(out.size() + prefix_.size() + content_.size() + 512);
    out.append(prefix_).append(content_).append("],");
    append_end(out, end);
    out.append(R"(,"usage":{)");
    append_counters(out, usage);
    append_thinking_tokens(out, usage);
    append_usage_kinds(out, usage);
    append_searches(out, searches_);
    out.append("}}");
}

void Collector::fail(const kiro_failure &failure, std::string &out) {
    std::array<char, 2048> body;
    out.append(body.data(), error_body(failure, {}, request_id_, body));
}

} // namespace kiro::anthropic
