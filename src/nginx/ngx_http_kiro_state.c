
/*
 * What the service's refusals say about an account as a whole: it cools down, a
 * quota is used up, it is suspended.  Kept in the zone, so that no worker asks
 * for what another one was just refused.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_limits.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_QUOTA_MAX      3600000  /* ms, quota_retry grows to it */
#define NGX_HTTP_KIRO_QUOTA_SLACK    1000     /* ms, behind the day it comes back */

/* a longer delay of a plain 429 is not believed: no probe would end it */

#define NGX_HTTP_KIRO_THROTTLE_MAX   3600000  /* ms */

/* 429 that names no delay: so many requests in vain, with no success between */

#define NGX_HTTP_KIRO_REFUSALS       3
#define NGX_HTTP_KIRO_REFUSALS_WAIT  2000     /* ms, doubled by each further one */
#define NGX_HTTP_KIRO_REFUSALS_MAX   60000    /* ms */


static ngx_uint_t ngx_http_kiro_hold_probed(ngx_http_kiro_hold_t *hold);
static void ngx_http_kiro_hold_failure(kiro_failure *f, ngx_int_t rc,
    ngx_msec_t left, int64_t resets_at);
static void ngx_http_kiro_hold(ngx_http_kiro_ctx_t *ctx, ngx_msec_t time);


/* indexed by kiro_account_state */

ngx_http_kiro_hold_row_t  ngx_http_kiro_hold_rows[] = {

    { "ok", "", "", 0, 0, 0, 0 },

    { "cooling_down", "throttled", "the service limits its requests",
      NGX_LOG_NOTICE, 0, 0,
      offsetof(ngx_http_kiro_account_t, cool_down) },

    { "cooling_down", "limited", "the service has put temporary limits on it",
      NGX_LOG_WARN, 1, 0,
      offsetof(ngx_http_kiro_account_t, cool_down) },

    { "exhausted", "exhausted", "its quota is used up", NGX_LOG_CRIT, 1,
      NGX_HTTP_KIRO_QUOTA_MAX,
      offsetof(ngx_http_kiro_account_t, quota_retry) },

    { "suspended", "suspended", "the service has suspended it", NGX_LOG_CRIT, 1,
      0, offsetof(ngx_http_kiro_account_t, suspended_retry) }
};


/*
 * May the account be called now?  NGX_OK; NGX_AGAIN: in f->retry_after_ms;
 * NGX_DECLINED: no, and waiting is of no use.  f is what the client gets then.
 */

ngx_int_t
ngx_http_kiro_state_check(ngx_http_kiro_account_t *account, kiro_failure *f)
{
    int64_t                resets_at;
    ngx_int_t              rc;
    ngx_msec_t             left;
    ngx_http_kiro_hold_t  *hold;
    ngx_http_kiro_slot_t  *slot;

    slot = account->slot;
    hold = &slot->hold;

    if (hold->state == KIRO_ACCOUNT_OK
        && slot->state != NGX_HTTP_KIRO_SLOT_DEAD)
    {
        return NGX_OK;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (slot->state == NGX_HTTP_KIRO_SLOT_DEAD
        && !ngx_http_kiro_token_usable(slot, ngx_http_kiro_now()))
    {
        ngx_shmtx_unlock(&account->zone->shpool->mutex);

        ngx_http_kiro_token_dead(f);
        return NGX_DECLINED;
    }

    rc = ngx_http_kiro_hold_look(account, 0, &left);

    if (rc != NGX_OK) {
        *f = hold->failure;
    }

    resets_at = hold->resets_at;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_http_kiro_hold_failure(f, rc, left, resets_at);

    return rc;
}


/*
 * As ngx_http_kiro_state_check(), for a request that is going to call now: it
 * becomes the probe if one is due.
 */

ngx_int_t
ngx_http_kiro_state_enter(ngx_http_kiro_ctx_t *ctx)
{
    int64_t                   resets_at;
    ngx_int_t                 rc;
    ngx_msec_t                left, lease;
    ngx_atomic_uint_t         before;
    ngx_http_kiro_hold_t     *hold;
    ngx_http_kiro_account_t  *account;

    ctx->held = 0;

    account = ctx->peer->account;
    hold = &account->slot->hold;

    before = ctx->hold;
    ctx->hold = hold->generation;

    ngx_memory_barrier();

    if (hold->state == KIRO_ACCOUNT_OK) {
        ctx->probe = 0;
        return NGX_OK;
    }

    lease = ctx->conf->connect_timeout + ctx->conf->send_timeout
            + (ctx->conf->first_token_timeout ? ctx->conf->first_token_timeout
                                              : ctx->conf->read_timeout);

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    rc = ngx_http_kiro_hold_look(account,
                                 ctx->probe && before == hold->generation,
                                 &left);

    if (rc != NGX_OK) {
        ctx->failure = hold->failure;

    } else {
        ctx->hold = hold->generation;
        ctx->probe = 0;

        if (ngx_http_kiro_hold_rows[hold->state].probe) {

            hold->probing = 1;
            hold->probe_pid = ngx_pid;
            hold->probe_deadline = ngx_current_msec + lease;
            ctx->probe = 1;
        }
    }

    resets_at = hold->resets_at;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_http_kiro_hold_failure(&ctx->failure, rc, left, resets_at);

    ctx->held = (rc != NGX_OK);

    return rc;
}


/* as it is configured, 0: off */

ngx_msec_t
ngx_http_kiro_hold_time(ngx_http_kiro_account_t *account, ngx_uint_t state)
{
    return *(ngx_msec_t *) ((u_char *) account
                            + ngx_http_kiro_hold_rows[state].offset);
}


/* own: the caller has the probe; under the mutex */

ngx_int_t
ngx_http_kiro_hold_look(ngx_http_kiro_account_t *account, ngx_uint_t own,
    ngx_msec_t *left)
{
    ngx_msec_int_t             ms;
    ngx_http_kiro_hold_t      *hold;
    ngx_http_kiro_hold_row_t  *row;

    *left = 0;

    hold = &account->slot->hold;

    /* a state from before a reload that switched it off holds nobody */

    if (hold->state == KIRO_ACCOUNT_OK || own
        || ngx_http_kiro_hold_time(account, hold->state) == 0)
    {
        return NGX_OK;
    }

    row = &ngx_http_kiro_hold_rows[hold->state];

    ms = (ngx_msec_int_t) (hold->until - ngx_current_msec);

    if (ms > 0) {
        *left = ms;
        return row->probe ? NGX_DECLINED : NGX_AGAIN;
    }

    if (row->probe && ngx_http_kiro_hold_probed(hold)) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* a probe ends with its request, with its worker, or at its deadline */

static ngx_uint_t
ngx_http_kiro_hold_probed(ngx_http_kiro_hold_t *hold)
{
    return hold->probing
           && (ngx_msec_int_t) (hold->probe_deadline - ngx_current_msec) > 0
           && (hold->probe_pid == ngx_pid || kill(hold->probe_pid, 0) == 0
               || ngx_errno != NGX_ESRCH);
}


static void
ngx_http_kiro_hold_failure(kiro_failure *f, ngx_int_t rc, ngx_msec_t left,
    int64_t resets_at)
{
    size_t    len;
    ngx_tm_t  tm;

    if (rc == NGX_OK) {
        return;
    }

    len = ngx_strlen(f->message);

    if (f->account_state == KIRO_ACCOUNT_EXHAUSTED
        && resets_at > ngx_http_kiro_now()
        && len + sizeof(" It comes back on 2026-12-01 00:00 UTC.")
           <= sizeof(f->message))
    {
        ngx_gmtime((time_t) (resets_at / 1000), &tm);

        *ngx_snprintf((u_char *) f->message + len,
                      sizeof(f->message) - len - 1,
                      " It comes back on %04d-%02d-%02d %02d:%02d UTC.",
                      tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                      tm.ngx_tm_hour, tm.ngx_tm_min) = '\0';
    }

    f->retry = (rc == NGX_AGAIN) ? KIRO_RETRY_BACKOFF : KIRO_RETRY_NEVER;
    f->upstream_status = 0;

    kiro_failure_lasts(f, (uint32_t) ngx_min(left, NGX_MAX_INT32_VALUE));
}


/* an attempt failed, or a stream broke, with ctx->failure */

void
ngx_http_kiro_state_failed(ngx_http_kiro_ctx_t *ctx)
{
    ngx_msec_t     time;
    kiro_failure  *f;

    f = &ctx->failure;

    if (f->account_state == KIRO_ACCOUNT_OK || ctx->held || ctx->caller) {
        return;
    }

    /* off: every request asks for itself */

    time = ngx_http_kiro_hold_time(ctx->peer->account, f->account_state);

    if (time == 0) {
        return;
    }

    if (f->account_state == KIRO_ACCOUNT_THROTTLED) {

        /* one 429 that names no delay does not speak for the others */

        if (f->retry_after_ms == 0) {
            return;
        }

        time = 0;
    }

    ngx_http_kiro_hold(ctx, time);

    ctx->probe = 0;
}


/* a request gives up as the service limits the rate and names no delay */

void
ngx_http_kiro_state_refused(ngx_http_kiro_ctx_t *ctx)
{
    ngx_msec_t                time;
    ngx_uint_t                n;
    ngx_http_kiro_hold_t     *hold;
    ngx_http_kiro_account_t  *account;

    account = ctx->peer->account;

    if (ctx->failure.account_state != KIRO_ACCOUNT_THROTTLED
        || ctx->failure.retry_after_ms || ctx->held || ctx->caller
        || account->cool_down == 0)
    {
        return;
    }

    hold = &account->slot->hold;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    /* those of one moment are one refusal: the row goes on when it is over */

    n = (ctx->hold == hold->generation) ? ++hold->refusals : 0;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (n < NGX_HTTP_KIRO_REFUSALS) {
        return;
    }

    time = NGX_HTTP_KIRO_REFUSALS_WAIT
           << ngx_min(n - NGX_HTTP_KIRO_REFUSALS, 8);

    ngx_http_kiro_hold(ctx, ngx_min(time, NGX_HTTP_KIRO_REFUSALS_MAX));
}


/*
 * What comes from a request that was let through before the present state can
 * make matters worse, but neither better nor longer.  From before the account was
 * last ok, maybe with another login, it says nothing.
 */

static void
ngx_http_kiro_hold(ngx_http_kiro_ctx_t *ctx, ngx_msec_t time)
{
    int64_t                    now, resets_at;
    ngx_msec_t                 until, named;
    ngx_uint_t                 same, level;
    kiro_failure              *f;
    ngx_http_kiro_hold_t      *hold;
    ngx_http_kiro_account_t   *account;
    ngx_http_kiro_hold_row_t  *row;

    f = &ctx->failure;
    account = ctx->peer->account;
    hold = &account->slot->hold;
    row = &ngx_http_kiro_hold_rows[f->account_state];
    now = ngx_http_kiro_now();
    resets_at = 0;

    named = row->probe ? f->retry_after_ms
                       : ngx_min(f->retry_after_ms, NGX_HTTP_KIRO_THROTTLE_MAX);

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if ((ngx_atomic_int_t) (ctx->hold - hold->epoch) < 0) {
        ngx_shmtx_unlock(&account->zone->shpool->mutex);
        return;
    }

    same = (hold->state == f->account_state);

    if (ctx->hold != hold->generation && hold->state >= f->account_state) {

        until = ngx_current_msec + named;

        if (same && !row->probe
            && (ngx_msec_int_t) (until - hold->until) > 0)
        {
            hold->until = until;
        }

        ngx_shmtx_unlock(&account->zone->shpool->mutex);
        return;
    }

    if (row->probe) {
        hold->fails = same ? hold->fails + 1 : 0;

        if (row->max > time) {
            time <<= ngx_min(hold->fails, 16);
            time = ngx_min(time, row->max);
        }
    }

    if (named) {
        time = named;

    } else if (f->account_state == KIRO_ACCOUNT_EXHAUSTED
               && account->slot->limits.valid)
    {
        resets_at = kiro_usage_resets_at(&account->slot->limits.limits, now);

        if (resets_at) {
            time = ngx_min((int64_t) time,
                           resets_at - now + NGX_HTTP_KIRO_QUOTA_SLACK);
        }
    }

    hold->state = f->account_state;
    hold->resets_at = resets_at;
    hold->until = ngx_current_msec + time;
    hold->failure = *f;
    hold->probing = 0;

    ngx_memory_barrier();

    hold->generation++;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (!row->probe) {
        ngx_log_error(row->level, ngx_cycle->log, 0,
                      "kiro_account \"%V\": %s; its requests wait for %M ms",
                      &account->name, row->why, time);
        return;
    }

    level = same ? NGX_LOG_NOTICE : row->level;

    ngx_log_error(level, ngx_cycle->log, 0,
                  "kiro_account \"%V\": %s%s; its requests are refused for %T s, "
                  "then one is tried", &account->name, row->why,
                  same ? " still" : "", (time_t) ((time + 999) / 1000));

    if (f->account_state == KIRO_ACCOUNT_EXHAUSTED && !named) {
        ngx_http_kiro_limits_doubt(account);
    }
}


/*
 * What the service tells of the limits while a quota is used up, and it did not
 * name a time before: when it comes back, or that there is something again.
 */

void
ngx_http_kiro_state_limits(ngx_http_kiro_account_t *account,
    kiro_usage_limits *limits)
{
    int64_t                now, before, resets_at;
    ngx_tm_t               tm;
    ngx_msec_int_t         left;
    ngx_http_kiro_hold_t  *hold;

    hold = &account->slot->hold;

    if (hold->state != KIRO_ACCOUNT_EXHAUSTED) {
        return;
    }

    now = ngx_http_kiro_now();
    resets_at = kiro_usage_resets_at(limits, now);

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (hold->state != KIRO_ACCOUNT_EXHAUSTED || hold->failure.retry_after_ms) {
        ngx_shmtx_unlock(&account->zone->shpool->mutex);
        return;
    }

    before = hold->resets_at;
    hold->resets_at = resets_at;

    left = (ngx_msec_int_t) (hold->until - ngx_current_msec);

    if (resets_at
        && (int64_t) left > resets_at - now + NGX_HTTP_KIRO_QUOTA_SLACK)
    {
        hold->until = ngx_current_msec + (ngx_msec_t) (resets_at - now)
                      + NGX_HTTP_KIRO_QUOTA_SLACK;
    }

    /* a new month, or more was bought: the next request finds out */

    if (before && resets_at == 0 && left > 0) {
        hold->until = ngx_current_msec;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (resets_at && resets_at != before) {
        ngx_gmtime((time_t) (resets_at / 1000), &tm);

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "kiro_account \"%V\": its quota comes back on "
                      "%04d-%02d-%02d %02d:%02d UTC", &account->name,
                      tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                      tm.ngx_tm_hour, tm.ngx_tm_min);

    } else if (before && resets_at == 0) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "kiro_account \"%V\": there is something left of its "
                      "quota again, the next request is tried",
                      &account->name);
    }
}


/* the service answers */

void
ngx_http_kiro_state_good(ngx_http_kiro_ctx_t *ctx)
{
    ngx_uint_t                 state;
    ngx_http_kiro_hold_t      *hold;
    ngx_http_kiro_account_t   *account;

    account = ctx->peer->account;
    hold = &account->slot->hold;

    if (ctx->caller) {
        return;
    }

    if (hold->refusals) {
        hold->refusals = 0;
    }

    if (hold->state == KIRO_ACCOUNT_OK) {
        return;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    state = KIRO_ACCOUNT_OK;

    if (ctx->hold == hold->generation) {
        state = hold->state;
        ngx_http_kiro_state_reset(hold);

        /* its answer may still break for a reason of the account's */

        ctx->hold = hold->generation;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ctx->probe = 0;

    if (state != KIRO_ACCOUNT_OK) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "kiro_account \"%V\": the service answers again",
                      &account->name);
    }
}


/* under the mutex */

void
ngx_http_kiro_state_reset(ngx_http_kiro_hold_t *hold)
{
    hold->state = KIRO_ACCOUNT_OK;
    hold->resets_at = 0;
    hold->fails = 0;
    hold->probing = 0;
    hold->refusals = 0;
    hold->epoch = hold->generation + 1;

    ngx_memory_barrier();

    hold->generation++;
}


/* the request ends: if it was a probe that told nothing, the next one is */

void
ngx_http_kiro_state_leave(ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_hold_t     *hold;
    ngx_http_kiro_account_t  *account;

    if (!ctx->probe) {
        return;
    }

    ctx->probe = 0;

    account = ctx->peer->account;
    hold = &account->slot->hold;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (ctx->hold == hold->generation) {
        hold->probing = 0;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);
}
