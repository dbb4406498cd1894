/*
 * A client's request on its way to the upstream: bytes of the client's JSON
 * in, bytes of the Kiro JSON out.
 *
 *   kiro_request_create(len) -> copy the body into kiro_request_buffer()
 *   -> kiro_request_parse() -> kiro_request_write() once per profile ARN
 */

#ifndef KIRO_REQUEST_H
#define KIRO_REQUEST_H

#include "kiro/kiro.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiro_request kiro_request;

typedef struct {
    kiro_str from;              /* as the client writes it, compared after trimming */
    kiro_str to;                /* upstream id, or a name that the rules make one */
} kiro_model_alias;

/* How a model is asked to think. */
typedef enum {
    KIRO_THINKING_AUTO = 0,     /* natively where the model can; by tags else, if the
                                   client asks for it */
    KIRO_THINKING_NATIVE,       /* natively only */
    KIRO_THINKING_TAGS,         /* by tags only */
    KIRO_THINKING_OFF           /* not at all, whatever the client asks */
} kiro_thinking;

typedef struct {
    kiro_api                api;
    kiro_str                default_model;  /* for a request without one; may be empty */
    const kiro_model_alias *aliases;
    size_t                  naliases;
    kiro_str                session;        /* session hint of a client header, may be empty */
    kiro_str                account;        /* what reasoning is bound to: changes with the
                                               login, never sent anywhere; may be empty */
    kiro_thinking           thinking;
    int                     rescue_tool_calls; /* of a declared tool, written as text: real calls
                                                  in replies, gone from history */
    kiro_str                catalogue;      /* kiro/models.h; empty: the built-in models */
    int                     known_models;   /* refuse names that neither the catalogue nor an
                                               alias has; not with the built-in models,
                                               which are not all there are */
    int                     count_only;     /* a body of count_tokens: not to be written */
    int                     explain;        /* keep a record of changes: kiro/explain.h */
} kiro_request_options;         /* views must stay valid during parse only */

/* What the upstream is asked for. */
typedef enum {
    KIRO_CALL_MODEL = 0,        /* GenerateAssistantResponse; the answer is an event stream */
    KIRO_CALL_SEARCH            /* InvokeMCP; the answer is one JSON object */
} kiro_call;

typedef struct {
    kiro_str client_model;      /* as asked (or the default), JSON-escaped */
    kiro_str model;             /* upstream id, JSON-escaped */
    int      known_model;       /* of the catalogue, or of the operator's aliases */
    kiro_str conversation;      /* upstream conversation id, deterministic; a bare
                                   UUID, without the prefix that a wire adds */
    int      stream;            /* the client wants SSE */
    kiro_call call;             /* what kiro_request_write() gives */
    uint64_t max_tokens;        /* of the answer, as asked; 0: no limit */
    size_t   tools;             /* that go up, also those that were called earlier only */
    int      notice;            /* kiro_request_notice() is in what was written last, or will
                                   be in the first write */
    kiro_str lost_calls;        /* what it tells of; may be empty */
} kiro_request_info;            /* valid as long as the request; lost_calls until the next
                                   kiro_request_notice() */

/* A request with room for len bytes of body. NULL: out of memory. */
kiro_request *kiro_request_create(size_t len);
void kiro_request_free(kiro_request *req);

/*
 * One more owner, who frees it as well: the last one's free counts. From any
 * thread.
 */
kiro_request *kiro_request_ref(kiro_request *req);

/* len writable bytes. */
char *kiro_request_buffer(kiro_request *req);

/*
 * Parses the buffer. KIRO_ERROR: f says what and where. The request keeps
 * slices of its buffer, so the buffer must not change afterwards.
 */
kiro_status kiro_request_parse(kiro_request *req,
    const kiro_request_options *opts, kiro_failure *f);

void kiro_request_get_info(const kiro_request *req, kiro_request_info *info);

/*
 * The Kiro JSON. profile_arn may be empty: the member is then omitted.
 * The view is valid until the next write or free.
 */
kiro_status kiro_request_write(kiro_request *req, kiro_wire wire,
    kiro_str profile_arn, kiro_str *body, kiro_failure *f);

/* Bytes of text that kiro_request_count() has to read; images do not matter. */
size_t kiro_request_text(const kiro_request *req);

/*
 * Counts the tokens of the prompt: about 5 us a kilobyte, up to 250 for texts made
 * to be slow. The only function that another thread may run while the request is
 * used, by an owner and once. KIRO_NOMEM: the estimate stays.
 */
kiro_status kiro_request_count(kiro_request *req);

/* Tokens of the prompt: as counted, or estimated as long as they are not. */
uint64_t kiro_request_tokens(const kiro_request *req);

/*
 * Tells the model, in the current message of all later writes, that its last answer
 * was cut before calls of these tools were complete (kiro_reply_info.lost_calls, may
 * be empty). There is one notice: later calls add their tools to it. It is not counted,
 * and it is left out where it would make the request too large (kiro_request_info.notice).
 * KIRO_ERROR: no model is asked.
 */
kiro_status kiro_request_notice(kiro_request *req, kiro_str tools);

/*
 * Changes what the next write gives, after a failure with KIRO_RETRY_CHANGED.
 * KIRO_ERROR: it has been changed so before, or there is nothing to change: the
 * failure stands. Replies of the changed request do not fail like that again.
 */
kiro_status kiro_request_change(kiro_request *req, const kiro_failure *why);

#ifdef __cplusplus
}
#endif

#endif
