
/*
 * An attempt failed: whether there is another one, when, and what it does
 * otherwise.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_models.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_token.h"


static ngx_int_t ngx_http_kiro_exchange_profile(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_exchange_backoff(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);


void
ngx_http_kiro_exchange_retry(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    kiro_failure  *f;

    f = &ctx->failure;

    if (ctx->capture) {
        ngx_http_kiro_capture_failed(ctx);
    }

    ngx_http_kiro_state_failed(ctx);

    if (ctx->caller && f->retry == KIRO_RETRY_REFRESH) {
        ngx_http_kiro_caller_refused(ctx);
        ngx_http_kiro_exchange_fail(r, ctx);
        return;
    }

    if (f->kind == KIRO_FAIL_MODEL_NOT_FOUND && !ctx->caller) {
        ngx_http_kiro_models_doubt(ctx->peer->account);
    }

    if (f->retry == KIRO_RETRY_NEVER) {
        ngx_http_kiro_exchange_fail(r, ctx);
        return;
    }

    if (f->retry == KIRO_RETRY_NOW) {

        /* the upstream had closed an idle connection: nothing was tried */

        ctx->attempts--;
        ctx->stale = 1;
        ctx->state = NGX_HTTP_KIRO_TOKEN;
        ngx_http_kiro_exchange_wake(ctx);
        return;
    }

    if (f->retry == KIRO_RETRY_CHANGED) {

        /* not counted as a retry: each change is made once at most */

        if (kiro_request_change(ctx->kreq, f) != KIRO_OK) {
            ngx_http_kiro_exchange_fail(r, ctx);
            return;
        }

        if (f->change == KIRO_CHANGE_REPAIR_OUTPUT) {
            ctx->first_reply = ctx->reply;
            ctx->reply = NULL;
        }

        ctx->retry_reason = kiro_change_name(f->change);
        ctx->retry_cause = KIRO_FAIL_MAX + f->change;

        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "kiro: attempt %ui failed: %s (%s); "
                      "once more at once: %s", ctx->attempts,
                      kiro_failure_name(f->kind), f->message,
                      ctx->retry_reason);

        ctx->state = NGX_HTTP_KIRO_TOKEN;
        ngx_http_kiro_exchange_wake(ctx);
        return;
    }

    if (f->retry == KIRO_RETRY_PROFILE) {

        if (ngx_http_kiro_exchange_profile(r, ctx) != NGX_OK) {
            f->retry = KIRO_RETRY_NEVER;
            ngx_http_kiro_exchange_fail(r, ctx);
        }

        return;
    }

    if (f->retry == KIRO_RETRY_REFRESH) {

        /* a new token, too: some hosts say so of the profile of another region */

        if (ctx->refreshed
            && ngx_http_kiro_exchange_profile(r, ctx) == NGX_OK)
        {
            return;
        }

        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "kiro: the service refused the token of account \"%V\"",
                      &ctx->account);

        ngx_http_kiro_token_refuse(ctx->peer->account, ctx->token.version);

        if (ctx->refreshed) {
            ngx_http_kiro_exchange_fail(r, ctx);
            return;
        }

        ctx->refreshed = 1;
        ctx->retry_reason = kiro_failure_name(f->kind);
        ctx->retry_cause = f->kind;
        ctx->state = NGX_HTTP_KIRO_TOKEN;
        ngx_http_kiro_exchange_wake(ctx);
        return;
    }

    if (f->retry == KIRO_RETRY_ONCE) {

        if (ctx->once) {
            ngx_http_kiro_exchange_fail(r, ctx);
            return;
        }

        ctx->once = 1;
    }

    ngx_http_kiro_exchange_backoff(r, ctx);
}


/* NGX_OK: the request goes on when the profile was looked up */

static ngx_int_t
ngx_http_kiro_exchange_profile(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    if (ctx->profiled || ctx->caller
        || ngx_http_kiro_profile_doubt(ctx->peer->account, &ctx->token)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ctx->profiled = 1;
    ctx->retry_reason = kiro_failure_name(ctx->failure.kind);
    ctx->retry_cause = ctx->failure.kind;
    ctx->state = NGX_HTTP_KIRO_TOKEN;

    ngx_http_kiro_exchange_wake(ctx);

    return NGX_OK;
}


static void
ngx_http_kiro_exchange_backoff(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_msec_t                 delay;
    ngx_uint_t                 most;
    kiro_failure              *f;
    ngx_http_kiro_loc_conf_t  *klcf;

    f = &ctx->failure;
    klcf = ctx->conf;

    most = klcf->retries;

    if (f->kind == KIRO_FAIL_RATE_LIMITED) {

        /* each refusal makes the service's penalty longer */

        most = ngx_min(most, NGX_HTTP_KIRO_RATE_RETRIES);
    }

    if (ctx->retries >= most) {

        if (f->kind == KIRO_FAIL_UPSTREAM_EMPTY && ctx->retries) {

            /* the same body gets the same: clients shall not go on */

            f->retry = KIRO_RETRY_NEVER;
        }

        ngx_http_kiro_state_refused(ctx);
        ngx_http_kiro_exchange_fail(r, ctx);
        return;
    }

    delay = klcf->retry_delay << ngx_min(ctx->retries, 16);

    if (f->kind == KIRO_FAIL_OVERLOADED) {

        /* capacity comes back slowly */

        delay *= 5;
    }

    delay = ngx_min(delay, klcf->retry_delay_max);
    delay = delay / 2 + ngx_random() % (delay / 2 + 1);

    if (f->retry_after_ms) {

        /* sooner is refused, later than we may wait is the client's matter */

        if (f->retry_after_ms > klcf->retry_delay_max) {
            ngx_http_kiro_exchange_fail(r, ctx);
            return;
        }

        /* those that wait for the same moment shall not come in one */

        delay = ctx->held ? f->retry_after_ms + delay
                          : ngx_max(delay, f->retry_after_ms);
    }

    ctx->retries++;
    ctx->retry_reason = kiro_failure_name(f->kind);
    ctx->retry_cause = f->kind;

    /* others may call meanwhile; its number keeps this one in front of them */

    ngx_http_kiro_queue_leave(ctx);

    if (ctx->held) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "kiro: the account \"%V\" cools down; next in %M ms",
                      &ctx->account, delay);

        ctx->state = NGX_HTTP_KIRO_BACKOFF;

        ngx_add_timer(&ctx->step, delay);
        return;
    }

    ngx_http_kiro_notice_retry(ctx);

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "kiro: attempt %ui failed: %s, upstream status %d; "
                  "next in %M ms", ctx->attempts, kiro_failure_name(f->kind),
                  f->upstream_status, delay);

    ctx->state = NGX_HTTP_KIRO_BACKOFF;

    ngx_add_timer(&ctx->step, delay);
}
