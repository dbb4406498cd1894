#include "kiro/explain.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "core/abi/request_internal.h"
#include "core/chat/rules.h"
#include "core/kiro/suspect.h"

namespace {

using namespace ::kiro;
using chat::Rule;

struct Kind {
    kiro_failure_kind kind;
    Rule rule;
};

// What a refusal is about that names no rule. Other kinds are not the request's.
constexpr std::array kinds{
    Kind{KIRO_FAIL_INVALID_JSON, Rule::valid_json},
    Kind{KIRO_FAIL_INVALID_REQUEST, Rule::member_value},
    Kind{KIRO_FAIL_UNSUPPORTED, Rule::supported_feature},
    Kind{KIRO_FAIL_TOO_LARGE, Rule::body_size},
    Kind{KIRO_FAIL_MODEL_NOT_FOUND, Rule::known_model},
    Kind{KIRO_FAIL_ITEM_NOT_FOUND, Rule::stored_state},
    Kind{KIRO_FAIL_RESPONSE_NOT_FOUND, Rule::stored_state},
    Kind{KIRO_FAIL_CONTEXT_OVERFLOW, Rule::prompt_size},
    Kind{KIRO_FAIL_NOT_BUILT, Rule::known_route},
};

// What a path may have, and nothing that a reader of the message could take for its end.
std::string printable(std::string_view text) {
    std::string out(text);
    for (char &c : out) {
        if (c <= ' ' || c > '~' || c == '"' || c == '\\')
            c = '?';
    }
    return out;
}

void append(std::string &out, std::string_view label, std::string_view text) {
    if (text.empty())
        return;
    out += out.empty() ? "" : "; ";
    out += label;
    out += text;
}

std::string suspicious(const kiro_request &request) {
    std::string out;
    for (const auto &[rule, count] :
         ::kiro::kiro::suspicions(request.upstream, request.body.size(), request.known_model)) {
        out += out.empty() ? "" : ", ";
        out += chat::row_of(rule).name;
        out += ";n=" + std::to_string(count);
    }
    return out;
}

bool of_upstream(const kiro_failure &f) {
    return f.upstream_status != 0 || f.reason[0] != '\0';
}

std::string explain(const kiro_request *request, const kiro_failure &f) {
    std::string out;
    const kiro_rule *rule = kiro_failure_rule(&f);
    if (rule != nullptr) {
        append(out, "rule: ", rule->name);
        append(out, "path: ", printable(f.param));
    }
    if (!of_upstream(f) || (rule == nullptr && f.kind != KIRO_FAIL_UPSTREAM_REFUSED))
        return out;
    append(out, "Kiro says: ", f.reason);
    if (request == nullptr || !request->parsed)
        return out;
    append(out, "suspicious: ", suspicious(*request));
    if (request->changes) {
        const size_t used = out.size() + 32;
        append(out, "normalized: ",
               request->changes->names(KIRO_EXPLAIN_MAX - std::min<size_t>(used, KIRO_EXPLAIN_MAX)));
    }
    return out;
}

size_t hand_out(const std::string &text, char *buf, size_t cap) {
    const size_t n = std::min(text.size(), cap);
    std::memcpy(buf, text.data(), n);
    return n;
}

} // namespace

extern "C" {

const kiro_rule *kiro_rule_at(size_t i) {
    return i < chat::rule_count ? &chat::row_of(static_cast<Rule>(i)) : nullptr;
}

const kiro_rule *kiro_failure_rule(const kiro_failure *f) {
    for (size_t i = 0; f->rule != nullptr && i < chat::rule_count; i++) {
        if (std::strcmp(chat::row_of(static_cast<Rule>(i)).name, f->rule) == 0)
            return kiro_rule_at(i);
    }
    for (const Kind &row : kinds) {
        if (row.kind == f->kind)
            return &chat::row_of(row.rule);
    }
    return nullptr;
}

// Who runs out of memory here goes without.
size_t kiro_request_changes(const kiro_request *req, char *buf, size_t cap) {
    try {
        return req->changes ? hand_out(req->changes->list(std::min<size_t>(cap, KIRO_EXPLAIN_MAX)), buf, cap)
                            : 0;
    } catch (...) {
        return 0;
    }
}

size_t kiro_request_explain(const kiro_request *req, const kiro_failure *f, char *buf, size_t cap) {
    try {
        return hand_out(explain(req, *f), buf, cap);
    } catch (...) {
        return 0;
    }
}

} // extern "C"
