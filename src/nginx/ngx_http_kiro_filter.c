
/*
 * Header and body filters.  Three duties:
 *
 *   - the body of an attempt: event-stream frames in, the dialect's SSE out;
 *   - kiro_filter: the same for an event-stream response of any other handler;
 *   - special responses get the dialect's JSON, see ngx_http_kiro_special.c.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"
#include "ngx_http_kiro_budget.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"


/* the bit of the image filter: the two do not meet on one response */
#define NGX_HTTP_KIRO_BUFFERED  0x08

/* input that is turned into one piece of output */
#define NGX_HTTP_KIRO_FEED      16384


static ngx_int_t ngx_http_kiro_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_kiro_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_kiro_filter_cors(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf);
static ngx_int_t ngx_http_kiro_filter_begin(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf);
static void ngx_http_kiro_filter_input(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_kiro_filter_feed(ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_filter_end(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_filter_send(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_str *piece);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_int_t
ngx_http_kiro_header_filter(ngx_http_request_t *r)
{
    ngx_http_kiro_ctx_t       *ctx;
    ngx_http_kiro_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    if (ngx_http_kiro_filter_cors(r, klcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (klcf->filter) {
        return ngx_http_kiro_filter_begin(r, klcf);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx && ngx_http_kiro_budget_headers(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_kiro_special(r, klcf)
        && ngx_http_kiro_special_header(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/* to a page of another origin an answer after a fallback is as any other one */

static ngx_int_t
ngx_http_kiro_filter_cors(ngx_http_request_t *r, ngx_http_kiro_loc_conf_t *klcf)
{
    ngx_uint_t            i;
    ngx_list_part_t      *part;
    ngx_table_elt_t      *h;
    ngx_http_kiro_ctx_t  *from;

    from = ngx_http_kiro_fallback_place(r);

    if (from) {

        while (from->before) {
            from = from->before;
        }

        klcf = from->conf;

    } else if (klcf->pass == NULL && klcf->filter == 0) {
        return NGX_OK;
    }

    if (klcf->origins == NULL) {
        return NGX_OK;
    }

    /* those of another server: two of them are as bad as none */

    part = &r->headers_out.headers.part;

    for ( /* void */ ; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len > sizeof("access-control-") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "access-control-",
                                   sizeof("access-control-") - 1)
                   == 0)
            {
                h[i].hash = 0;
            }
        }
    }

    return ngx_http_kiro_cors_headers(r, klcf);
}


static ngx_int_t
ngx_http_kiro_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t          *cl;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    if (r == r->main && !ctx->filter) {

        if (ctx->replace) {
            in = ngx_http_kiro_special_body(ctx, in);
        }

        if (ctx->capture) {
            ngx_http_kiro_capture_chain(ctx, in);
        }

        return ngx_http_next_body_filter(r, in);
    }

    if (r != r->main && ctx->state != NGX_HTTP_KIRO_STREAM) {

        /* markers of an attempt that has not committed */

        for (cl = in; cl; cl = cl->next) {
            cl->buf->pos = cl->buf->last;
        }

        return NGX_OK;
    }

    if (in && ngx_chain_add_copy(r->pool, &ctx->in, in) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->filter) {
        ngx_http_kiro_filter_input(r, ctx, in);
    }

    return ngx_http_kiro_filter_drain(r);
}


/*
 * An upstream of another module that broke behind its headers: nginx gives up the
 * connection, flushes, and ends the response without a last buffer.
 */

static void
ngx_http_kiro_filter_input(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    ngx_chain_t *in)
{
    ngx_buf_t            *b;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    for ( /* void */ ; in; in = in->next) {

        b = in->buf;

        if (b->last_buf) {
            ctx->in_whole = 1;

        } else if (b->flush && ngx_buf_special(b)
                   && u && u->header_sent && u->cleanup == NULL
                   && !ctx->in_whole)
        {
            ctx->in_cut = 1;
        }
    }
}


/*
 * Sends what the reply has, then feeds it, one piece at a time: there is never
 * more than one piece on its way to the client, and input that was not fed keeps
 * the upstream from being read.
 */

ngx_int_t
ngx_http_kiro_filter_drain(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    kiro_str              piece;
    ngx_buf_t            *b;
    ngx_chain_t           last;
    kiro_status           status;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    rc = NGX_OK;

    for ( ;; ) {

        if (ctx->busy) {

            if (ctx->out_buf->pos < ctx->out_buf->last) {

                rc = ngx_http_next_body_filter(r, NULL);

                if (rc == NGX_ERROR) {
                    return NGX_ERROR;
                }

                if (ctx->out_buf->pos < ctx->out_buf->last) {
                    r->buffered |= NGX_HTTP_KIRO_BUFFERED;
                    return NGX_AGAIN;
                }
            }

            ctx->busy = 0;
        }

        /* before its last words: the client may answer them at once */

        if (kiro_reply_done(ctx->reply)) {
            ngx_http_kiro_notice_settle(ctx);
        }

        status = kiro_reply_next(ctx->reply, &piece);

        if (status == KIRO_OK) {

            rc = ngx_http_kiro_filter_send(r, ctx, &piece);

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

            continue;
        }

        if (status == KIRO_NOMEM) {
            return NGX_ERROR;
        }

        rc = ngx_http_kiro_filter_feed(ctx);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            break;
        }
    }

    r->buffered &= ~NGX_HTTP_KIRO_BUFFERED;

    if (ctx->in_last) {

        ctx->in_last = 0;

        ngx_http_kiro_filter_end(r, ctx);

        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->last_buf = 1;
        b->last_in_chain = 1;

        last.buf = b;
        last.next = NULL;

        return ngx_http_next_body_filter(r, &last);
    }

    /* the turn is over, whatever the upstream may still send */

    if (!ctx->filter && kiro_reply_done(ctx->reply) && r->upstream->length) {
        r->upstream->length = 0;
        r->upstream->keepalive = 0;
    }

    /* what later filters hold: the end of a chunk, gzip's window */

    return r->connection->buffered ? ngx_http_next_body_filter(r, NULL) : NGX_OK;
}


/* in front of an answer, of which the reply knows nothing yet */

ngx_int_t
ngx_http_kiro_filter_comment(ngx_http_request_t *r)
{
    kiro_str              piece;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx->busy && ctx->out_buf->pos < ctx->out_buf->last) {
        return ngx_http_next_body_filter(r, NULL);
    }

    piece.data = ": keep-alive\n\n";
    piece.len = sizeof(": keep-alive\n\n") - 1;

    return ngx_http_kiro_filter_send(r, ctx, &piece);
}


/*
 * Gives buffers to the reply, as many as one read of the upstream fills: a read
 * of many HTTP chunks is one write to the client.  NGX_DECLINED: there is none.
 */

static ngx_int_t
ngx_http_kiro_filter_feed(ngx_http_kiro_ctx_t *ctx)
{
    size_t        n, size;
    ngx_buf_t    *b;
    kiro_status   status;
    ngx_chain_t  *cl;
    kiro_failure  f;

    if (ctx->in == NULL && ctx->in_cut && !ctx->in_eof) {

        ctx->in_eof = 1;
        ctx->in_last = 1;

        kiro_failure_set(&f, KIRO_FAIL_UPSTREAM_CUT,
                         "the connection to the service broke");

        return kiro_reply_abort(ctx->reply, &f) == KIRO_OK ? NGX_OK : NGX_ERROR;
    }

    if (ctx->in == NULL) {
        return NGX_DECLINED;
    }

    size = 0;

    do {
        cl = ctx->in;

        b = cl->buf;
        n = b->last - b->pos;

        status = KIRO_OK;

        if (n && ngx_buf_in_memory(b)) {
            if (ctx->capture && ctx->filter) {
                ngx_http_kiro_capture_raw(ctx, b->pos, n);
            }

            status = kiro_reply_feed(ctx->reply, (char *) b->pos, n);
            b->pos = b->last;
            size += n;
        }

        if (status == KIRO_OK && !ctx->in_eof
            && (b->last_buf || (b->last_in_chain && !ctx->filter)))
        {
            ctx->in_eof = 1;
            ctx->in_last = ctx->filter;

            status = kiro_reply_eof(ctx->reply);
        }

        ctx->in = cl->next;
        ngx_free_chain(ctx->request->pool, cl);

        if (status != KIRO_OK) {
            return NGX_ERROR;
        }

    } while (ctx->in && size < NGX_HTTP_KIRO_FEED);

    if (ctx->state == NGX_HTTP_KIRO_STREAM && !ctx->in_eof
        && !ctx->gate.timer_set && kiro_reply_whole(ctx->reply))
    {
        ngx_add_timer(&ctx->gate, NGX_HTTP_KIRO_END_TIMEOUT);
    }

    return NGX_OK;
}


/* of kiro_filter: nobody else tells how it ended */

static void
ngx_http_kiro_filter_end(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    const kiro_failure  *f;

    f = kiro_reply_failure(ctx->reply);

    if (f->kind == KIRO_FAIL_NONE) {
        return;
    }

    ctx->failure = *f;

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "kiro: the stream broke: %s", kiro_failure_name(f->kind));
}


static ngx_int_t
ngx_http_kiro_filter_send(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    kiro_str *piece)
{
    ngx_buf_t  *b;

    if (ctx->capture) {
        ngx_http_kiro_capture_sent(ctx, (u_char *) piece->data, piece->len);
    }

    if (ctx->out == NULL) {

        ctx->out_buf = ngx_calloc_buf(r->pool);
        ctx->out = ngx_alloc_chain_link(r->pool);

        if (ctx->out_buf == NULL || ctx->out == NULL) {
            return NGX_ERROR;
        }
    }

    b = ctx->out_buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->pos = (u_char *) piece->data;
    b->last = b->pos + piece->len;
    b->start = b->pos;
    b->end = b->last;
    b->memory = 1;
    b->flush = 1;
    b->tag = (ngx_buf_tag_t) &ngx_http_kiro_filter_send;

    ctx->out->buf = b;
    ctx->out->next = NULL;

    ctx->busy = 1;
    ctx->last_out = ngx_current_msec;

    return ngx_http_next_body_filter(r, ctx->out);
}


/* the length of the type leaves out the charset, as filters compare it */

void
ngx_http_kiro_sse_type(ngx_http_request_t *r)
{
    ngx_str_set(&r->headers_out.content_type,
                "text/event-stream; charset=utf-8");
    r->headers_out.content_type_len = sizeof("text/event-stream") - 1;
    r->headers_out.content_type_lowcase = NULL;
}


static ngx_int_t
ngx_http_kiro_filter_begin(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf)
{
    kiro_str              model;
    ngx_http_kiro_ctx_t  *ctx;

    static ngx_str_t  type = ngx_string("application/vnd.amazon.eventstream");

    if (r->headers_out.status != NGX_HTTP_OK
        || r->headers_out.content_type.len < type.len
        || ngx_strncasecmp(r->headers_out.content_type.data, type.data,
                           type.len)
           != 0)
    {
        return ngx_http_next_header_filter(r);
    }

    if (r->headers_out.content_encoding
        && r->headers_out.content_encoding->value.len)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "kiro_filter cannot read a response that is encoded "
                      "with \"%V\", it stays as it is",
                      &r->headers_out.content_encoding->value);
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_kiro_create_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->api = klcf->filter - 1;
    ctx->stream = 1;

    model.data = "kiro";
    model.len = sizeof("kiro") - 1;

    if (ngx_http_kiro_create_reply(ctx, model) != NGX_OK) {
        return NGX_ERROR;
    }

    kiro_reply_commit(ctx->reply);

    ctx->filter = 1;

    ngx_http_kiro_sse_type(r);

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    r->allow_ranges = 0;
    r->main_filter_need_in_memory = 1;

    return ngx_http_next_header_filter(r);
}


ngx_int_t
ngx_http_kiro_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_kiro_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_kiro_body_filter;

    return NGX_OK;
}
