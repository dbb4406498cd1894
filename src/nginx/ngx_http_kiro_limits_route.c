
/*
 * GET usage: the limits of the account, or of the caller's own key.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_limits.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_LIMITS_WAIT    2000    /* ms, for something newer */
#define NGX_HTTP_KIRO_LIMITS_ANSWER  2048    /* bytes, first try */


static ngx_int_t ngx_http_kiro_limits_check(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_limits_answer(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_limits_caller_check(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_limits_caller_answer(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_limits_caller_cleanup(void *data);
static ngx_int_t ngx_http_kiro_limits_json(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_usage_limits *limits, int64_t fetched_at,
    ngx_uint_t stale);


ngx_int_t
ngx_http_kiro_limits(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_cleanup_t       *cln;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_account_t  *account;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    ctx->peer = ngx_http_kiro_find_peer(r, ctx);

    if (ctx->peer == NULL || ngx_http_kiro_caller(r, ctx) != NGX_OK) {
        return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    account = ctx->peer->account;

    if (account->usage_interval == 0 || !account->has_management) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_NOT_BUILT,
                         account->usage_interval
                         ? "no management host is set up for this account"
                         : "this gateway does not ask for the limits of this "
                           "account: usage_interval is off");
        return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    if (!ctx->caller) {
        return ngx_http_kiro_wait(r, account->slot->limits.valid
                                     ? NGX_HTTP_KIRO_LIMITS_WAIT
                                     : NGX_HTTP_KIRO_LIMITS_TIMEOUT,
                                  ngx_http_kiro_limits_check,
                                  ngx_http_kiro_limits_answer);
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->limits = ngx_http_kiro_limits_call(account, &ctx->token.token,
                                            &ctx->failure);
    if (ctx->limits == NULL) {
        return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    cln->handler = ngx_http_kiro_limits_caller_cleanup;
    cln->data = ctx;

    /* twice: with and without a profile */

    return ngx_http_kiro_wait(r, 2 * NGX_HTTP_KIRO_LIMITS_TIMEOUT,
                              ngx_http_kiro_limits_caller_check,
                              ngx_http_kiro_limits_caller_answer);
}


static ngx_int_t
ngx_http_kiro_limits_check(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    return ngx_http_kiro_limits_refresh(ctx->peer->account);
}


static ngx_int_t
ngx_http_kiro_limits_answer(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_msec_int_t                 left;
    ngx_http_kiro_account_t       *account;
    ngx_http_kiro_known_limits_t  *known;

    account = ctx->peer->account;

    known = ngx_palloc(r->pool, sizeof(ngx_http_kiro_known_limits_t));
    if (known == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_kiro_limits_get(account, known)) {
        return ngx_http_kiro_limits_json(r, ctx, &known->limits,
                                         known->fetched_at,
                                         ngx_current_msec - known->fetched
                                         > account->usage_interval);
    }

    if (known->failure.kind == KIRO_FAIL_NONE) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_TIMEOUT,
                         "the service has not told the limits of the account "
                         "in time");

    } else {
        ctx->failure = known->failure;

        left = (ngx_msec_int_t) (known->due - ngx_current_msec);

        ctx->failure.retry_after_ms = (uint32_t) ngx_max(left, 0);
    }

    return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
}


static ngx_int_t
ngx_http_kiro_limits_caller_check(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx)
{
    return ctx->limits->done ? NGX_OK : NGX_AGAIN;
}


static ngx_int_t
ngx_http_kiro_limits_caller_answer(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx)
{
    if (!ctx->limits->done) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_TIMEOUT,
                         "the service has not told the limits in time");
        return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    if (ctx->limits->failure.kind == KIRO_FAIL_NONE) {
        return ngx_http_kiro_limits_json(r, ctx, &ctx->limits->limits,
                                         ngx_http_kiro_now(), 0);
    }

    ctx->failure = ctx->limits->failure;

    if (ctx->failure.kind == KIRO_FAIL_AUTH_EXPIRED) {
        ngx_http_kiro_caller_refused(ctx);
    }

    return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
}


static void
ngx_http_kiro_limits_caller_cleanup(void *data)
{
    ngx_http_kiro_ctx_t *ctx = data;

    if (ctx->limits) {
        ngx_http_kiro_limits_end(ctx->limits);
        ctx->limits = NULL;
    }
}


static ngx_int_t
ngx_http_kiro_limits_json(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    kiro_usage_limits *limits, int64_t fetched_at, ngx_uint_t stale)
{
    char             *p;
    size_t            len, cap;
    ngx_str_t         value;
    kiro_usage_view   view;

    ngx_memzero(&view, sizeof(kiro_usage_view));

    view.account = ngx_http_kiro_str(&ctx->account);
    view.limits = limits;
    view.fetched_at = fetched_at;
    view.now = ngx_http_kiro_now();
    view.stale = stale;

    cap = NGX_HTTP_KIRO_LIMITS_ANSWER;

    for ( ;; ) {

        p = ngx_palloc(r->pool, cap);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        len = kiro_usage_answer(&view, p, cap, &ctx->failure);
        if (len <= cap) {
            break;
        }

        cap = len;
    }

    if (len == 0) {
        return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    ngx_str_set(&value, "private, no-store");

    if (ngx_http_kiro_id_header(r, ctx) != NGX_OK
        || ngx_http_kiro_add_header(r, "Cache-Control", &value) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kiro_send_json(r, NGX_HTTP_OK, (u_char *) p, len);
}
