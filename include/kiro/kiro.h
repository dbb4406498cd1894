/*
 * ngx_kiro: the C ABI between nginx and the core, common part.
 *
 * Rules that hold for every function of include/kiro:
 *   - handles are opaque; who creates one frees it; free functions accept NULL;
 *   - kiro_str is a view: not terminated, owned by the handle it came from,
 *     valid until the next call on that handle unless said otherwise;
 *   - no exception crosses the border; out of memory is KIRO_NOMEM or NULL;
 *   - a handle is used by one thread at a time;
 *   - times are milliseconds, wall-clock times are Unix milliseconds.
 */

#ifndef KIRO_KIRO_H
#define KIRO_KIRO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const char *data;
    size_t      len;
} kiro_str;

typedef enum {
    KIRO_OK = 0,
    KIRO_AGAIN,                 /* needs more input, or held by somebody else */
    KIRO_ERROR,                 /* the kiro_failure argument says what */
    KIRO_NOMEM
} kiro_status;

/* The client's dialect. */
typedef enum {
    KIRO_API_OPENAI_CHAT = 0,
    KIRO_API_ANTHROPIC,
    KIRO_API_OPENAI_RESPONSES
} kiro_api;

/* The shape of upstream requests, kiro-upstream 0.2. */
typedef enum {
    KIRO_WIRE_V3 = 0,
    KIRO_WIRE_V2,
    KIRO_WIRE_REST
} kiro_wire;

/*
 * What went wrong, independent of dialects. A dialect's table maps a kind to
 * HTTP status, type and code. The order is free; the names appear in
 * $kiro_error in lower case ("rate_limited").
 */
typedef enum {
    KIRO_FAIL_NONE = 0,

    /* the client's request */
    KIRO_FAIL_INVALID_JSON,
    KIRO_FAIL_INVALID_REQUEST,
    KIRO_FAIL_UNSUPPORTED,
    KIRO_FAIL_TOO_LARGE,
    KIRO_FAIL_UNAUTHENTICATED,
    KIRO_FAIL_FORBIDDEN,
    KIRO_FAIL_NOT_FOUND,
    KIRO_FAIL_METHOD,
    KIRO_FAIL_NOT_BUILT,
    KIRO_FAIL_MODEL_NOT_FOUND,
    KIRO_FAIL_ITEM_NOT_FOUND,   /* Responses: a stored item, */
    KIRO_FAIL_RESPONSE_NOT_FOUND, /* a stored response */
    KIRO_FAIL_CONTEXT_OVERFLOW,
    KIRO_FAIL_CLIENT_TIMEOUT,

    /* limits: of nginx (limit_req and others), of the upstream */
    KIRO_FAIL_TOO_MANY_REQUESTS,
    KIRO_FAIL_BUDGET,           /* kiro_budget is spent */
    KIRO_FAIL_BUSY,             /* no place among the account's calls */
    KIRO_FAIL_RATE_LIMITED,
    KIRO_FAIL_QUOTA,
    KIRO_FAIL_OVERLOADED,

    /* the operator's login */
    KIRO_FAIL_AUTH_EXPIRED,     /* the upstream refuses the bearer token */
    KIRO_FAIL_LOGIN_REQUIRED,   /* no usable token; a person must log in */
    KIRO_FAIL_TOKEN_TIMEOUT,    /* a refresh did not end in time */
    KIRO_FAIL_ACCESS_DENIED,
    KIRO_FAIL_SUSPENDED,

    /* the upstream */
    KIRO_FAIL_UPSTREAM_REFUSED, /* 400 of the upstream: our request was bad */
    KIRO_FAIL_UPSTREAM_ERROR,   /* 5xx, internal exceptions */
    KIRO_FAIL_UPSTREAM_CONNECT, /* connect, DNS, reset before the answer */
    KIRO_FAIL_UPSTREAM_TLS,     /* certificate does not verify: configuration */
    KIRO_FAIL_UPSTREAM_TIMEOUT,
    KIRO_FAIL_UPSTREAM_CUT,     /* the stream ended before the answer did */
    KIRO_FAIL_UPSTREAM_PROTOCOL,/* corrupt frame, bad CRC, bad HTTP */
    KIRO_FAIL_UPSTREAM_EMPTY,   /* 200 without any content */

    KIRO_FAIL_UNAVAILABLE,      /* 503, made by nginx or of the upstream */
    KIRO_FAIL_INTERNAL,

    KIRO_FAIL_MAX
} kiro_failure_kind;

/* What may be done about it while nothing was sent to the client. */
typedef enum {
    KIRO_RETRY_NEVER = 0,
    KIRO_RETRY_REFRESH,         /* refresh the token, then once more */
    KIRO_RETRY_BACKOFF,         /* wait, then again */
    KIRO_RETRY_NOW,             /* again at once (stale keepalive connection) */
    KIRO_RETRY_CHANGED,         /* again at once, if kiro_request_change() takes
                                   the failure's change */
    KIRO_RETRY_ONCE,            /* wait, then again, but once a request */
    KIRO_RETRY_PROFILE          /* look the profile ARN up, then once more */
} kiro_retry;

/* What makes a second attempt of the same request promising. */
typedef enum {
    KIRO_CHANGE_NONE = 0,
    KIRO_CHANGE_DROP_FIELDS,    /* additionalModelRequestFields was refused */
    KIRO_CHANGE_DROP_REASONING, /* replayed reasoning was refused */
    KIRO_CHANGE_REPAIR_OUTPUT,  /* the answer does not match the output format */

    KIRO_CHANGE_MAX
} kiro_change;

/*
 * What a failure says about the account itself: other requests would meet the
 * same. The later, the graver. Never set for what a client did wrong.
 */
typedef enum {
    KIRO_ACCOUNT_OK = 0,        /* nothing */
    KIRO_ACCOUNT_THROTTLED,     /* too many requests at the moment */
    KIRO_ACCOUNT_LIMITED,       /* temporary limits: minutes, maybe hours */
    KIRO_ACCOUNT_EXHAUSTED,     /* a quota is used up */
    KIRO_ACCOUNT_SUSPENDED,     /* by the service; its owner must act */

    KIRO_ACCOUNT_MAX
} kiro_account_state;

typedef struct {
    kiro_failure_kind kind;
    kiro_retry        retry;
    kiro_change       change;           /* for KIRO_RETRY_CHANGED */
    kiro_account_state account_state;   /* lasts for retry_after_ms, if named */
    int               upstream_status;  /* HTTP status of the upstream, 0: none */
    uint32_t          retry_after_ms;   /* as the upstream asked, 0: it did not */
    const char       *rule;             /* that a request breaks, of kiro/explain.h; NULL:
                                           the kind says enough */
    char              reason[48];       /* the upstream's own word for its refusal or "" */
    char              param[160];       /* JSON path of the bad field or "" */
    char              message[480];     /* terminated UTF-8, fit for the client:
                                           no secret, ARN or upstream body */
} kiro_failure;

/* Fills all members; formats like printf, cuts at a character boundary. */
void kiro_failure_set(kiro_failure *f, kiro_failure_kind kind,
    const char *fmt, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* "rate_limited" for KIRO_FAIL_RATE_LIMITED; never NULL. */
const char *kiro_failure_name(kiro_failure_kind kind);

/* "drop_fields" for KIRO_CHANGE_DROP_FIELDS; never NULL. */
const char *kiro_change_name(kiro_change change);

/*
 * Not 0: the same request will fail the same way until a person does something,
 * or for hours. Clients are told not to try again where they would.
 */
int kiro_failure_final(const kiro_failure *f);

/*
 * The same failure as one that lasts for ms from now: for a request that need
 * not be tried. 0: it is not known for how long.
 */
void kiro_failure_lasts(kiro_failure *f, uint32_t ms);

/* The HTTP status that the dialect uses for this kind. */
int kiro_failure_status(kiro_api api, kiro_failure_kind kind);

/* The kind for a status that nginx or another module made (401, 413, ...). */
kiro_failure_kind kiro_failure_of_status(int status);

/*
 * The dialect's JSON error body. request_id goes into the body where the
 * dialect has a place for it. Returns the length; never more than cap; 2048
 * bytes are always enough.
 */
size_t kiro_failure_body(kiro_api api, const kiro_failure *f,
    kiro_str request_id, char *buf, size_t cap);

/*
 * The same with more to say behind the message, in brackets: printable ASCII.
 * 2048 bytes and twice the explanation are always enough.
 */
size_t kiro_failure_body_explained(kiro_api api, const kiro_failure *f,
    kiro_str request_id, kiro_str explanation, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
