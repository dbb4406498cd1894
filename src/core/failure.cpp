// kiro_failure: filling it, and what each dialect makes of it.

#include "core/anthropic/error.h"
#include "core/openai_chat/error.h"
#include "kiro/kiro.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <simdjson.h>

namespace {

using std::string_view;

struct Name {
    kiro_failure_kind kind;
    const char *name;
};

constexpr std::array kNames{
    Name{KIRO_FAIL_NONE, "none"},
    Name{KIRO_FAIL_INVALID_JSON, "invalid_json"},
    Name{KIRO_FAIL_INVALID_REQUEST, "invalid_request"},
    Name{KIRO_FAIL_UNSUPPORTED, "unsupported"},
    Name{KIRO_FAIL_TOO_LARGE, "too_large"},
    Name{KIRO_FAIL_UNAUTHENTICATED, "unauthenticated"},
    Name{KIRO_FAIL_FORBIDDEN, "forbidden"},
    Name{KIRO_FAIL_NOT_FOUND, "not_found"},
    Name{KIRO_FAIL_METHOD, "method"},
    Name{KIRO_FAIL_NOT_BUILT, "not_built"},
    Name{KIRO_FAIL_MODEL_NOT_FOUND, "model_not_found"},
    Name{KIRO_FAIL_ITEM_NOT_FOUND, "item_not_found"},
    Name{KIRO_FAIL_RESPONSE_NOT_FOUND, "response_not_found"},
    Name{KIRO_FAIL_CONTEXT_OVERFLOW, "context_overflow"},
    Name{KIRO_FAIL_CLIENT_TIMEOUT, "client_timeout"},
    Name{KIRO_FAIL_TOO_MANY_REQUESTS, "too_many_requests"},
    Name{KIRO_FAIL_BUDGET, "budget"},
    Name{KIRO_FAIL_BUSY, "busy"},
    Name{KIRO_FAIL_RATE_LIMITED, "rate_limited"},
    Name{KIRO_FAIL_QUOTA, "quota"},
    Name{KIRO_FAIL_OVERLOADED, "overloaded"},
    Name{KIRO_FAIL_AUTH_EXPIRED, "auth_expired"},
    Name{KIRO_FAIL_LOGIN_REQUIRED, "login_required"},
    Name{KIRO_FAIL_TOKEN_TIMEOUT, "token_timeout"},
    Name{KIRO_FAIL_ACCESS_DENIED, "access_denied"},
    Name{KIRO_FAIL_SUSPENDED, "suspended"},
    Name{KIRO_FAIL_UPSTREAM_REFUSED, "upstream_refused"},
    Name{KIRO_FAIL_UPSTREAM_ERROR, "upstream_error"},
    Name{KIRO_FAIL_UPSTREAM_CONNECT, "upstream_connect"},
    Name{KIRO_FAIL_UPSTREAM_TLS, "upstream_tls"},
    Name{KIRO_FAIL_UPSTREAM_TIMEOUT, "upstream_timeout"},
    Name{KIRO_FAIL_UPSTREAM_CUT, "upstream_cut"},
    Name{KIRO_FAIL_UPSTREAM_PROTOCOL, "upstream_protocol"},
    Name{KIRO_FAIL_UPSTREAM_EMPTY, "upstream_empty"},
    Name{KIRO_FAIL_UNAVAILABLE, "unavailable"},
    Name{KIRO_FAIL_INTERNAL, "internal"},
};
static_assert(kNames.size() == KIRO_FAIL_MAX, "one row a kind");

struct Final {
    kiro_failure_kind kind;
    bool always; // else if the core said that a retry is in vain
};

constexpr std::array kFinal{
    Final{KIRO_FAIL_QUOTA, true},
    Final{KIRO_FAIL_SUSPENDED, true},
    Final{KIRO_FAIL_LOGIN_REQUIRED, true},
    Final{KIRO_FAIL_AUTH_EXPIRED, true},
    Final{KIRO_FAIL_UPSTREAM_TLS, true},
    Final{KIRO_FAIL_NOT_BUILT, true},
    Final{KIRO_FAIL_BUDGET, false},
    Final{KIRO_FAIL_RATE_LIMITED, false},
    Final{KIRO_FAIL_UPSTREAM_ERROR, false},
    Final{KIRO_FAIL_UPSTREAM_EMPTY, false},
    Final{KIRO_FAIL_UPSTREAM_PROTOCOL, false},
};

struct StatusKind {
    int status;
    kiro_failure_kind kind;
};

constexpr std::array kStatuses{
    StatusKind{400, KIRO_FAIL_INVALID_REQUEST},
    StatusKind{401, KIRO_FAIL_UNAUTHENTICATED},
    StatusKind{403, KIRO_FAIL_FORBIDDEN},
    StatusKind{404, KIRO_FAIL_NOT_FOUND},
    StatusKind{405, KIRO_FAIL_METHOD},
    StatusKind{408, KIRO_FAIL_CLIENT_TIMEOUT},
    StatusKind{413, KIRO_FAIL_TOO_LARGE},
    StatusKind{414, KIRO_FAIL_TOO_LARGE},
    StatusKind{415, KIRO_FAIL_UNSUPPORTED},
    StatusKind{429, KIRO_FAIL_TOO_MANY_REQUESTS},
    StatusKind{431, KIRO_FAIL_TOO_LARGE},
    StatusKind{494, KIRO_FAIL_TOO_LARGE}, // nginx: request header too large
    StatusKind{500, KIRO_FAIL_INTERNAL},
    StatusKind{501, KIRO_FAIL_NOT_BUILT},
    StatusKind{502, KIRO_FAIL_UPSTREAM_CONNECT},
    StatusKind{503, KIRO_FAIL_UNAVAILABLE},
    StatusKind{504, KIRO_FAIL_UPSTREAM_TIMEOUT},
};

bool continuation(char c) noexcept {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Makes the buffer valid, printable UTF-8. truncated: the end may be half a character.
void clean(char *text, std::size_t len, bool truncated) noexcept {
    if (truncated) {
        while (len > 0 && continuation(text[len - 1])) {
            --len;
        }
        if (len > 0 && static_cast<unsigned char>(text[len - 1]) >= 0xC0) {
            --len;
        }
        text[len] = '\0';
    }
    const bool valid = simdjson::validate_utf8(text, len);
    for (std::size_t i = 0; i < len; ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c < 0x20 || c == 0x7F) {
            text[i] = ' ';
        } else if (c >= 0x80 && !valid) {
            text[i] = '?';
        }
    }
}

} // namespace

extern "C" {

void kiro_failure_set(kiro_failure *f, kiro_failure_kind kind, const char *fmt, ...) {
    std::memset(f, 0, sizeof(*f));
    f->kind = kind;

    std::va_list args;
    va_start(args, fmt);
    const int n = std::vsnprintf(f->message, sizeof(f->message), fmt, args);
    va_end(args);
    if (n < 0) {
        f->message[0] = '\0';
        return;
    }
    const auto wanted = static_cast<std::size_t>(n);
    const std::size_t len = std::min(wanted, sizeof(f->message) - 1);
    clean(f->message, len, wanted > len);
}

const char *kiro_failure_name(kiro_failure_kind kind) {
    const auto row =
        std::find_if(kNames.begin(), kNames.end(), [kind](const Name &name) { return name.kind == kind; });
    return row == kNames.end() ? "internal" : row->name;
}

const char *kiro_change_name(kiro_change change) {
    switch (change) {
    case KIRO_CHANGE_NONE:
    case KIRO_CHANGE_MAX:
        break;
    case KIRO_CHANGE_DROP_FIELDS:
        return "drop_fields";
    case KIRO_CHANGE_DROP_REASONING:
        return "drop_reasoning";
    case KIRO_CHANGE_REPAIR_OUTPUT:
        return "repair_output";
    }
    return "none";
}

int kiro_failure_final(const kiro_failure *f) {
    return std::any_of(kFinal.begin(), kFinal.end(), [f](const Final &row) {
        return row.kind == f->kind && (row.always || f->retry == KIRO_RETRY_NEVER);
    });
}

int kiro_failure_status(kiro_api api, kiro_failure_kind kind) {
    return api == KIRO_API_ANTHROPIC ? kiro::anthropic::error_status(kind)
                                     : kiro::openai_chat::error_status(kind);
}

kiro_failure_kind kiro_failure_of_status(int status) {
    const auto row = std::find_if(kStatuses.begin(), kStatuses.end(),
                                  [status](const StatusKind &row_) { return row_.status == status; });
    if (row != kStatuses.end()) {
        return row->kind;
    }
    return status >= 400 && status < 500 ? KIRO_FAIL_INVALID_REQUEST : KIRO_FAIL_INTERNAL;
}

size_t kiro_failure_body(kiro_api api, const kiro_failure *f, kiro_str request_id, char *buf, size_t cap) {
    return kiro_failure_body_explained(api, f, request_id, {}, buf, cap);
}

size_t kiro_failure_body_explained(kiro_api api, const kiro_failure *f, kiro_str request_id,
                                   kiro_str explanation, char *buf, size_t cap) {
    const std::span<char> out(buf, cap);
    const string_view more(explanation.data, explanation.len);
    if (api == KIRO_API_ANTHROPIC) {
        // An id is ours and short; a longer one would break the promise of 2048 bytes.
        const string_view id(request_id.data, std::min<std::size_t>(request_id.len, 128));
        return kiro::anthropic::error_body(*f, more, id, out);
    }
    const bool responses = api == KIRO_API_OPENAI_RESPONSES;
    return kiro::openai_chat::error_body(*f, more, out, responses ? "input" : "messages");
}

} // extern "C"
