#include "core/openai_responses/reply.h"

#include "core/chat/slices.h"
#include "core/json/writer.h"
#include "core/openai_chat/error.h"

#include <array>
#include <variant>

namespace kiro::openai_responses {
namespace {

using std::string_view;

constexpr string_view kEnd = "}\n\n";

string_view prefix_of(ItemKind kind) noexcept {
    return kind == ItemKind::message ? "msg" : "rs";
}

void append_comma(std::string &items) {
    if (!items.empty()) {
        items += ',';
    }
}

} // namespace

StreamWriter::StreamWriter(const chat::ReplyHead &head, const chat::ReplyContext &context)
    : envelope_(head, context) {}

// An event up to what is its own.
void StreamWriter::event(string_view type, std::string &out) {
    out.append("event: ").append(type).append(R"(
data: {"type":")");
    out.append(type).append(R"(","sequence_number":)");
    json::append_uint(out, sequence_++);
}

void StreamWriter::item_event(string_view type, std::string &out) {
    event(type, out);
    out.append(target_);
}

void StreamWriter::lifecycle(string_view type, const Ending &ending, std::string &out) {
    event(type, out);
    out.append(R"(,"response":)");
    envelope_.append(out, ending, items_);
    out.append(kEnd);
}

void StreamWriter::begin(std::string &out) {
    if (!begun_) {
        begun_ = true;
        lifecycle("response.created", {kInProgress}, out);
        lifecycle("response.in_progress", {kInProgress}, out);
    }
}

void StreamWriter::open(ItemKind kind, std::string &out) {
    if (open_ == kind) {
        return;
    }
    close(true, {}, out);
    begin(out);
    open_ = kind;
    id_ = item_id(prefix_of(kind), envelope_.reply_id(), index_);
    target_.assign(R"(,"item_id":")").append(id_).append(R"(","output_index":)");
    json::append_uint(target_, index_);
    target_.append(kind == ItemKind::message ? R"(,"content_index":0)" : R"(,"summary_index":0)");

    event("response.output_item.added", out);
    out.append(R"(,"output_index":)");
    json::append_uint(out, index_);
    out.append(R"(,"item":{"id":")").append(id_);
    if (kind == ItemKind::message) {
        out.append(R"(","type":"message","status":"in_progress","role":"assistant","content":[]})")
            .append(kEnd);
        item_event("response.content_part.added", out);
        out.append(R"(,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]})").append(kEnd);
    } else {
        out.append(R"(","type":"reasoning","summary":[]})").append(kEnd);
        item_event("response.reasoning_summary_part.added", out);
        out.append(R"(,"part":{"type":"summary_text","text":""})").append(kEnd);
    }
}

// items_ has a new one that begins at from.
void StreamWriter::add_item(std::size_t from, std::string &out) {
    event("response.output_item.done", out);
    out.append(R"(,"output_index":)");
    json::append_uint(out, index_++);
    out.append(R"(,"item":)").append(items_, from).append(kEnd);
}

void StreamWriter::close(bool complete, string_view seal, std::string &out) {
    if (open_ == ItemKind::none) {
        return;
    }
    if (open_ == ItemKind::call) { // its end never came
        add(chat::CallEnd{false}, out);
        return;
    }
    const bool message = open_ == ItemKind::message;
    item_event(message ? "response.output_text.done" : "response.reasoning_summary_text.done", out);
    out.append(R"(,"text":")").append(text_).append(message ? R"(","logprobs":[])" : "\"").append(kEnd);
    item_event(message ? "response.content_part.done" : "response.reasoning_summary_part.done", out);
    out.append(R"(,"part":{"type":")").append(message ? "output_text" : "summary_text");
    out.append(R"(","text":")").append(text_);
    out.append(message ? R"(","annotations":[],"logprobs":[]})" : "\"}").append(kEnd);

    append_comma(items_);
    const std::size_t from = items_.size();
    if (message) {
        append_message(items_, id_, text_, complete);
    } else {
        append_reasoning(items_, id_, text_, seal);
    }
    add_item(from, out);
    text_.clear();
    open_ = ItemKind::none;
}

void StreamWriter::add(const chat::TextDelta &delta, std::string &out) {
    open(ItemKind::message, out);
    text_.append(delta.text);
    item_event("response.output_text.delta", out);
    out.append(R"(,"delta":")").append(delta.text).append(R"(","logprobs":[])").append(kEnd);
}

void StreamWriter::add(const chat::ReasoningDelta &delta, std::string &out) {
    open(ItemKind::reasoning, out);
    text_.append(delta.text);
    item_event("response.reasoning_summary_text.delta", out);
    out.append(R"(,"delta":")").append(delta.text).append("\"").append(kEnd);
}

// own: it stands for reasoning of its own, not for what was shown before.
void StreamWriter::seal(string_view data, bool own, std::string &out) {
    if (!own && open_ == ItemKind::reasoning) {
        close(true, data, out);
        return;
    }
    close(true, {}, out);
    begin(out);
    id_ = item_id("rs", envelope_.reply_id(), index_);
    event("response.output_item.added", out);
    out.append(R"(,"output_index":)");
    json::append_uint(out, index_);
    out.append(R"(,"item":)");
    append_reasoning(out, id_, {}, {});
    out.append(kEnd);
    append_comma(items_);
    const std::size_t from = items_.size();
    append_reasoning(items_, id_, {}, data);
    add_item(from, out);
}

void StreamWriter::add(const chat::ReasoningSignature &signature, std::string &out) {
    seal(signature.signature, false, out);
}

void StreamWriter::add(const chat::OpaqueReasoning &opaque, std::string &out) {
    seal(opaque.data, true, out);
}

void StreamWriter::add(const chat::CallStart &call, std::string &out) {
    close(true, {}, out);
    begin(out);
    open_ = ItemKind::call;
    id_ = item_id(call_prefix(call.freeform), envelope_.reply_id(), index_);
    target_.assign(R"(,"item_id":")").append(id_).append(R"(","output_index":)");
    json::append_uint(target_, index_);
    call_.id.assign(call.id);
    call_.name.assign(call.name);
    call_.name_space.assign(call.name_space);
    call_.freeform = call.freeform;

    event("response.output_item.added", out);
    out.append(R"(,"output_index":)");
    json::append_uint(out, index_);
    out.append(R"(,"item":)");
    append_call(out, id_, call, "in_progress", {});
    out.append(kEnd);
}

void StreamWriter::input(string_view text, std::string &out) {
    chat::in_slices(text, [&](string_view piece) {
        item_event(call_.freeform ? "response.custom_tool_call_input.delta"
                                  : "response.function_call_arguments.delta",
                   out);
        out.append(R"(,"delta":")").append(piece).append("\"").append(kEnd);
    });
}

// Of the open call, of which input was streamed.
void StreamWriter::end_call(bool whole, string_view input, std::string &out) {
    if (call_.freeform) {
        item_event("response.custom_tool_call_input.done", out);
        out.append(R"(,"input":")").append(input);
    } else {
        item_event("response.function_call_arguments.done", out);
        out.append(R"(,"name":")").append(call_.name).append(R"(","arguments":")").append(input);
    }
    out.append("\"").append(kEnd);
    append_comma(items_);
    const std::size_t from = items_.size();
    append_call(items_, id_, {call_.id, call_.name, call_.name_space, call_.freeform},
                whole ? "completed" : "incomplete", input);
    add_item(from, out);
    open_ = ItemKind::none;
}

void StreamWriter::add(const chat::CallInput &piece, std::string &out) {
    text_.append(piece.text);
    input(piece.text, out);
}

void StreamWriter::add(const chat::CallEnd &end, std::string &out) {
    end_call(end.whole, text_, out);
    text_.clear();
}

void StreamWriter::add(const chat::FinishedCall &call, std::string &out) {
    add(chat::start_of(call), out);
    input(chat::input_of(call), out);
    end_call(true, chat::input_of(call), out);
}

void StreamWriter::search(const chat::Search &search, std::string &out) {
    close(true, {}, out);
    begin(out);
    const std::string id = item_id("ws", envelope_.reply_id(), index_);
    target_.assign(R"(,"item_id":")").append(id).append(R"(","output_index":)");
    json::append_uint(target_, index_);
    event("response.output_item.added", out);
    out.append(R"(,"output_index":)");
    json::append_uint(out, index_);
    out.append(R"(,"item":)");
    append_search(out, id, search, true);
    out.append(kEnd);
    for (const string_view step : {"in_progress", "searching", "completed"}) {
        item_event("response.web_search_call." + std::string(step), out);
        out.append(kEnd);
    }
    append_comma(items_);
    const std::size_t from = items_.size();
    append_search(items_, id, search, false);
    add_item(from, out);
}

void StreamWriter::write(const chat::Event &event, std::string &out) {
    std::visit([&](const auto &kind) { add(kind, out); }, event);
}

void StreamWriter::finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out) {
    const Status status = status_of(end.stop);
    begin(out);
    close(status.complete(), {}, out);
    lifecycle(status.complete() ? "response.completed" : "response.incomplete",
              {.status = status, .usage = &usage, .time = end.time}, out);
}

// An answer that fails at once has its first events too: clients do not know a stream without them.
void StreamWriter::fail(const kiro_failure &failure, std::string &out) {
    begin(out);
    close(false, {}, out);
    lifecycle("response.failed", {.status = kFailed, .failure = &failure}, out);
}

void StreamWriter::ping(std::string &out) {
    out.append(": keep-alive\n\n");
}

Collector::Collector(const chat::ReplyHead &head, const chat::ReplyContext &context)
    : envelope_(head, context) {}

void Collector::open(ItemKind kind) {
    if (open_ != kind) {
        close(true, {});
        open_ = kind;
    }
}

void Collector::close(bool complete, string_view seal) {
    if (open_ == ItemKind::none) {
        return;
    }
    append_comma(items_);
    const std::string id = item_id(prefix_of(open_), envelope_.reply_id(), index_++);
    if (open_ == ItemKind::message) {
        append_message(items_, id, text_, complete);
    } else {
        append_reasoning(items_, id, text_, seal);
    }
    text_.clear();
    open_ = ItemKind::none;
}

void Collector::add(const chat::TextDelta &event) {
    open(ItemKind::message);
    text_.append(event.text);
}

void Collector::add(const chat::ReasoningDelta &event) {
    open(ItemKind::reasoning);
    text_.append(event.text);
}

void Collector::add(const chat::ReasoningSignature &event) {
    open(ItemKind::reasoning);
    close(true, event.signature);
}

void Collector::add(const chat::OpaqueReasoning &event) {
    close(true, {});
    open(ItemKind::reasoning);
    close(true, event.data);
}

void Collector::add(const chat::FinishedCall &event) {
    close(true, {});
    append_comma(items_);
    append_call(items_, item_id(call_prefix(event.freeform), envelope_.reply_id(), index_++),
                chat::start_of(event), "completed", chat::input_of(event));
}

void Collector::search(const chat::Search &search, std::string &) {
    close(true, {});
    append_comma(items_);
    append_search(items_, item_id("ws", envelope_.reply_id(), index_++), search, false);
}

void Collector::write(const chat::Event &event, std::string &) {
    std::visit([&](const auto &kind) { add(kind); }, event);
}

void Collector::finish(const chat::TurnEnd &end, const chat::Usage &usage, std::string &out) {
    const Status status = status_of(end.stop);
    close(status.complete(), {});
    out.reserve(out.size() + items_.size() + 4096);
    envelope_.append(out, {.status = status, .usage = &usage, .time = end.time}, items_);
}

void Collector::fail(const kiro_failure &failure, std::string &out) {
    std::array<char, 2048> body;
    out.append(body.data(), openai_chat::error_body(failure, {}, body, "input"));
}

} // namespace kiro::openai_responses
