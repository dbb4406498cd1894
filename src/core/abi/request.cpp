#include <cstring>
#include <new>
#include <utility>

#include "core/abi/request_internal.h"
#include "core/anthropic/request.h"
#include "core/chat/invalid.h"
#include "core/chat/reply_context.h"
#include "core/chat/search.h"
#include "core/chat/thinking.h"
#include "core/json/reader.h"
#include "core/json/space.h"
#include "core/json/validate.h"
#include "core/json/writer.h"
#include "core/kiro/digest.h"
#include "core/kiro/leaked.h"
#include "core/kiro/model_choice.h"
#include "core/kiro/search.h"
#include "core/kiro/steer.h"
#include "core/openai_chat/request.h"
#include "core/openai_responses/request.h"

namespace {

namespace upstream = ::kiro::kiro;
using namespace ::kiro;

constexpr size_t max_model_name = 256;

std::string_view view(kiro_str s) {
    return s.len == 0 ? std::string_view() : std::string_view(s.data, s.len);
}
kiro_str str(std::string_view s) {
    return {s.data(), s.size()};
}

std::string_view trimmed(std::string_view text) {
    size_t first = text.find_first_not_of(json::white_space);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(json::white_space) - first + 1);
}

using chat::Rule;
using ReadRequest = chat::Conversation (*)(json::Value, chat::Changes *);

struct Dialect {
    kiro_api api;
    ReadRequest read;
};

constexpr Dialect dialects[] = {
    {KIRO_API_OPENAI_CHAT, openai_chat::read_request},
    {KIRO_API_ANTHROPIC, anthropic::read_request},
    {KIRO_API_OPENAI_RESPONSES, openai_responses::read_request},
};

ReadRequest reader_of(kiro_api api, bool count_only) {
    if (count_only && api == KIRO_API_ANTHROPIC)
        return anthropic::read_count_request;
    for (const auto &dialect : dialects) {
        if (dialect.api == api)
            return dialect.read;
    }
    throw chat::Invalid{KIRO_FAIL_NOT_BUILT, "", "this endpoint is not built yet", Rule::known_route};
}

// Half pairs are replaced in place, which loses nothing but where they were.
void replace_surrogates(char *text, size_t length, const json::Index &index, chat::Changes *changes) {
    if (changes == nullptr) {
        json::replace_lone_surrogates(text, length);
        return;
    }
    const std::string before(text, length);
    json::replace_lone_surrogates(text, length);
    changes->begin({text, length}, index);
    for (size_t i = 0; i < length; i++) {
        if (before[i] == text[i])
            continue;
        changes->add(Rule::surrogate_replaced, {text + i, 1}, 1);
        i += 3; // the last of the digits that differ
    }
}

json::Index check_json(char *text, size_t length, chat::Changes *changes) {
    json::Index index;
    auto verdict = json::validate({text, length}, json::deepest, &index);
    if (!verdict) {
        if (length == 0)
            throw chat::Invalid{KIRO_FAIL_INVALID_JSON, "", "the request body is empty"};
        throw chat::Invalid{KIRO_FAIL_INVALID_JSON, "",
                            "the request body is not valid JSON: " + std::string(verdict.reason) +
                                " at byte " + std::to_string(verdict.offset)};
    }
    if (verdict.lone_surrogates)
        replace_surrogates(text, length, index, changes);
    return index;
}

std::string unknown_model(std::string_view name, const upstream::Catalogue &catalogue) {
    std::string message = "The model '" + std::string(name) + "' does not exist.";
    if (const auto similar = upstream::similar_model(name, catalogue); !similar.empty())
        message += " Did you mean '" + std::string(similar) + "'?";
    return message;
}

// The built-in models are not all there are: without the account's own list nothing is refused.
upstream::ModelChoice choose_model(const kiro_request_options &opts, std::string_view name) {
    const upstream::Catalogue catalogue(view(opts.catalogue));
    auto choice = upstream::choose_model(name, {opts.aliases, opts.naliases}, catalogue);
    if (opts.known_models != 0 && catalogue.live() && !choice.listed && !choice.by_operator)
        throw chat::Invalid{KIRO_FAIL_MODEL_NOT_FOUND, "model", unknown_model(name, catalogue)};
    return choice;
}

// claude-opus-4.6-thinking and -high: members of the body say more than the model's name.
void add_name(const upstream::ModelChoice &name, chat::Conversation &conversation) {
    chat::Thinking wish;
    if (!name.effort.empty()) {
        wish.effort = conversation.arena.keep(name.effort);
        // Where reasoning is shown to whoever does not refuse it, an effort asks for it.
        if (conversation.reasoning)
            wish.mode = name.effort == "none" ? chat::ThinkingMode::off : chat::ThinkingMode::adaptive;
    }
    if (name.thinking)
        wish.mode = chat::ThinkingMode::adaptive;
    if (conversation.thinking.mode == chat::ThinkingMode::unasked) {
        chat::add_thinking(conversation.thinking, wish);
        conversation.reasoning = conversation.reasoning ? wish.mode != chat::ThinkingMode::off
                                                        : wish.mode == chat::ThinkingMode::adaptive;
    } else if (conversation.thinking.effort.empty()) {
        conversation.thinking.effort = wish.effort;
    }
}

chat::CallableTools callable_tools(const chat::Conversation &conversation,
                                   std::span<const chat::ToolAlias> aliases) {
    switch (conversation.tool_mode) {
    case chat::ToolMode::none:
        return {};
    case chat::ToolMode::named:
        return {conversation.tools, aliases, {&conversation.tool_name, 1}};
    default:
        return {conversation.tools, aliases, conversation.allowed_tools};
    }
}

// What became of the name, and what it says beside the model.
void note_model(const chat::Conversation &asked, std::string_view name, const upstream::ModelChoice &model,
                chat::Arena &arena) {
    if (json::is_blank(asked.model))
        arena.note(Rule::model_defaulted, asked.model);
    if (model.by_operator)
        arena.note(Rule::model_aliased, asked.model);
    else if (model.id != name)
        arena.note(Rule::model_renamed, asked.model);
    if (!model.effort.empty() || model.thinking)
        arena.note(Rule::effort_from_model, asked.model);
}

// A search that no model is offered.
void note_search(const kiro_request &req, chat::Arena &arena) {
    if (!req.search_query.empty())
        arena.note(Rule::search_run, req.conversation.search.at);
    else if (req.conversation.web_search)
        arena.note(Rule::tool_left_out, req.conversation.search.at);
}

void parse_body(kiro_request &req, const kiro_request_options &opts, const json::Document &document) {
    ReadRequest read = reader_of(opts.api, opts.count_only != 0);
    if (!document.root().is_object())
        throw chat::Invalid{KIRO_FAIL_INVALID_REQUEST, "", "the request body must be a JSON object",
                            Rule::body_object};
    req.conversation = read(document.root(), req.changes.get());
    chat::Arena &arena = req.conversation.arena;

    std::string name(trimmed(json::unescaped(req.conversation.model)));
    if (name.empty())
        name = trimmed(view(opts.default_model));
    const chat::Path top;
    if (name.empty())
        chat::missing(top["model"]);
    if (name.size() > max_model_name)
        chat::invalid(top["model"], "the name is too long");
    req.client_model = json::escaped(name);

    if (opts.count_only == 0) {
        if (std::string query = chat::direct_query(req.conversation); !query.empty())
            req.search_query = json::escaped(query);
    }
    auto session = view(opts.session).empty() ? req.conversation.session : view(opts.session);
    const upstream::ModelChoice model = choose_model(opts, name);
    note_model(req.conversation, name, model, arena);
    note_search(req, arena);
    req.known_model = model.listed || model.by_operator;
    add_name(model, req.conversation);
    if (opts.thinking == KIRO_THINKING_OFF)
        req.conversation.reasoning = false;
    const bool rescue = opts.rescue_tool_calls != 0;
    if (rescue)
        upstream::strip_leaked_calls(req.conversation);
    req.upstream = upstream::prepare(
        req.conversation,
        {.model = model, .account = view(opts.account), .session = session, .thinking = opts.thinking});
    req.callable = rescue ? callable_tools(req.conversation, req.upstream.aliases) : chat::CallableTools();
    req.countable = upstream::countable(req.upstream);
    req.parsed = true;
}

void parse(kiro_request &req, const kiro_request_options &opts) {
    req.changes = opts.explain != 0 ? std::make_unique<chat::Changes>() : nullptr;
    json::Index index = check_json(req.buffer.get(), req.length, req.changes.get());
    const json::Document document(req.buffer.get(), std::move(index));
    if (req.changes == nullptr) {
        parse_body(req, opts, document);
        return;
    }
    req.changes->begin({req.buffer.get(), req.length}, document.index());
    const auto end = [](chat::Changes *changes) { changes->end(); };
    const std::unique_ptr<chat::Changes, decltype(end)> places(req.changes.get(), end);
    parse_body(req, opts, document);
}

// Not the notice makes a conversation too large.
void write(kiro_request &req, kiro_wire wire, std::string_view profile_arn) {
    try {
        upstream::write(req.upstream, wire, profile_arn, req.body);
    } catch (const chat::Invalid &) {
        if (req.upstream.notice.empty())
            throw;
        req.upstream.notice.clear();
        req.conversation.arena.forget(Rule::notice_added);
        req.conversation.arena.note(Rule::notice_left_out);
        upstream::write(req.upstream, wire, profile_arn, req.body);
    }
}

// Of the JSON-RPC call.
std::string search_id(const kiro_request &req) {
    upstream::Sha256 hash;
    hash.add_field("search").add_field(req.upstream.conversation_id).add_field(req.search_query);
    return "web_search_" + upstream::uuid_of(hash);
}

kiro_status fail(kiro_failure *f, const chat::Invalid &error) {
    kiro_failure_set(f, error.kind, "%s", error.message.c_str());
    if (error.rule != Rule::none)
        f->rule = chat::row_of(error.rule).name;
    size_t n = std::min(error.param.size(), sizeof(f->param) - 1);
    std::memcpy(f->param, error.param.data(), n);
    f->param[n] = '\0';
    return KIRO_ERROR;
}

// Runs body; what it throws becomes status and failure.
template <class Body> kiro_status guarded(kiro_failure *f, Body &&body) noexcept {
    try {
        try {
            body();
            return KIRO_OK;
        } catch (const chat::Invalid &error) {
            return fail(f, error);
        } catch (const std::bad_alloc &) {
            throw;
        } catch (const std::exception &) {
            kiro_failure_set(f, KIRO_FAIL_INTERNAL, "the request could not be processed");
            return KIRO_ERROR;
        }
    } catch (...) {
        return KIRO_NOMEM;
    }
}

// False: there is nothing to change.
bool change(kiro_request &req, const kiro_failure &why) {
    upstream::Request &request = req.upstream;
    chat::Arena &arena = req.conversation.arena;
    bool any = false;
    switch (why.change) {
    case KIRO_CHANGE_DROP_FIELDS:
        any = !std::exchange(request.fields, {}).empty();
        arena.note(Rule::fields_dropped, {}, any);
        return any;
    case KIRO_CHANGE_DROP_REASONING:
        any = upstream::drop_reasoning(request.turns);
        arena.note(Rule::reasoning_dropped, {}, any);
        return any;
    case KIRO_CHANGE_REPAIR_OUTPUT:
        return upstream::ask_for_repair(req.conversation, why.message, request);
    case KIRO_CHANGE_NONE:
    case KIRO_CHANGE_MAX:
        break;
    }
    return false;
}

} // namespace

namespace kiro::chat {

ReplyContext reply_context(const kiro_request &request) noexcept {
    ReplyContext context;
    context.include_usage = request.conversation.include_usage;
    context.legacy_functions = request.conversation.legacy_functions;
    context.functions_only = request.conversation.functions_only;
    context.reasoning = request.conversation.reasoning;
    context.context_window = request.upstream.facts.context;
    context.input_tokens = {request.upstream.input_tokens, &request.counted};
    context.aliases = request.upstream.aliases;
    context.callable = &request.callable;
    context.stop = request.conversation.stop;
    context.max_tokens = request.conversation.max_tokens;
    context.output = request.conversation.output.kind;
    context.output_schema = request.conversation.output.schema;
    context.tagged_reasoning = request.upstream.tagged;
    context.seal_key = request.upstream.seal_key;
    context.search_query = request.search_query;
    context.search = &request.conversation.search;
    context.echo = request.conversation.echo;
    context.repairable = !request.upstream.repaired;
    return context;
}

} // namespace kiro::chat

extern "C" {

kiro_request *kiro_request_create(size_t len) {
    if (len > static_cast<size_t>(-1) / 2)
        return nullptr;
    try {
        auto req = std::make_unique<kiro_request>();
        req->buffer.reset(new char[len]);
        req->length = len;
        return req.release();
    } catch (...) {
        return nullptr;
    }
}

kiro_request *kiro_request_ref(kiro_request *req) {
    req->owners.fetch_add(1, std::memory_order_relaxed);
    return req;
}

void kiro_request_free(kiro_request *req) {
    if (req != nullptr && req->owners.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete req;
}

char *kiro_request_buffer(kiro_request *req) {
    return req->buffer.get();
}

kiro_status kiro_request_parse(kiro_request *req, const kiro_request_options *opts, kiro_failure *f) {
    req->parsed = false;
    return guarded(f, [&] { parse(*req, *opts); });
}

void kiro_request_get_info(const kiro_request *req, kiro_request_info *info) {
    info->client_model = str(req->client_model);
    info->model = str(req->upstream.model);
    info->known_model = req->known_model;
    info->conversation = str(req->upstream.conversation_id);
    info->stream = req->conversation.stream;
    info->call = req->search_query.empty() ? KIRO_CALL_MODEL : KIRO_CALL_SEARCH;
    info->max_tokens = req->conversation.max_tokens;
    info->tools = req->upstream.tools.size();
    info->notice = !req->upstream.notice.empty();
    info->lost_calls = str(req->upstream.lost.names);
}

kiro_status kiro_request_write(kiro_request *req, kiro_wire wire, kiro_str profile_arn, kiro_str *body,
                               kiro_failure *f) {
    return guarded(f, [&] {
        if (!req->parsed || static_cast<unsigned>(wire) > KIRO_WIRE_REST)
            throw std::logic_error("nothing to write");
        if (!req->search_query.empty()) {
            upstream::write_search(req->search_query, search_id(*req), view(profile_arn), req->body);
        } else {
            write(*req, wire, view(profile_arn));
        }
        *body = str(req->body);
    });
}

size_t kiro_request_text(const kiro_request *req) {
    return req->countable.bytes;
}

kiro_status kiro_request_count(kiro_request *req) {
    kiro_failure failure; // nothing is wrong with a request that was parsed
    return guarded(&failure, [&] {
        uint64_t tokens = upstream::count(req->countable);
        req->counted.store(tokens, std::memory_order_relaxed);
    });
}

uint64_t kiro_request_tokens(const kiro_request *req) {
    return chat::reply_context(*req).input_tokens.newest();
}

kiro_status kiro_request_notice(kiro_request *req, kiro_str tools) {
    if (!req->parsed || !req->search_query.empty())
        return KIRO_ERROR;
    kiro_failure failure;
    return guarded(&failure,
                   [&] { upstream::add_notice(view(tools), req->conversation.arena, req->upstream); });
}

kiro_status kiro_request_change(kiro_request *req, const kiro_failure *why) {
    bool changed = false;
    kiro_failure failure;
    const kiro_status status = guarded(&failure, [&] { changed = change(*req, *why); });
    return status != KIRO_OK || changed ? status : KIRO_ERROR;
}

} // extern "C"
