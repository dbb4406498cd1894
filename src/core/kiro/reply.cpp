#include "core/kiro/reply.h"

#include "core/chat/freeform.h"
#include "core/eventstream/header.h"
#include "core/json/scan.h"
#include "core/json/writer.h"
#include "core/kiro/errors.h"

#include <algorithm>

namespace kiro::kiro {
namespace {

using eventstream::Header;
using eventstream::HeaderReader;
using eventstream::HeaderType;
using std::string_view;

constexpr std::size_t kKeptHeaders = 1024;
constexpr std::size_t kMaxWord = 64;
constexpr std::size_t kMaxSignature = 4 * 1024 * 1024;

// A signature that stands for hidden reasoning comes with this text.
constexpr string_view kPlaceholder = "...";

struct StopWord {
    string_view word;
    chat::Stop stop;
};

// Reasons that win over finished tool calls. All others mean a natural end.
constexpr std::array kStopWords{
    StopWord{"CONTENT_FILTERED", chat::Stop::refusal},
    StopWord{"GUARDRAIL_INTERVENED", chat::Stop::refusal},
    StopWord{"MODEL_CONTEXT_WINDOW_EXCEEDED", chat::Stop::context_window},
    StopWord{"MAX_TOKENS", chat::Stop::max_tokens},
    StopWord{"PAUSE_TURN", chat::Stop::pause},
};

// The value of a string header, empty if it is absent.
string_view find_header(string_view headers, string_view name) noexcept {
    HeaderReader reader(headers);
    for (Header header; reader.next(header);) {
        if (header.name == name && header.type == HeaderType::string) {
            return header.value;
        }
    }
    return {};
}

// {"refusal": {"category": "..."}}, part of a text that is known to be valid.
string_view category_of(string_view details) {
    string_view category;
    json::ObjectScanner outer(details);
    for (json::Member refusal; outer.next(refusal);) {
        if (refusal.key != "refusal" || refusal.kind != json::Kind::object) {
            continue;
        }
        json::ObjectScanner inner(refusal.value);
        for (json::Member member; inner.next(member);) {
            if (member.key == "category" && member.kind == json::Kind::string) {
                category = member.value;
            }
        }
    }
    return category;
}

// Whatever was written cost at least one token.
std::uint64_t count(const tokens::Characters &characters) {
    const bool any = characters.ascii + characters.non_ascii() > 0;
    return std::max<std::uint64_t>(tokens::estimate(characters), any ? 1 : 0);
}

} // namespace

struct ReplyReader::TypeName {
    string_view name;
    Type type;
};

bool ReplyReader::content(Type type) noexcept {
    return type == Type::text || type == Type::reasoning || type == Type::tool;
}

ReplyReader::Type ReplyReader::classify(string_view headers) {
    // Events that are not here carry nothing for a client.
    static constexpr std::array kEvents{
        TypeName{"assistantResponseEvent", Type::text},
        TypeName{"codeEvent", Type::text},
        TypeName{"reasoningContentEvent", Type::reasoning},
        TypeName{"toolUseEvent", Type::tool},
        TypeName{"metadataEvent", Type::metadata},
        TypeName{"contextUsageEvent", Type::context_usage},
        TypeName{"meteringEvent", Type::metering},
        TypeName{"invalidStateEvent", Type::invalid_state},
    };

    const string_view message = find_header(headers, ":message-type");
    if (message == "exception") {
        return Type::exception;
    }
    if (message == "error") {
        return Type::error;
    }
    if (message != "event") {
        return Type::unknown;
    }
    const string_view event = find_header(headers, ":event-type");
    const auto row = std::find_if(kEvents.begin(), kEvents.end(),
                                  [event](const TypeName &name) { return name.name == event; });
    return row == kEvents.end() ? Type::ignored : row->type;
}

// What was given out before is not needed any more.
void ReplyReader::begin() {
    events_.clear();
    given_count_ = 0;
    if (!stream_.begun()) {
        held_.clear();
    }
}

// A client has one thing open at a time.
void ReplyReader::emit(const chat::Event &event) {
    if (stream_.begun()) {
        held_.add(event);
    } else {
        events_.push_back(event);
    }
}

void ReplyReader::fail(kiro_failure_kind kind, kiro_retry retry, const char *message) noexcept {
    failed_ = true;
    kiro_failure_set(&failure_, kind, "%s", message);
    failure_.retry = retry;
}

bool ReplyReader::good(bool valid) noexcept {
    if (!valid) {
        fail(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_BACKOFF, "Kiro sent an event that is not valid JSON.");
    }
    return valid;
}

// A signature is complete when something else follows it.
void ReplyReader::flush_signature() {
    if (!signature_.empty()) {
        emit(chat::ReasoningSignature{given(SealKind::text, signature_)});
        signature_.clear();
    }
}

void ReplyReader::emit_reasoning(string_view text) {
    if (!context_.seal_key.empty() && context_.reasoning) {
        if (!sealed_) {
            sealed_.emplace();
        }
        sealed_->add(text);
    }
    emit(chat::ReasoningDelta{text});
}

// A signature as the client gets it, kept for the events of this call.
string_view ReplyReader::given(SealKind kind, string_view signature) {
    std::string &kept = given_[given_count_++];
    if (context_.seal_key.empty()) {
        kept.assign(signature);
        return kept;
    }
    SealedText none;
    kept = seal(kind, context_.seal_key, sealed_ ? *sealed_ : none, signature);
    if (kind == SealKind::text) {
        sealed_.reset();
    }
    return kept;
}

void ReplyReader::take_text(string_view payload) {
    json::ObjectScanner scanner(payload);
    json::Member content;
    for (json::Member member; scanner.next(member);) {
        if (member.key == "content" && member.kind == json::Kind::string) {
            content = member;
        }
    }
    if (!good(scanner.valid())) {
        return;
    }
    const string_view text = text_.join(content.value, content.surrogates);
    if (!text.empty()) {
        flush_signature();
        output_.add(text);
        emit(chat::TextDelta{text});
    }
}

void ReplyReader::take_reasoning(string_view payload) {
    json::ObjectScanner scanner(payload);
    json::Member text;
    string_view signature;
    string_view redacted;
    SealKind opaque = SealKind::redacted;
    bool odd = false; // surrogates have no place in these
    for (json::Member member; scanner.next(member);) {
        if (member.kind != json::Kind::string) {
            continue;
        }
        if (member.key == "text") {
            text = member;
        } else if (member.key == "signature") {
            signature = member.value;
            odd |= member.surrogates;
        } else if (member.key == "redactedContent") {
            redacted = member.value;
            odd |= member.surrogates;
        }
    }
    if (!good(scanner.valid() && !odd && signature_.size() + signature.size() <= kMaxSignature)) {
        return;
    }
    if (text.value == kPlaceholder && !signature.empty()) {
        redacted = signature;
        opaque = SealKind::placeholder;
        text.value = signature = {};
    }
    const string_view thought = reasoning_.join(text.value, text.surrogates);
    if (!thought.empty()) {
        flush_signature();
        thought_.add(thought);
        emit_reasoning(thought);
    }
    signature_.append(signature);
    if (!redacted.empty()) {
        flush_signature();
        emit(chat::OpaqueReasoning{given(opaque, redacted)});
    }
}

void ReplyReader::take_tool(string_view payload) {
    json::ObjectScanner scanner(payload);
    string_view id;
    string_view name;
    json::Member input;
    bool stop = false;
    bool odd = false; // surrogates have no place in names
    for (json::Member member; scanner.next(member);) {
        if (member.key == "input") {
            input = member;
        } else if (member.key == "stop") {
            stop = member.kind == json::Kind::true_value;
        } else if (member.kind != json::Kind::string) {
            continue;
        } else if (member.key == "toolUseId") {
            id = member.value;
            odd |= member.surrogates;
        } else if (member.key == "name") {
            name = member.value;
            odd |= member.surrogates;
        }
    }
    if (!good(scanner.valid() && !odd)) {
        return;
    }
    flush_signature();        // whether the call becomes whole or not
    output_.add(input.value); // paid for, likewise
    string_view fragment;
    if (input.kind == json::Kind::string) {
        fragment = input.value;
    } else if (input.kind != json::Kind::null && input.value != "{}") {
        // An empty object stands for an input that is still to come, or for none.
        value_ = json::escaped(input.value);
        fragment = value_;
    }
    tools_.add(id, name, fragment);
    stream_call(id, fragment);
    if (!stop) {
        return;
    }
    const bool streamed = stream_.is(id);
    chat::FinishedCall call;
    const bool whole = tools_.finish(id, call);
    if (streamed) {
        end_call(whole);
        return;
    }
    if (!whole) {
        return;
    }
    if (const chat::ToolAlias *row = alias_of(call.name)) {
        call.name = row->name;
        call.name_space = row->name_space;
        call.freeform = row->freeform;
        call.text = row->freeform ? chat::freeform_text(call.input, call.arguments) : string_view{};
    }
    output_.add(call.name);
    emit(call);
}

const chat::ToolAlias *ReplyReader::alias_of(string_view name) const noexcept {
    const auto row = std::find_if(context_.aliases.begin(), context_.aliases.end(),
                                  [name](const chat::ToolAlias &alias) { return alias.alias == name; });
    return row == context_.aliases.end() ? nullptr : &*row;
}

// The name is of the call's tool, so it goes with what came first of its input.
void ReplyReader::begin_call() {
    output_.add(stream_.start().name);
    events_.push_back(stream_.start());
}

void ReplyReader::stream_call(string_view id, string_view fragment) {
    ToolCalls::Open *call = tools_.opened(id);
    if (call == nullptr || call->broken ||
        !(stream_.is(id) || stream_.choose(*call, fragment, alias_of(call->name)))) {
        return;
    }
    const bool begun = stream_.begun();
    const string_view text = stream_.take(fragment);
    if (text.empty()) {
        return;
    }
    if (!begun) {
        begin_call();
    }
    events_.push_back(chat::CallInput{text});
}

void ReplyReader::end_call(bool whole) {
    const bool begun = stream_.begun();
    const string_view rest = stream_.end(whole);
    if (!begun && whole) {
        begin_call();
    }
    if (!rest.empty()) {
        events_.push_back(chat::CallInput{rest});
    }
    if (begun || whole) {
        events_.push_back(chat::CallEnd{whole});
    }
    const std::span<const chat::Event> held = held_.events();
    events_.insert(events_.end(), held.begin(), held.end());
}

LostCalls ReplyReader::lost_calls(bool stopped) const {
    LostCalls lost;
    lost.any = tools_.any_broken() || (!stopped && tools_.any_open());
    add_names(lost, tools_.names_broken());
    if (!stopped) {
        add_names(lost, tools_.names_open());
    }
    return lost;
}

void ReplyReader::take_metadata(string_view payload) {
    json::ObjectScanner scanner(payload);
    string_view stop_reason;
    string_view details;
    string_view tokens;
    for (json::Member member; scanner.next(member);) {
        if (member.key == "stopDetails" && member.kind == json::Kind::object) {
            details = member.value;
        } else if (member.key == "stopReason" && member.kind == json::Kind::string) {
            stop_reason = member.value;
        } else if (member.key == "tokenUsage" && member.kind == json::Kind::object) {
            tokens = member.value;
        }
    }
    if (!good(scanner.valid())) {
        return;
    }
    metadata_ = true;
    stop_reason_.assign(stop_reason.substr(0, kMaxWord));
    refusal_.assign(category_of(details).substr(0, kMaxWord));
    usage_.take_tokens(tokens);
}

void ReplyReader::take_number(string_view payload, string_view key, std::optional<double> &value) {
    json::ObjectScanner scanner(payload);
    for (json::Member member; scanner.next(member);) {
        if (member.key == key && member.kind == json::Kind::number) {
            value = json::to_double(member.value);
        }
    }
    if (!good(scanner.valid())) {
        value.reset();
    }
}

void ReplyReader::take_exception(const eventstream::Frame &frame) {
    Refusal refusal;
    refusal.type = find_header(frame.headers, ":exception-type");
    if (refusal.type.empty()) {
        refusal.type = find_header(frame.headers, ":error-code");
    }
    refusal.message = find_header(frame.headers, ":error-message");
    refusal.body = frame.payload;
    kiro::classify(refusal, failure_);
    failed_ = true;
}

std::span<const chat::Event> ReplyReader::take(const eventstream::Frame &frame) {
    begin();
    if (failed_) {
        return {};
    }
    if (frame.headers != headers_ || headers_.empty()) {
        type_ = classify(frame.headers);
        if (frame.headers.size() <= kKeptHeaders) {
            headers_.assign(frame.headers);
        } else {
            headers_.clear();
        }
    }

    if (metadata_ && metered_ && content(type_)) { // behind the tail stands nothing of this answer
        return {};
    }

    const string_view payload = frame.payload.empty() ? "{}" : frame.payload;
    std::optional<double> number;
    switch (type_) {
    case Type::text:
        take_text(payload);
        break;
    case Type::reasoning:
        take_reasoning(payload);
        break;
    case Type::tool:
        take_tool(payload);
        break;
    case Type::metadata:
        take_metadata(payload);
        break;
    case Type::context_usage:
        take_number(payload, "contextUsagePercentage", number);
        usage_.take_percent(number.value_or(-1));
        break;
    case Type::metering:
        take_number(payload, "usage", number);
        usage_.take_credits(number.value_or(0));
        metered_ = !failed_;
        break;
    case Type::invalid_state:
        fail(KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_BACKOFF,
             "Kiro reported an invalid state of the conversation.");
        break;
    case Type::ignored:
        break;
    case Type::exception:
    case Type::error:
        take_exception(frame);
        break;
    case Type::unknown:
        fail(KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_BACKOFF, "Kiro sent a message of an unknown type.");
        break;
    }
    return events_;
}

std::span<const chat::Event> ReplyReader::finish() {
    begin();
    end_call(false);
    if (const string_view rest = reasoning_.finish(); !rest.empty()) {
        emit_reasoning(rest);
    }
    flush_signature();
    if (const string_view rest = text_.finish(); !rest.empty()) {
        emit(chat::TextDelta{rest});
    }
    return events_;
}

chat::Stop ReplyReader::stop() const noexcept {
    if (truncated() || !complete()) {
        return chat::Stop::max_tokens;
    }
    for (const StopWord &row : kStopWords) {
        if (row.word == stop_reason_) {
            return row.stop;
        }
    }
    if (stop_reason_.empty() && usage_.percent() >= 100) {
        return chat::Stop::context_window;
    }
    return tools_.finished() > 0 ? chat::Stop::tool_use : chat::Stop::end_turn;
}

chat::Usage ReplyReader::usage() const noexcept {
    OwnCount own;
    own.input = context_.input_tokens.newest();
    own.reasoning = count(thought_);
    own.output = count(output_) + own.reasoning;
    return usage_.usage(own, context_.context_window);
}

} // namespace kiro::kiro
