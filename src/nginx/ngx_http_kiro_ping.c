
/*
 * Silence towards a client that streams: pings in an answer, and the headers and
 * comments in front of one that lets wait for itself.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_stats.h"


static void ngx_http_kiro_ping_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_kiro_ping_early(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);


void
ngx_http_kiro_ping_init(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ctx->ping.handler = ngx_http_kiro_ping_handler;
    ctx->ping.data = ctx;
    ctx->ping.log = r->connection->log;

    if (ctx->stream && ctx->conf->early_headers) {
        ngx_add_timer(&ctx->ping, ctx->conf->early_headers);
    }
}


/* the answer begins */

void
ngx_http_kiro_ping_start(ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_ping_stop(ctx);

    ctx->last_out = ngx_current_msec;

    if (ctx->conf->ping_interval) {
        ngx_add_timer(&ctx->ping, ctx->conf->ping_interval);
    }
}


void
ngx_http_kiro_ping_stop(ngx_http_kiro_ctx_t *ctx)
{
    if (ctx->ping.timer_set) {
        ngx_del_timer(&ctx->ping);
    }
}


/* the status and headers of every stream */

ngx_int_t
ngx_http_kiro_stream_header(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_str_t  value;

    if (ngx_http_kiro_id_header(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;

    ngx_http_clear_content_length(r);

    ngx_str_set(&value, "no-cache");

    if (ngx_http_kiro_add_header(r, "Cache-Control", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&value, "no");

    if (ngx_http_kiro_add_header(r, "X-Accel-Buffering", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_kiro_sse_type(r);

    /* as nginx does where it does not buffer: a delayed write would not end */

    r->limit_rate = 0;
    r->limit_rate_set = 1;

    ctx->own = 1;

    ngx_http_kiro_stats_stream(ctx);

    return ngx_http_send_header(r);
}


static void
ngx_http_kiro_ping_handler(ngx_event_t *ev)
{
    ngx_int_t             rc;
    ngx_msec_t            silent;
    ngx_uint_t            answering;
    ngx_connection_t     *c;
    ngx_http_request_t   *r, *active;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    answering = (ctx->state == NGX_HTTP_KIRO_STREAM);

    if (ctx->state == NGX_HTTP_KIRO_DONE
        || (answering && ctx->attempt.request == NULL))
    {
        return;
    }

    silent = ngx_current_msec - ctx->last_out;

    if ((answering || ctx->early) && silent < ctx->conf->ping_interval) {
        ngx_add_timer(ev, ctx->conf->ping_interval - silent);
        return;
    }

    if (ctx->conf->ping_interval) {
        ngx_add_timer(ev, ctx->conf->ping_interval);
    }

    if (c->error) {
        return;
    }

    /* output goes through the request that nginx takes for the active one */

    active = ctx->attempt.request ? ctx->attempt.request : r;

    ngx_http_set_log_request(c->log, active);

    if (!answering) {
        rc = ngx_http_kiro_ping_early(r, ctx);

        if (rc == NGX_OK && active == c->data) {
            rc = ngx_http_kiro_filter_comment(active);
        }

    } else {

        /* a client that is slow to read has something to read */

        if (ctx->busy || c->buffered) {
            return;
        }

        rc = kiro_reply_ping(ctx->reply) == KIRO_OK
             ? ngx_http_kiro_filter_drain(active) : NGX_OK;
    }

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client closed connection while a ping was sent");

        /* a check of the client, ours or the upstream's, ends the request */

        c->error = 1;

        if (active == r) {
            ngx_http_finalize_request(r, NGX_ERROR);
            ngx_http_run_posted_requests(c);
            return;
        }

        ngx_post_event(c->read, &ngx_posted_events);
        return;
    }

    if (c->buffered) {

        if (answering) {
            ngx_post_event(c->write, &ngx_posted_events);

        } else {
            (void) ngx_handle_write_event(c->write, 0);
        }
    }

    ngx_http_run_posted_requests(c);
}


/*
 * Headers while nothing is known of the answer.  Nothing else changes: attempts
 * can still be repeated, but a failure has no status any more.
 */

static ngx_int_t
ngx_http_kiro_ping_early(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->early) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "kiro: no answer after %M ms, headers are sent to the client "
                  "meanwhile", ctx->conf->early_headers);

    ctx->early = 1;

    rc = ngx_http_kiro_stream_header(r, ctx);

    return rc == NGX_ERROR || rc > NGX_OK ? NGX_ERROR : NGX_OK;
}
