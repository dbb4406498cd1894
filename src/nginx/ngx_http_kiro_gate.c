
/*
 * The body of an attempt.  Until the commit gate opens nginx believes that it
 * still reads the response header; everything that fails before that can be tried
 * again.  Behind the gate the frames go to the body filter.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_exchange.h"


typedef ngx_int_t (*ngx_http_kiro_take_pt)(ngx_http_request_t *sr, u_char *p,
    size_t n);


static ngx_int_t ngx_http_kiro_unframe(ngx_http_request_t *sr, ngx_buf_t *b,
    off_t *length, ngx_http_kiro_take_pt take);
static kiro_status ngx_http_kiro_malformed(ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_gate_bytes(ngx_http_request_t *sr, u_char *p,
    size_t n);
static ngx_uint_t ngx_http_kiro_gate_streams(ngx_http_kiro_ctx_t *ctx,
    u_char *p, size_t n);
static ngx_int_t ngx_http_kiro_gate_verdict(ngx_http_request_t *sr,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_input_chain(ngx_http_request_t *sr, u_char *p,
    size_t n);


/*
 * Digests body bytes while nginx believes that it reads a header.  The buffer is
 * rewound each time, so that nothing is ever "too big".
 */

ngx_int_t
ngx_http_kiro_gate(ngx_http_request_t *sr)
{
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;
    b = &u->buffer;

    kiro_reply_time(ctx->reply, ngx_time());

    if (at->length == 0) {
        at->eof = 1;
    }

    rc = ngx_http_kiro_unframe(sr, b, &at->length, ngx_http_kiro_gate_bytes);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_ABORT) {

        if (at->error_body) {
            at->eof = 1;

        } else if (ngx_http_kiro_malformed(ctx) != KIRO_OK) {
            return NGX_ERROR;
        }
    }

    if (at->eof) {

        /* bytes after the body: the connection is not to be trusted */

        u->keepalive = !at->close && b->pos == b->last;
    }

    b->pos = b->start;
    b->last = b->start;

    return ngx_http_kiro_gate_verdict(sr, ctx);
}


/*
 * Takes the HTTP framing off and sets at->eof at the body's end; length: what is
 * left of a body without chunks, or -1.  NGX_ABORT: the framing is malformed.
 */

static ngx_int_t
ngx_http_kiro_unframe(ngx_http_request_t *sr, ngx_buf_t *b, off_t *length,
    ngx_http_kiro_take_pt take)
{
    off_t                     left;
    size_t                    size;
    ngx_int_t                 rc;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;

    while (b->pos < b->last && !at->eof) {

        left = *length;

        if (at->chunked) {

            rc = ngx_http_kiro_parse_chunked(sr, b, &at->chunked_ctx);

            if (rc == NGX_AGAIN) {
                return NGX_OK;
            }

            if (rc == NGX_DONE) {
                at->eof = 1;
                return NGX_OK;
            }

            if (rc != NGX_OK) {
                ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                              "upstream sent invalid chunked response");

                at->close = 1;

                return NGX_ABORT;
            }

            left = at->chunked_ctx.size;
        }

        size = b->last - b->pos;

        if (left != -1) {
            size = (size_t) ngx_min((off_t) size, left);
            left -= size;
        }

        if (take(sr, b->pos, size) != NGX_OK) {
            return NGX_ERROR;
        }

        b->pos += size;

        if (at->chunked) {
            at->chunked_ctx.size = left;

        } else {
            *length = left;
            at->eof = (left == 0);
        }
    }

    return NGX_OK;
}


static kiro_status
ngx_http_kiro_malformed(ngx_http_kiro_ctx_t *ctx)
{
    kiro_failure  f;

    kiro_failure_set(&f, KIRO_FAIL_UPSTREAM_PROTOCOL,
                     "the service sent a malformed response");
    f.retry = KIRO_RETRY_BACKOFF;

    return kiro_reply_abort(ctx->reply, &f);
}


/* the body is kept to tell what it says */

ngx_int_t
ngx_http_kiro_no_stream(ngx_http_request_t *sr, ngx_http_kiro_attempt_t *at)
{
    at->error_body = ngx_create_temp_buf(sr->pool, 4096);

    return at->error_body ? NGX_OK : NGX_ERROR;
}


/*
 * Does the body of a 200 begin as it should?  A message of the event stream has
 * less than 32 megabytes, so its first byte is 0 or 1, and a page's is not.  The
 * type alone may be wrong, and proxies change it.
 */

static ngx_uint_t
ngx_http_kiro_gate_streams(ngx_http_kiro_ctx_t *ctx, u_char *p, size_t n)
{
    ngx_http_kiro_attempt_t  *at;

    static ngx_str_t  type = ngx_string("application/vnd.amazon.eventstream");

    at = &ctx->attempt;

    if (ctx->call != KIRO_CALL_MODEL) {
        return at->encoding.len == 0;
    }

    if (n) {
        return *p < 2;
    }

    /* nothing came: an empty page, or an empty answer */

    return at->content_type.len == 0
           || (at->content_type.len >= type.len
               && ngx_strncasecmp(at->content_type.data, type.data, type.len)
                  == 0);
}


static ngx_int_t
ngx_http_kiro_gate_bytes(ngx_http_request_t *sr, u_char *p, size_t n)
{
    size_t                size;
    u_char               *start;
    ngx_buf_t            *b;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    if (ctx->capture) {
        ngx_http_kiro_capture_raw(ctx, p, n);
    }

    if (n && !ctx->attempt.seen) {
        ctx->attempt.seen = 1;

        if (ctx->attempt.error_body == NULL
            && !ngx_http_kiro_gate_streams(ctx, p, n)
            && ngx_http_kiro_no_stream(sr, &ctx->attempt) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    b = ctx->attempt.error_body;

    if (b == NULL) {
        return kiro_reply_feed(ctx->reply, (char *) p, n) == KIRO_OK
               ? NGX_OK : NGX_ERROR;
    }

    if ((size_t) (b->end - b->last) < n && b->end - b->start == 4096) {

        /* few error bodies are that long: one step to the limit */

        start = ngx_pnalloc(ctx->request->pool, NGX_HTTP_KIRO_ERROR_BODY);
        if (start == NULL) {
            return NGX_ERROR;
        }

        size = b->last - b->start;

        ngx_memcpy(start, b->start, size);

        b->start = start;
        b->pos = start;
        b->last = start + size;
        b->end = start + NGX_HTTP_KIRO_ERROR_BODY;
    }

    size = ngx_min((size_t) (b->end - b->last), n);

    b->last = ngx_cpymem(b->last, p, size);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_gate_verdict(ngx_http_request_t *sr, ngx_http_kiro_ctx_t *ctx)
{
    size_t                    size;
    kiro_reply_info           info;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_attempt_t  *at;

    at = &ctx->attempt;
    u = sr->upstream;

    /* nginx sets the timer of a header once */

    ngx_add_timer(u->peer.connection->read, u->conf->read_timeout);

    if (at->eof && !at->seen && at->error_body == NULL
        && !ngx_http_kiro_gate_streams(ctx, NULL, 0)
        && ngx_http_kiro_no_stream(sr, at) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (at->error_body) {

        size = at->error_body->last - at->error_body->start;

        if (!at->eof && size < NGX_HTTP_KIRO_ERROR_BODY) {
            return NGX_AGAIN;
        }

        ngx_http_kiro_attempt_classify(ctx, NGX_OK);
        return NGX_ERROR;
    }

    if (at->eof && kiro_reply_eof(ctx->reply) != KIRO_OK) {
        return NGX_ERROR;
    }

    switch (kiro_reply_gate(ctx->reply)) {

    case KIRO_GATE_WAIT:

        /* any frame is life: a tool call that is not shown yet, for instance */

        if (!ctx->first_seen) {
            kiro_reply_get_info(ctx->reply, &info);

            if (info.alive && ctx->gate.timer_set) {
                ngx_del_timer(&ctx->gate);
            }

            if (info.started) {
                ngx_http_kiro_first_token(ctx);
                u->state->header_time = ngx_current_msec - u->start_time;
            }
        }

        if (!ctx->gate.timer_set && kiro_reply_whole(ctx->reply)) {
            ngx_add_timer(&ctx->gate, NGX_HTTP_KIRO_END_TIMEOUT);
        }

        return NGX_AGAIN;

    case KIRO_GATE_COMMIT:
        break;

    case KIRO_GATE_COMPLETE:
        if (!ctx->first_seen) {
            ngx_http_kiro_first_token(ctx);
            u->state->header_time = ngx_current_msec - u->start_time;
        }

        ctx->outcome = NGX_HTTP_KIRO_COMPLETE;
        return NGX_ERROR;

    default: /* KIRO_GATE_FAILED */
        u->keepalive = 0;
        ctx->failure = *kiro_reply_failure(ctx->reply);
        u->state->status = kiro_failure_status(ctx->api, ctx->failure.kind);
        ctx->outcome = NGX_HTTP_KIRO_FAILED;
        return NGX_ERROR;
    }

    ngx_http_kiro_first_token(ctx);

    u->headers_in.status_n = NGX_HTTP_OK;

    ctx->state = NGX_HTTP_KIRO_STREAM;

    if (!at->eof && kiro_reply_whole(ctx->reply)) {
        ngx_add_timer(&ctx->gate, NGX_HTTP_KIRO_END_TIMEOUT);
    }

    if (ngx_http_kiro_commit(sr->main, ctx) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kiro_input_filter_init(void *data)
{
    ngx_http_request_t *sr = data;

    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;

    /* what is left: 0 ends, -1 lasts until the connection is closed */

    if (at->eof) {
        u->length = 0;

    } else if (at->chunked) {
        u->length = 1;

    } else {
        u->length = at->length;
    }

    return NGX_OK;
}


/* the bytes stay where they were read */

ngx_int_t
ngx_http_kiro_input_filter(void *data, ssize_t bytes)
{
    ngx_http_request_t *sr = data;

    ngx_int_t                 rc;
    ngx_buf_t                *b, buf;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;
    b = &u->buffer;

    ngx_memzero(&buf, sizeof(ngx_buf_t));

    buf.pos = b->last;
    buf.last = b->last + bytes;

    /* back-pressure: the buffer fills while the client does not read */

    b->pos = b->last;
    b->last += bytes;

    rc = ngx_http_kiro_unframe(sr, &buf, &u->length,
                               ngx_http_kiro_input_chain);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_ABORT) {
        (void) ngx_http_kiro_malformed(ctx);
        u->length = 0;
    }

    if (at->eof) {
        u->length = 0;
        u->keepalive = !at->close && buf.pos == buf.last;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_input_chain(ngx_http_request_t *sr, u_char *p, size_t n)
{
    ngx_buf_t            *b;
    ngx_chain_t          *cl, **ll;
    ngx_http_upstream_t  *u;
    ngx_http_kiro_ctx_t  *ctx;

    if (n == 0) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    if (ctx->capture) {
        ngx_http_kiro_capture_raw(ctx, p, n);
    }

    u = sr->upstream;

    for (cl = u->out_bufs, ll = &u->out_bufs; cl; cl = cl->next) {
        ll = &cl->next;
    }

    cl = ngx_chain_get_free_buf(sr->pool, &u->free_bufs);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    *ll = cl;

    b = cl->buf;

    b->pos = p;
    b->last = p + n;
    b->memory = 1;
    b->flush = 1;
    b->tag = u->output.tag;

    return NGX_OK;
}
