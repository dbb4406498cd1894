#include "core/openai_responses/output.h"

#include "core/json/writer.h"
#include "core/openai_responses/echo.h"
#include "core/openai_responses/error.h"

#include <array>

namespace kiro::openai_responses {
namespace {

using std::string_view;

constexpr Status kCompleted{"completed"};
constexpr Status kCut{"incomplete", "max_output_tokens"};
constexpr Status kFiltered{"incomplete", "content_filter"};

// In the order of chat::Stop.
constexpr std::array<Status, chat::kStops> kStatuses{kCompleted, kCompleted, kCompleted, kCut,
                                                     kCut,       kFiltered,  kCompleted};

void append_member(std::string &out, string_view key, string_view raw) {
    out.append(",\"").append(key).append("\":\"").append(raw).append("\"");
}

void append_usage(std::string &out, const chat::Usage &usage) {
    out += R"({"input_tokens":)";
    json::append_uint(out, usage.input);
    out += R"(,"input_tokens_details":{"cached_tokens":)";
    json::append_uint(out, usage.cache_read);
    out += R"(,"cache_write_tokens":)";
    json::append_uint(out, usage.cache_write);
    out += R"(},"output_tokens":)";
    json::append_uint(out, usage.output);
    out += R"(,"output_tokens_details":{"reasoning_tokens":)";
    json::append_uint(out, usage.reasoning);
    out += R"(},"total_tokens":)";
    json::append_uint(out, usage.input + usage.output);
    out += '}';
}

// Clients read the delay from the sentence.
void append_error(std::string &out, const kiro_failure &failure) {
    out.append(R"({"code":")").append(error_code(failure.kind)).append(R"(","message":")");
    json::append_escaped(out, failure.message);
    if (failure.retry_after_ms > 0) {
        out += " Please try again in ";
        json::append_uint(out, (failure.retry_after_ms + 999) / 1000);
        out += "s.";
    }
    out += "\"}";
}

} // namespace

std::string item_id(string_view prefix, string_view reply, std::uint64_t index) {
    std::string id(prefix);
    id.append("_").append(reply).append("_");
    json::append_uint(id, index);
    return id;
}

void append_message(std::string &out, string_view id, string_view text, bool complete) {
    out.append(R"({"id":")").append(id).append(R"(","type":"message","status":")");
    out.append(complete ? "completed" : "incomplete");
    out.append(R"(","role":"assistant","content":[{"type":"output_text","text":")").append(text);
    out.append(R"(","annotations":[],"logprobs":[]}]})");
}

void append_reasoning(std::string &out, string_view id, string_view text, string_view seal) {
    out.append(R"({"id":")").append(id).append(R"(","type":"reasoning","summary":[)");
    if (!text.empty()) {
        out.append(R"({"type":"summary_text","text":")").append(text).append("\"}");
    }
    out += ']';
    if (!seal.empty()) {
        append_member(out, "encrypted_content", seal);
    }
    out += '}';
}

void append_search(std::string &out, string_view id, const chat::Search &search, bool begun) {
    out.append(R"({"id":")").append(id).append(R"(","type":"web_search_call")");
    append_member(out, "status", begun ? "in_progress" : search.failed ? "failed" : "completed");
    out.append(R"(,"action":{"type":"search","query":")").append(search.query).append("\"}}");
}

string_view call_prefix(bool freeform) noexcept {
    return freeform ? "ctc" : "fc";
}

void append_call(std::string &out, string_view id, const chat::CallStart &call, string_view status,
                 string_view input) {
    out.append(R"({"id":")").append(id).append(R"(","type":")");
    out.append(call.freeform ? "custom_tool_call" : "function_call").append("\"");
    append_member(out, "status", status);
    append_member(out, "call_id", call.id);
    append_member(out, "name", call.name);
    if (!call.name_space.empty()) {
        append_member(out, "namespace", call.name_space);
    }
    append_member(out, call.freeform ? "input" : "arguments", input);
    out += '}';
}

Status status_of(chat::Stop stop) noexcept {
    return kStatuses[static_cast<std::size_t>(stop)];
}

Envelope::Envelope(const chat::ReplyHead &head, const chat::ReplyContext &context) : id_(head.id) {
    head_.append(R"({"id":"resp_)").append(head.id).append(R"(","object":"response","created_at":)");
    json::append_int(head_, head.created);
    head_.append(R"(,"background":false,"status":")");
    if (context.echo.empty()) {
        tail_ = default_echo();
    } else {
        tail_ = context.echo;
    }
    tail_.append(R"("model":")").append(head.model).append(R"(","output":[)");
}

void Envelope::append(std::string &out, const Ending &ending, string_view items) const {
    out.append(head_).append(ending.status.word).append(R"(","completed_at":)");
    if (ending.usage != nullptr && ending.status.complete()) {
        json::append_int(out, ending.time);
    } else {
        out += "null";
    }
    out += R"(,"error":)";
    if (ending.failure != nullptr) {
        append_error(out, *ending.failure);
    } else {
        out += "null";
    }
    out += R"(,"incomplete_details":)";
    if (ending.status.complete()) {
        out += "null";
    } else {
        out.append(R"({"reason":")").append(ending.status.reason).append("\"}");
    }
    out.append(",").append(tail_).append(items).append(R"(],"usage":)");
    if (ending.usage != nullptr) {
        append_usage(out, *ending.usage);
    } else {
        out += "null";
    }
    out += '}';
}

} // namespace kiro::openai_responses
