
/*
 * kiro_concurrency: requests that wait for a place among the calls of their
 * account, in this worker.  Places are tickets in the zone.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_lease.h"
#include "ngx_http_kiro_poll.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_QUEUE_POLL     20      /* ms, while somebody waits */
#define NGX_HTTP_KIRO_QUEUE_SWEEP    1000    /* ms, dead workers are looked for */
#define NGX_HTTP_KIRO_QUEUE_MAX      4096


static ngx_int_t ngx_http_kiro_queue_take(ngx_http_kiro_account_t *account,
    ngx_http_kiro_ctx_t *ctx);
static ngx_uint_t ngx_http_kiro_queue_granted(ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_queue_step_out(ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_queue_busy(ngx_http_kiro_account_t *account,
    ngx_http_kiro_ctx_t *ctx, const char *why);
static ngx_uint_t ngx_http_kiro_queue_wake(ngx_http_kiro_account_t *account);


/* of this worker */

static ngx_http_kiro_poll_t  ngx_http_kiro_queue_waits;


/* kiro_concurrency number [queue=number] [timeout=time] */

char *
ngx_http_kiro_concurrency(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_account_t *account = conf;

    ngx_int_t    n;
    ngx_str_t   *value, s;
    ngx_uint_t   i;

    if (account->concurrency) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts < 2 || cf->args->nelts > 4) {
        return "takes a number, \"queue=\" and \"timeout=\"";
    }

    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > NGX_HTTP_KIRO_QUEUE_MAX) {
        return "needs a number of calls from 1 to 4096";
    }

    account->concurrency = n;
    account->queue_size = 64;
    account->queue_timeout = 60000;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "queue=", 6) == 0) {

            n = ngx_atoi(value[i].data + 6, value[i].len - 6);

            if (n == NGX_ERROR || n > NGX_HTTP_KIRO_QUEUE_MAX) {
                return "needs a number from 0 to 4096 behind \"queue=\"";
            }

            account->queue_size = n;
            continue;
        }

        if (ngx_strncmp(value[i].data, "timeout=", 8) == 0) {

            s.data = value[i].data + 8;
            s.len = value[i].len - 8;

            account->queue_timeout = ngx_parse_time(&s, 0);

            if (account->queue_timeout == (ngx_msec_t) NGX_ERROR
                || account->queue_timeout == 0)
            {
                return "needs a time above zero behind \"timeout=\"";
            }

            continue;
        }

        return "takes a number, \"queue=\" and \"timeout=\"";
    }

    return NGX_CONF_OK;
}


/*
 * NGX_OK: the request has a place; NGX_AGAIN: it waits for one and is woken;
 * NGX_ERROR: ctx->failure says that there is no room to wait.
 */

ngx_int_t
ngx_http_kiro_queue_enter(ngx_http_kiro_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_msec_t                left;
    ngx_http_kiro_account_t  *account;

    account = ctx->peer->account;

    if (account->concurrency == 0 || ctx->placed) {
        return NGX_OK;
    }

    rc = ngx_http_kiro_queue_take(account, ctx);

    if (rc == NGX_BUSY && ngx_http_kiro_ticket_sweep(account)) {
        rc = ngx_http_kiro_queue_take(account, ctx);
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (rc == NGX_BUSY) {
        ngx_http_kiro_queue_busy(account, ctx,
                                 "too many requests wait for this account");
        return NGX_ERROR;
    }

    /* what it has waited before an earlier attempt counts */

    left = account->queue_timeout > ctx->queue_time
           ? account->queue_timeout - ctx->queue_time : 1;

    ctx->queued = 1;
    ctx->in_queue = 1;
    ctx->queue_since = ngx_current_msec;

    ngx_queue_insert_tail(&account->queued, &ctx->place);

    ngx_add_timer(&ctx->step, left);

    ngx_http_kiro_poll_soon(&ngx_http_kiro_queue_waits);

    return NGX_AGAIN;
}


/* the wait is over: NGX_OK if it was of use */

ngx_int_t
ngx_http_kiro_queue_resume(ngx_http_kiro_ctx_t *ctx)
{
    if (ctx->placed || ngx_http_kiro_queue_granted(ctx)) {
        ngx_http_kiro_queue_step_out(ctx);
        ctx->placed = 1;
        return NGX_OK;
    }

    ngx_http_kiro_queue_leave(ctx);

    ngx_http_kiro_queue_busy(ctx->peer->account, ctx,
                             "this account had no room for the request in time");

    return NGX_ERROR;
}


/* gives the place back, or the hope for one; may be called at any time */

void
ngx_http_kiro_queue_leave(ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_calls_t    *calls;
    ngx_http_kiro_ticket_t   *t;
    ngx_http_kiro_account_t  *account;

    ngx_http_kiro_queue_step_out(ctx);

    if (!ctx->ticketed) {
        return;
    }

    ctx->ticketed = 0;
    ctx->placed = 0;

    account = ctx->peer->account;
    calls = &account->slot->calls;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    t = &calls->tickets[ctx->ticket];

    if (t->pid == ngx_pid && t->serial == ctx->ticket_serial) {
        ngx_http_kiro_ticket_return(calls, t);
    }

    ngx_http_kiro_ticket_grant(calls, account->concurrency);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (!ngx_queue_empty(&account->queued)) {
        ngx_post_event(&ngx_http_kiro_queue_waits.event, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_http_kiro_queue_take(ngx_http_kiro_account_t *account,
    ngx_http_kiro_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_uint_t               running, waiting;
    ngx_http_kiro_calls_t   *calls;
    ngx_http_kiro_ticket_t  *t;

    calls = &account->slot->calls;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    t = ngx_http_kiro_ticket_find(calls, &running, &waiting);

    /* one that was let in once is not sent away before its next attempt */

    if (t == NULL
        || (waiting >= account->queue_size
            && running + waiting >= account->concurrency
            && ctx->ticket_serial == 0))
    {
        ngx_shmtx_unlock(&account->zone->shpool->mutex);
        return NGX_BUSY;
    }

    if (ctx->ticket_serial == 0) {
        ctx->ticket_serial = ++calls->serial;
    }

    ctx->ticket = t - calls->tickets;
    ctx->ticketed = 1;

    t->serial = ctx->ticket_serial;
    t->granted = 0;
    t->client = ngx_murmur_hash2(ctx->client.data, ctx->client.len)
                % NGX_HTTP_KIRO_QUEUE_CLIENTS;
    t->pid = ngx_pid;
    t->process = ngx_process_slot;

    ngx_memory_barrier();

    t->state = NGX_HTTP_KIRO_TICKET_WAITING;

    ngx_http_kiro_ticket_grant(calls, account->concurrency);

    rc = (t->state == NGX_HTTP_KIRO_TICKET_RUNNING) ? NGX_OK : NGX_AGAIN;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ctx->placed = (rc == NGX_OK);

    return rc;
}


static ngx_uint_t
ngx_http_kiro_queue_granted(ngx_http_kiro_ctx_t *ctx)
{
    ngx_uint_t                granted;
    ngx_http_kiro_account_t  *account;

    account = ctx->peer->account;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    granted = ctx->ticketed
              && account->slot->calls.tickets[ctx->ticket].state
                 == NGX_HTTP_KIRO_TICKET_RUNNING;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    return granted;
}


static void
ngx_http_kiro_queue_step_out(ngx_http_kiro_ctx_t *ctx)
{
    if (ctx->in_queue) {
        ngx_queue_remove(&ctx->place);
        ctx->in_queue = 0;
        ctx->queue_time += ngx_current_msec - ctx->queue_since;
    }
}


/* by how long calls take, it says when to come again */

static void
ngx_http_kiro_queue_busy(ngx_http_kiro_account_t *account,
    ngx_http_kiro_ctx_t *ctx, const char *why)
{
    ngx_msec_t              held;
    ngx_uint_t              running, waiting;
    ngx_http_kiro_calls_t  *calls;

    calls = &account->slot->calls;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    (void) ngx_http_kiro_ticket_find(calls, &running, &waiting);
    held = calls->held;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    held = ngx_min(held, 600000) * (waiting + 1) / account->concurrency;
    held = ngx_max(held, 1000);
    held = ngx_min(held, 60000);

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "kiro_account \"%V\": %s: %ui calls of %ui run and %ui "
                  "requests of %ui wait", &account->name, why, running,
                  account->concurrency, waiting, account->queue_size);

    kiro_failure_set(&ctx->failure, KIRO_FAIL_BUSY,
                     "%s; try again in %us.", why,
                     (unsigned) ((held + 999) / 1000));

    ctx->failure.retry_after_ms = (uint32_t) held;
}


static ngx_uint_t
ngx_http_kiro_queue_wake(ngx_http_kiro_account_t *account)
{
    ngx_queue_t             *q, *next;
    ngx_http_kiro_ctx_t     *ctx;
    ngx_http_kiro_ticket_t  *tickets;

    if (ngx_queue_empty(&account->queued)) {
        return 0;
    }

    if (ngx_current_msec - account->swept >= NGX_HTTP_KIRO_QUEUE_SWEEP) {
        (void) ngx_http_kiro_ticket_sweep(account);
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    tickets = account->slot->calls.tickets;

    for (q = ngx_queue_head(&account->queued);
         q != ngx_queue_sentinel(&account->queued);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_kiro_ctx_t, place);

        if (tickets[ctx->ticket].state == NGX_HTTP_KIRO_TICKET_RUNNING) {
            ctx->placed = 1;
        }
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    for (q = ngx_queue_head(&account->queued);
         q != ngx_queue_sentinel(&account->queued);
         q = next)
    {
        next = ngx_queue_next(q);

        ctx = ngx_queue_data(q, ngx_http_kiro_ctx_t, place);

        if (ctx->placed) {
            ngx_http_kiro_queue_step_out(ctx);
            ngx_http_kiro_exchange_wake(ctx);
        }
    }

    return !ngx_queue_empty(&account->queued);
}


void
ngx_http_kiro_queue_init_worker(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i, n;
    ngx_http_kiro_account_t    **account;
    ngx_http_kiro_main_conf_t   *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    if (kmcf == NULL) {
        return;
    }

    ngx_http_kiro_poll_init(&ngx_http_kiro_queue_waits, cycle,
                            NGX_HTTP_KIRO_QUEUE_POLL, ngx_http_kiro_queue_wake);

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (account[i]->concurrency == 0) {
            continue;
        }

        n = ngx_http_kiro_ticket_own(account[i]);

        if (n) {
            ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                          "kiro_account \"%V\": %ui places of the worker before "
                          "this one are free again", &account[i]->name, n);
        }
    }
}


/* a fast shutdown ends no requests */

void
ngx_http_kiro_queue_exit_worker(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_http_kiro_account_t    **account;
    ngx_http_kiro_main_conf_t   *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    if (kmcf == NULL) {
        return;
    }

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {
        if (account[i]->concurrency) {
            (void) ngx_http_kiro_ticket_own(account[i]);
        }
    }
}
