/*
 * The upstream's answer on its way to the client: bytes of the event stream, or of
 * a search's JSON, in (HTTP framing already removed), SSE or one JSON object out.
 *
 * Pull model: feed, once or more, then drain with kiro_reply_next() until it gives
 * KIRO_AGAIN, and feed again. Output of one feed is bounded by the input of that feed
 * (a small factor) except where a tool call is released at its end, and at the end of
 * a streamed Responses object, which repeats the text.
 */

#ifndef KIRO_REPLY_H
#define KIRO_REPLY_H

#include "kiro/kiro.h"
#include "kiro/request.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiro_reply kiro_reply;

/* When a stream passes tool calls on. A collected answer has whole ones only. */
typedef enum {
    KIRO_TOOLS_COMPLETE = 0,    /* when they are whole: a broken one never reaches the
                                   client */
    KIRO_TOOLS_INCREMENTAL      /* while they come, one at a time; one that breaks off
                                   ends where it is, and the turn as if it had reached
                                   its length. Freeform tools: when they are whole */
} kiro_tool_stream;

typedef struct {
    kiro_api            api;
    int                 stream;      /* SSE, else one JSON object */
    const kiro_request *request;     /* tool names, options of the client; NULL for
                                        kiro_filter; must outlive the reply */
    kiro_str            model;       /* what the client asked for, shown in the
                                        answer; JSON-escaped slice */
    kiro_str            id;          /* unique per reply, [A-Za-z0-9]{8,48}; the
                                        dialect puts its prefix in front */
    int64_t             created;     /* Unix seconds */
    kiro_str            request_id;  /* shown in errors where the dialect has a
                                        place for it; may be empty */
    kiro_tool_stream    tool_stream;
    size_t              max_collect; /* bytes a collected answer or one tool call
                                        may hold; 0: 32 MiB */
} kiro_reply_options;                /* views are copied */

/* What the commit gate may do now. */
typedef enum {
    KIRO_GATE_WAIT = 0,         /* nothing yet that a client would see */
    KIRO_GATE_COMMIT,           /* streaming: content is there, send headers */
    KIRO_GATE_COMPLETE,         /* the answer is whole (collected: it is in the
                                   output; streaming: it ended at once) */
    KIRO_GATE_FAILED            /* kiro_reply_failure() says why and what to do */
} kiro_gate;

#define KIRO_LOST_CALLS  88

typedef struct {
    uint64_t input_tokens;      /* with what came from a cache or went into it */
    uint64_t output_tokens;     /* with reasoning */
    uint64_t reasoning_tokens;
    uint64_t cache_read_tokens;
    uint64_t cache_write_tokens;
    kiro_str usage_source;      /* of input_tokens: "upstream": counts of the
                                   service, "percent": its percentage of the
                                   model's window, "estimate": the core's own */
    double   credits;
    double   context_percent;   /* < 0: not reported */
    kiro_str stop_reason;       /* the dialect's word; "" while the turn is open */
    int      alive;             /* a whole frame came, whatever is in it */
    int      started;           /* content came, or reasoning that is not shown */
    int      finished;          /* terminal output was written */
    int      failed;            /* ... and it was a failure; see kiro_reply_failure */
    int      lost_call;         /* the turn is over, and a tool call of it was begun
                                   but never became whole: the client got none of it, or a
                                   part that is marked as such */
    kiro_str lost_calls;        /* the tools of such calls as the model knows them, for
                                   kiro_request_notice(): [A-Za-z0-9_-], each once, a
                                   comma between, up to KIRO_LOST_CALLS bytes; "" also
                                   if the names are unknown */
} kiro_reply_info;

/* NULL: out of memory. */
kiro_reply *kiro_reply_create(const kiro_reply_options *opts);
void kiro_reply_free(kiro_reply *rep);

/* Unix seconds, before what may end the answer: Responses tell when that was.
   Never called: it is options.created. */
void kiro_reply_time(kiro_reply *rep, int64_t now);

/* Takes all n bytes. KIRO_OK also when the stream turned out to be bad: the gate
   or, after commit, the output says so. KIRO_NOMEM is fatal. */
kiro_status kiro_reply_feed(kiro_reply *rep, const char *data, size_t n);

/*
 * The upstream ended cleanly on the HTTP level. An answer that is not whole gets
 * a legal end after the commit (length, max_tokens); kiro_reply_failure() then
 * says KIRO_FAIL_UPSTREAM_CUT although info.failed is 0.
 */
kiro_status kiro_reply_eof(kiro_reply *rep);

/*
 * The transport failed. Before the commit nothing is written and the gate turns
 * FAILED; after it the dialect's in-stream error is written. If the upstream had
 * said that the answer is whole, this is the same as kiro_reply_eof().
 */
kiro_status kiro_reply_abort(kiro_reply *rep, const kiro_failure *f);

/*
 * The last attempt failed. KIRO_OK: this reply is whole now all the same, while
 * kiro_reply_failure() says f: a search tells that it failed, an answer whose tool
 * call was cut ends as one that reached its length, one that was to be repaired
 * (KIRO_CHANGE_REPAIR_OUTPUT) is given as it is. KIRO_ERROR: it has no such form, or
 * the failure is about more than the search. Before the commit only; the reply may
 * be one of an earlier attempt.
 */
kiro_status kiro_reply_settle(kiro_reply *rep, const kiro_failure *f);

/*
 * The last attempt failed and the client's headers are out although no content is:
 * writes the dialect's in-stream error and nothing else.
 */
kiro_status kiro_reply_give_up(kiro_reply *rep, const kiro_failure *f);

kiro_gate kiro_reply_gate(const kiro_reply *rep);

/* From now on failures take the in-stream form. Called once, with the headers. */
void kiro_reply_commit(kiro_reply *rep);

const kiro_failure *kiro_reply_failure(const kiro_reply *rep);

/*
 * The pending output as one piece, KIRO_AGAIN if there is none. The piece stays
 * untouched until the next kiro_reply_next(), which drops it; feeding in between
 * is allowed and does not move it.
 */
kiro_status kiro_reply_next(kiro_reply *rep, kiro_str *piece);

/* Puts the dialect's ping into the output; only after commit, never inside an event. */
kiro_status kiro_reply_ping(kiro_reply *rep);

/* True when nothing more will be written: the upstream may be closed. */
int kiro_reply_done(const kiro_reply *rep);

/* True when the upstream's last event came: only the end of its body is missing, which is
   not worth a long wait. kiro_reply_abort() then is no failure. */
int kiro_reply_whole(const kiro_reply *rep);

void kiro_reply_get_info(const kiro_reply *rep, kiro_reply_info *info);

/*
 * The upstream answered with another status than 200, or with 200 and something that
 * is not its event stream. body may be cut or empty, and was decompressed; error_type
 * is the x-amzn-errortype header or empty, retry_after the Retry-After header or
 * empty. Fills all of f.
 */
void kiro_upstream_failure(int status, kiro_str error_type,
    kiro_str retry_after, kiro_str body, kiro_failure *f);

#ifdef __cplusplus
}
#endif

#endif
