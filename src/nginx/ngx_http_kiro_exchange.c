
/*
 * The main request: a state machine around attempts.  It parks while it waits
 * for a token, for a back-off, or for an attempt, which is a cloned subrequest
 * with its own upstream; a single event drives it.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_stats.h"
#include "ngx_http_kiro_token.h"


static void ngx_http_kiro_exchange_step(ngx_event_t *ev);
static void ngx_http_kiro_exchange_run(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_exchange_resume(ngx_http_request_t *r);
static void ngx_http_kiro_exchange_token(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_exchange_attempt(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_exchange_attempted(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_park_writer(ngx_http_request_t *r);
static ngx_int_t ngx_http_kiro_attempt_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static void ngx_http_kiro_unwait(ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_gate_handler(ngx_event_t *ev);
static void ngx_http_kiro_exchange_cleanup(void *data);


/* called with the body read and parsed, and with one reference on the request */

void
ngx_http_kiro_exchange_start(ngx_http_request_t *r)
{
    ngx_http_cleanup_t   *cln;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    cln->handler = ngx_http_kiro_exchange_cleanup;
    cln->data = ctx;

    ctx->step.handler = ngx_http_kiro_exchange_step;
    ctx->step.data = ctx;
    ctx->step.log = r->connection->log;

    ctx->gate.handler = ngx_http_kiro_gate_handler;
    ctx->gate.data = ctx;
    ctx->gate.log = r->connection->log;

    ngx_http_kiro_ping_init(r, ctx);

    ctx->state = NGX_HTTP_KIRO_TOKEN;

    ngx_http_kiro_park(r);

    /* not from inside of the body callback: HTTP/2 needs posted requests run */

    ngx_http_kiro_exchange_wake(ctx);
}


void
ngx_http_kiro_exchange_wake(ngx_http_kiro_ctx_t *ctx)
{
    if (ctx->step.timer_set) {
        ngx_del_timer(&ctx->step);
    }

    ngx_post_event(&ctx->step, &ngx_posted_events);
}


/* makes a parked request notice that its client left */

void
ngx_http_kiro_park(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_kiro_park_writer;

    /* edge triggered: what came before is not told again */

    if (c->read->ready || c->read->pending_eof) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        c->error = 1;
    }
}


/* early headers or comments that the client was too slow to take */

static void
ngx_http_kiro_park_writer(ngx_http_request_t *r)
{
    if (r->connection->buffered
        && ngx_http_output_filter(r, NULL) == NGX_ERROR)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static void
ngx_http_kiro_exchange_step(ngx_event_t *ev)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_kiro_exchange_run(r, ctx);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_kiro_exchange_run(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "kiro exchange state: %ui", ctx->state);

    switch (ctx->state) {

    case NGX_HTTP_KIRO_TOKEN:
    case NGX_HTTP_KIRO_WAIT_TOKEN:
        ngx_http_kiro_exchange_token(r, ctx);
        return;

    case NGX_HTTP_KIRO_WAIT_PLACE:
        if (ngx_http_kiro_queue_resume(ctx) != NGX_OK) {
            ngx_http_kiro_exchange_fail(r, ctx);
            return;
        }

        /* the token may have become old meanwhile */

        ctx->state = NGX_HTTP_KIRO_TOKEN;
        ngx_http_kiro_exchange_token(r, ctx);
        return;

    case NGX_HTTP_KIRO_BACKOFF:
        ctx->state = NGX_HTTP_KIRO_TOKEN;
        ngx_http_kiro_exchange_token(r, ctx);
        return;

    case NGX_HTTP_KIRO_CONNECT:
        ngx_http_kiro_dialled(r, ctx);
        return;

    case NGX_HTTP_KIRO_ATTEMPT:
    case NGX_HTTP_KIRO_STREAM:
        if (ctx->attempt.request == NULL) {
            ngx_http_kiro_exchange_attempted(r, ctx);
        }

        return;

    default: /* NGX_HTTP_KIRO_DONE */
        return;
    }
}


static void
ngx_http_kiro_exchange_token(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_msec_int_t            left;
    ngx_http_kiro_account_t  *account;

    if (ctx->caller) {
        ngx_http_kiro_exchange_attempt(r, ctx);
        return;
    }

    account = ctx->peer->account;

    /* no need for a token if the account is not to be called */

    ctx->held = 0;

    rc = ctx->probe ? NGX_OK
                    : ngx_http_kiro_state_check(account, &ctx->failure);

    if (rc != NGX_OK) {
        ctx->held = 1;
        ngx_http_kiro_unwait(ctx);
        ngx_http_kiro_exchange_retry(r, ctx);
        return;
    }

    rc = ngx_http_kiro_token_get(account, r->pool, &ctx->token, &ctx->failure);

    if (rc == NGX_OK) {
        ngx_http_kiro_unwait(ctx);

        /* a login that is of no use is told without a wait for a place */

        rc = ngx_http_kiro_queue_enter(ctx);

        if (rc == NGX_OK) {

            if (ngx_http_kiro_state_enter(ctx) != NGX_OK) {
                ngx_http_kiro_exchange_retry(r, ctx);
                return;
            }

            ngx_http_kiro_exchange_attempt(r, ctx);
            return;
        }

        if (rc == NGX_AGAIN) {
            ctx->state = NGX_HTTP_KIRO_WAIT_PLACE;
            return;
        }
    }

    if (rc == NGX_ERROR) {
        ngx_http_kiro_unwait(ctx);
        ngx_http_kiro_exchange_fail(r, ctx);
        return;
    }

    if (ctx->state == NGX_HTTP_KIRO_TOKEN) {
        ctx->state = NGX_HTTP_KIRO_WAIT_TOKEN;
        ctx->token_deadline = ngx_current_msec
                              + ngx_http_kiro_token_patience(account);
    }

    left = (ngx_msec_int_t) (ctx->token_deadline - ngx_current_msec);

    if (left <= 0) {
        ngx_http_kiro_unwait(ctx);

        if (!ngx_http_kiro_profile_late(account, &ctx->token, &ctx->failure)) {
            kiro_failure_set(&ctx->failure, KIRO_FAIL_TOKEN_TIMEOUT,
                             "the gateway could not refresh its login in time");
        }

        ngx_http_kiro_exchange_fail(r, ctx);
        return;
    }

    ngx_add_timer(&ctx->step, (ngx_msec_t) left);

    ngx_http_kiro_token_wait(account, ctx);
}


static void
ngx_http_kiro_unwait(ngx_http_kiro_ctx_t *ctx)
{
    if (ctx->waiting) {
        ngx_queue_remove(&ctx->waiter);
        ctx->waiting = 0;
        ctx->token_time += ngx_current_msec - ctx->token_since;
    }
}


static void
ngx_http_kiro_exchange_attempt(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    kiro_str           arn, body;
    kiro_status        status;
    kiro_request_info  info;

    ctx->region = ngx_http_kiro_region(ctx->peer->account, &ctx->token.arn,
                                       &ctx->failure);

    if (ctx->region == NULL) {
        ngx_http_kiro_exchange_fail(r, ctx);
        return;
    }

    /* the legacy hosts do not know the ARN that stands for a Builder ID */

    arn = ngx_http_kiro_str(&ctx->token.arn);

    if (ctx->token.builder_id && ctx->region->legacy) {
        arn.len = 0;
    }

    status = kiro_request_write(ctx->kreq, ctx->peer->account->wire, arn, &body,
                                &ctx->failure);

    if (status == KIRO_ERROR) {
        ngx_http_kiro_exchange_fail(r, ctx);
        return;
    }

    kiro_request_get_info(ctx->kreq, &info);

    ctx->call = info.call;

    ngx_http_kiro_notice_written(ctx, &info);

    if (status != KIRO_OK
        || ngx_http_kiro_create_reply(ctx, info.client_model) != NGX_OK)
    {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INTERNAL,
                         "the gateway ran into an internal error");
        ngx_http_kiro_exchange_fail(r, ctx);
        return;
    }

    ctx->body.data = (u_char *) body.data;
    ctx->body.len = body.len;

    ngx_memzero(&ctx->attempt, sizeof(ngx_http_kiro_attempt_t));

    ctx->first_seen = 0;
    ctx->outcome = NGX_HTTP_KIRO_PENDING;

    ngx_http_kiro_stats_attempt(ctx);

    ctx->attempts++;

    if (ctx->capture) {
        ngx_http_kiro_capture_attempt(ctx);
    }

    ngx_http_kiro_dial(r, ctx);
}


/* the attempt is prepared, and has its connection if it is not nginx's matter */

void
ngx_http_kiro_exchange_launch(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_request_t          *sr;
    ngx_http_post_subrequest_t  *ps;

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        goto failed;
    }

    ps->handler = ngx_http_kiro_attempt_done;
    ps->data = ctx;

    ctx->state = NGX_HTTP_KIRO_ATTEMPT;

    if (ngx_http_subrequest(r, &r->uri, &r->args, &sr, ps,
                            NGX_HTTP_SUBREQUEST_CLONE)
        != NGX_OK)
    {
        goto failed;
    }

    ngx_http_set_ctx(sr, ctx, ngx_http_kiro_module);

    ctx->attempt.request = sr;

    r->write_event_handler = ngx_http_kiro_exchange_resume;

    if (ctx->conf->first_token_timeout) {
        ngx_add_timer(&ctx->gate, ctx->conf->first_token_timeout);
    }

    return;

failed:

    kiro_failure_set(&ctx->failure, KIRO_FAIL_INTERNAL,
                     "the gateway ran into an internal error");
    ngx_http_kiro_exchange_fail(r, ctx);
}


/*
 * The end of a subrequest.  It may be called more than once, and the subrequest
 * is still the active one: only note what happened.
 */

static ngx_int_t
ngx_http_kiro_attempt_done(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_kiro_ctx_t *ctx = data;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0,
                   "kiro attempt done: %i, outcome: %ui", rc, ctx->outcome);

    if (ctx->gate.timer_set) {
        ngx_del_timer(&ctx->gate);
    }

    if (rc == NGX_HTTP_CLIENT_CLOSED_REQUEST
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || sr->connection->error)
    {
        return rc;
    }

    if (ctx->state == NGX_HTTP_KIRO_STREAM) {

        if (rc == NGX_ERROR) {
            return rc;
        }

        if (!sr->buffered) {
            ctx->attempt.request = NULL;
        }

        return NGX_OK;
    }

    if (ctx->outcome == NGX_HTTP_KIRO_PENDING) {
        ngx_http_kiro_attempt_classify(ctx, rc);
    }

    ctx->attempt.request = NULL;

    return NGX_OK;
}


/* runs when the subrequest is gone and the main request is the active one */

static void
ngx_http_kiro_exchange_resume(ngx_http_request_t *r)
{
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx->attempt.request || r != r->connection->data) {
        return;
    }

    ngx_http_kiro_exchange_attempted(r, ctx);
}


static void
ngx_http_kiro_exchange_attempted(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx)
{
    const kiro_failure  *f;

    if (ctx->state == NGX_HTTP_KIRO_STREAM) {
        ngx_http_kiro_exchange_finish(r, ctx);
        return;
    }

    if (ctx->state != NGX_HTTP_KIRO_ATTEMPT) {
        return;
    }

    ngx_http_kiro_park(r);

    if (ctx->outcome != NGX_HTTP_KIRO_COMPLETE) {
        ngx_http_kiro_exchange_retry(r, ctx);
        return;
    }

    f = kiro_reply_failure(ctx->reply);

    if (f->kind != KIRO_FAIL_NONE) {
        ctx->failure = *f;

        ngx_http_kiro_state_failed(ctx);

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "kiro: the answer tells of a failure: %s",
                      kiro_failure_name(f->kind));
    }

    ngx_http_kiro_exchange_complete(r, ctx);
}


/* the time of the first content that a client would see */

void
ngx_http_kiro_first_token(ngx_http_kiro_ctx_t *ctx)
{
    ngx_time_t          *tp;
    ngx_http_request_t  *r;

    if (ctx->gate.timer_set) {
        ngx_del_timer(&ctx->gate);
    }

    if (ctx->first_seen) {
        return;
    }

    r = ctx->request;
    tp = ngx_timeofday();

    if (ctx->call == KIRO_CALL_MODEL) {
        ngx_http_kiro_state_good(ctx);
    }

    ctx->first_seen = 1;
    ctx->first_token = (ngx_msec_t) ngx_max(0,
                            (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                                              + (tp->msec - r->start_msec)));
}


/* from here on the client has a status: headers of the answer */

ngx_int_t
ngx_http_kiro_commit(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    kiro_reply_commit(ctx->reply);

    ctx->answered = 1;

    ngx_http_kiro_ping_start(ctx);

    return ctx->early ? NGX_OK : ngx_http_kiro_stream_header(r, ctx);
}


/* no content, or no end, in time: ends the attempt as a read timeout does */

static void
ngx_http_kiro_gate_handler(ngx_event_t *ev)
{
    ngx_connection_t     *c, *pc;
    ngx_http_request_t   *r, *sr;
    ngx_http_upstream_t  *u;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;
    sr = ctx->attempt.request;

    if ((ctx->state != NGX_HTTP_KIRO_ATTEMPT
         && ctx->state != NGX_HTTP_KIRO_STREAM)
        || sr == NULL || sr->upstream == NULL)
    {
        return;
    }

    if (ctx->state == NGX_HTTP_KIRO_STREAM
        && (ctx->busy || ctx->in || !kiro_reply_whole(ctx->reply)))
    {
        /* the client still reads */

        ngx_add_timer(ev, NGX_HTTP_KIRO_END_TIMEOUT);
        return;
    }

    u = sr->upstream;
    pc = u->peer.connection;

    if (pc == NULL || u->cleanup == NULL) {
        return;
    }

    ngx_http_set_log_request(c->log, sr);

    ctx->attempt.gate_timedout = 1;

    pc->read->timedout = 1;

    u->read_event_handler(sr, u);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_kiro_exchange_cleanup(void *data)
{
    ngx_http_kiro_ctx_t *ctx = data;

    ctx->left = (ctx->state != NGX_HTTP_KIRO_DONE);
    ctx->state = NGX_HTTP_KIRO_DONE;

    ngx_http_kiro_exchange_leave(ctx);
}


/* nothing waits, runs or is kept for the request any more */

void
ngx_http_kiro_exchange_leave(ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_unwait(ctx);
    ngx_http_kiro_hang_up(ctx);
    ngx_http_kiro_state_leave(ctx);
    ngx_http_kiro_queue_leave(ctx);

    if (ctx->step.timer_set) {
        ngx_del_timer(&ctx->step);
    }

    if (ctx->step.posted) {
        ngx_delete_posted_event(&ctx->step);
    }

    if (ctx->gate.timer_set) {
        ngx_del_timer(&ctx->gate);
    }

    ngx_http_kiro_ping_stop(ctx);
}
