
/*
 * How a request ends: with a whole answer, at the end of a stream, or with the
 * failure of its last attempt.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_state.h"


static void ngx_http_kiro_exchange_give_up(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_exchange_last(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);


void
ngx_http_kiro_exchange_fail(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_uint_t     level;
    kiro_failure  *f;

    ctx->state = NGX_HTTP_KIRO_DONE;

    ngx_http_kiro_state_leave(ctx);
    ngx_http_kiro_queue_leave(ctx);

    /* what an account is in was logged once */

    level = ctx->held ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, r->connection->log, 0,
                  "kiro: request failed after %ui attempt%s: %s, upstream "
                  "status %d", ctx->attempts, ctx->attempts == 1 ? "" : "s",
                  kiro_failure_name(ctx->failure.kind),
                  ctx->failure.upstream_status);

    /* better than nothing, if not in the form that was asked for */

    if (ctx->first_reply) {
        ngx_http_kiro_drop_reply(ctx);
        ctx->reply = ctx->first_reply;
        ctx->first_reply = NULL;
    }

    /* an answer that broke in the gate: its calls are lost, too */

    if (ctx->reply && ctx->call == KIRO_CALL_MODEL) {
        (void) kiro_reply_abort(ctx->reply, &ctx->failure);
        ngx_http_kiro_notice_settle(ctx);
    }

    /* what there is may be an answer: of a search that failed, of a cut call */

    if (ctx->reply && kiro_reply_settle(ctx->reply, &ctx->failure) == KIRO_OK) {
        ngx_http_kiro_exchange_complete(r, ctx);
        return;
    }

    if (ngx_http_kiro_fall_back(r, ctx)) {
        return;
    }

    ngx_http_kiro_ping_stop(ctx);

    /* delays are the service's to name, but for Codex a 429 without is final */

    f = &ctx->failure;

    if (ctx->api == KIRO_API_OPENAI_RESPONSES
        && f->kind == KIRO_FAIL_RATE_LIMITED
        && f->retry_after_ms == 0 && !kiro_failure_final(f))
    {
        f->retry_after_ms = ngx_max(ctx->conf->retry_delay_max, 1000);
    }

    if (ctx->early) {
        ngx_http_kiro_exchange_give_up(r, ctx);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_kiro_send_failure(r, ctx,
                                                            &ctx->failure));
}


/* the headers are out: a stream of nothing but the error */

static void
ngx_http_kiro_exchange_give_up(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    kiro_request_info  info;

    kiro_request_get_info(ctx->kreq, &info);

    /* not the last attempt's reply: it may have begun something */

    if (ngx_http_kiro_create_reply(ctx, info.client_model) != NGX_OK
        || kiro_reply_give_up(ctx->reply, &ctx->failure) != KIRO_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_kiro_exchange_last(r, ctx);
}


/* a whole answer is in the reply: one object, or a stream that ended at once */

void
ngx_http_kiro_exchange_complete(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx)
{
    ngx_int_t  rc;
    kiro_str   piece;

    ctx->state = NGX_HTTP_KIRO_DONE;

    ngx_http_kiro_queue_leave(ctx);

    ngx_http_kiro_notice_settle(ctx);

    if (!ctx->stream) {

        ctx->answered = 1;

        if (kiro_reply_next(ctx->reply, &piece) != KIRO_OK
            || ngx_http_kiro_id_header(r, ctx) != NGX_OK
            || ngx_http_kiro_usage_headers(r, ctx) != NGX_OK)
        {
            ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
            return;
        }

        ngx_http_finalize_request(r, ngx_http_kiro_send_json(r, NGX_HTTP_OK,
                                             (u_char *) piece.data, piece.len));
        return;
    }

    rc = ngx_http_kiro_commit(r, ctx);

    ngx_http_kiro_ping_stop(ctx);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    ngx_http_kiro_exchange_last(r, ctx);
}


/* what the reply has is all there will be */

static void
ngx_http_kiro_exchange_last(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_buf_t    *b;
    kiro_str      piece;
    ngx_chain_t   out;

    if (kiro_reply_next(ctx->reply, &piece) != KIRO_OK) {
        ngx_http_finalize_request(r, ngx_http_send_special(r, NGX_HTTP_LAST));
        return;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    b->pos = (u_char *) piece.data;
    b->last = b->pos + piece.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));
}


/* the stream is over, whatever way: its last words were written by the core */

void
ngx_http_kiro_exchange_finish(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    const kiro_failure  *f;

    ctx->state = NGX_HTTP_KIRO_DONE;

    ngx_http_kiro_queue_leave(ctx);

    ngx_http_kiro_ping_stop(ctx);

    f = kiro_reply_failure(ctx->reply);

    if (f && f->kind != KIRO_FAIL_NONE) {
        ctx->failure = *f;

        ngx_http_kiro_state_failed(ctx);

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "kiro: the stream broke: %s", kiro_failure_name(f->kind));
    }

    ngx_http_finalize_request(r, ngx_http_send_special(r, NGX_HTTP_LAST));
}
