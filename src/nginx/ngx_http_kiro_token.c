
/*
 * Tokens in shared memory: copies for requests, publishing, and the requests
 * of this worker that wait for a new one.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_limits.h"
#include "ngx_http_kiro_models.h"
#include "ngx_http_kiro_poll.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_secret.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_POLL    25      /* ms, waiters look at the version */
#define NGX_HTTP_KIRO_TICK    1000    /* ms, early refresh */
#define NGX_HTTP_KIRO_FRESH   30000   /* ms, between refreshes in vain */
#define NGX_HTTP_KIRO_FRESH_MAX  600000

#define NGX_HTTP_KIRO_HOPELESS  2000  /* ms, a later try is not waited for */
#define NGX_HTTP_KIRO_DOUBTFUL  5000  /* ms, for one after several failed */

#define NGX_HTTP_KIRO_LEAVE   2000    /* ms, the master kills after 3 s */

#define NGX_HTTP_KIRO_KEY_PAUSE  15000   /* ms, after an API key was refused */


static ngx_msec_t ngx_http_kiro_token_hopeless(ngx_http_kiro_slot_t *slot);
static ngx_int_t ngx_http_kiro_token_copy(ngx_http_kiro_account_t *account,
    ngx_pool_t *pool, ngx_http_kiro_token_t *token, ngx_uint_t profile,
    kiro_failure *f);
static ngx_uint_t ngx_http_kiro_token_tick(ngx_http_kiro_account_t *account);
static ngx_uint_t ngx_http_kiro_token_wake(ngx_http_kiro_account_t *account);


/* timers of this worker */

static ngx_http_kiro_poll_t  ngx_http_kiro_token_ticks;
static ngx_http_kiro_poll_t  ngx_http_kiro_token_waits;


int64_t
ngx_http_kiro_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


/*
 * NGX_OK: token is filled; NGX_AGAIN: wait for a refresh or for the profile;
 * NGX_ERROR: f says why waiting is of no use.
 */

ngx_int_t
ngx_http_kiro_token_get(ngx_http_kiro_account_t *account, ngx_pool_t *pool,
    ngx_http_kiro_token_t *token, kiro_failure *f)
{
    return ngx_http_kiro_token_copy(account, pool, token, 1, f);
}


/* the same without a profile ARN */

ngx_int_t
ngx_http_kiro_token_bearer(ngx_http_kiro_account_t *account, ngx_pool_t *pool,
    ngx_http_kiro_token_t *token, kiro_failure *f)
{
    return ngx_http_kiro_token_copy(account, pool, token, 0, f);
}


static ngx_int_t
ngx_http_kiro_token_copy(ngx_http_kiro_account_t *account, ngx_pool_t *pool,
    ngx_http_kiro_token_t *token, ngx_uint_t profile, kiro_failure *f)
{
    u_char                      *p;
    size_t                       len, size;
    ngx_int_t                    rc;
    ngx_str_t                    arn;
    ngx_uint_t                   dead;
    ngx_msec_t                   left;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_token_data_t  *data;

    slot = account->slot;

    p = NULL;
    size = 0;
    ngx_str_null(&arn);

    for ( ;; ) {

        ngx_shmtx_lock(&account->zone->shpool->mutex);

        data = &slot->data[slot->active];

        if (!ngx_http_kiro_token_usable(slot, ngx_http_kiro_now())) {

            dead = (slot->state == NGX_HTTP_KIRO_SLOT_DEAD);
            left = ngx_http_kiro_token_hopeless(slot);

            ngx_shmtx_unlock(&account->zone->shpool->mutex);

            if (!dead && left) {
                kiro_failure_set(f, KIRO_FAIL_TOKEN_TIMEOUT,
                                 "the gateway cannot renew its login at the "
                                 "moment, the auth host fails");
                f->retry_after_ms = left;
                return NGX_ERROR;
            }

            if (!dead) {
                return NGX_AGAIN;
            }

            ngx_http_kiro_token_dead(f);
            return NGX_ERROR;
        }

        rc = !profile ? NGX_OK
             : ngx_http_kiro_profile_pending(account, token) ? NGX_AGAIN
             : ngx_http_kiro_profile_arn(account, &arn);

        if (rc != NGX_OK) {
            ngx_shmtx_unlock(&account->zone->shpool->mutex);

            if (rc == NGX_ERROR) {
                ngx_http_kiro_profile_failure(account, f);
            }

            return rc;
        }

        len = data->token_len + arn.len;

        if (p && len <= size) {
            break;
        }

        /* nothing may fail under the mutex: room first, then look again */

        ngx_shmtx_unlock(&account->zone->shpool->mutex);

        size = len;

        p = ngx_http_kiro_secret(pool, size);
        if (p == NULL) {
            kiro_failure_set(f, KIRO_FAIL_INTERNAL, "out of memory");
            return NGX_ERROR;
        }
    }

    token->token.data = p;
    token->token.len = data->token_len;
    ngx_memcpy(p, data->token, data->token_len);

    token->arn.data = p + data->token_len;
    token->arn.len = arn.len;
    ngx_memcpy(token->arn.data, arn.data, arn.len);

    token->version = slot->version;
    token->login = data->login;
    token->builder_id = ngx_http_kiro_profile_borrowed(account);
    token->lookups = slot->profile.lookups;
    token->doubted = 0;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    return NGX_OK;
}


void
ngx_http_kiro_token_dead(kiro_failure *f)
{
    kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED,
                     "the gateway's login or API key is not valid any more; "
                     "its operator has to renew it");
}


ngx_uint_t
ngx_http_kiro_token_usable(ngx_http_kiro_slot_t *slot, int64_t now)
{
    ngx_http_kiro_token_data_t  *data;

    data = &slot->data[slot->active];

    return slot->version > slot->bad
           && data->token_len
           && (data->expires == 0
               || data->expires - NGX_HTTP_KIRO_MARGIN > now);
}


/*
 * The refresh has failed again and again, and the next try is so far away that
 * nobody waits for it: how far, in ms.  Under the mutex.
 */

static ngx_msec_t
ngx_http_kiro_token_hopeless(ngx_http_kiro_slot_t *slot)
{
    ngx_msec_int_t  left;

    if (slot->state != NGX_HTTP_KIRO_SLOT_RETRYING
        || ngx_http_kiro_lease_runs(&slot->lease))
    {
        return 0;
    }

    left = (ngx_msec_int_t) (slot->next_try - ngx_current_msec);

    return left > NGX_HTTP_KIRO_HOPELESS ? left : 0;
}


/* how long a request may wait for a token */

ngx_msec_t
ngx_http_kiro_token_patience(ngx_http_kiro_account_t *account)
{
    return account->slot->fails < 2
           ? account->token_timeout
           : ngx_min(account->token_timeout, NGX_HTTP_KIRO_DOUBTFUL);
}


/* a lost update does no harm: the next answer repeats it */

void
ngx_http_kiro_token_accept(ngx_http_kiro_account_t *account,
    ngx_atomic_uint_t version)
{
    if (account->slot->good < version) {
        account->slot->good = version;
        account->slot->futile = 0;
    }
}


/*
 * The upstream does not take the token of this version.  If it never took it, one
 * more refresh is made; the next ones have pauses that grow, as the refusal seems
 * to be about something else.
 */

void
ngx_http_kiro_token_refuse(ngx_http_kiro_account_t *account,
    ngx_atomic_uint_t version)
{
    ngx_uint_t             login;
    ngx_msec_t             pause;
    ngx_http_kiro_slot_t  *slot;

    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    login = slot->data[slot->active].login;

    if (slot->version != version || slot->bad >= version) {

        /* somebody was first */

        ngx_shmtx_unlock(&account->zone->shpool->mutex);
        return;
    }

    if (login == KIRO_LOGIN_API_KEY) {

        /* there is nothing to refresh; it gets another chance later */

        slot->bad = version;
        slot->state = NGX_HTTP_KIRO_SLOT_DEAD;
        slot->next_try = ngx_current_msec + NGX_HTTP_KIRO_KEY_PAUSE;
        ngx_cpystrn((u_char *) slot->last_error,
                    (u_char *) "the service refuses the API key",
                    sizeof(slot->last_error));

    } else if (slot->refreshes == 0 || slot->good >= version) {
        slot->bad = version;

    } else {
        pause = slot->futile
                ? NGX_HTTP_KIRO_FRESH << ngx_min(slot->futile - 1, 8) : 0;

        pause = ngx_min(pause, NGX_HTTP_KIRO_FRESH_MAX);

        if (ngx_current_msec - slot->refreshed >= pause) {
            slot->futile++;
            slot->bad = version;
        }
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (login == KIRO_LOGIN_API_KEY) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "kiro_account \"%V\": the service refuses the API key; "
                      "put a good one into the api_key_file and reload nginx",
                      &account->name);
    }
}


/* makes a credential the account's current one */

ngx_int_t
ngx_http_kiro_token_publish(ngx_http_kiro_account_t *account,
    kiro_credential *cred, ngx_log_t *log)
{
    size_t                       len;
    u_char                      *record;
    ngx_http_kiro_slot_t        *slot;
    kiro_credential_view         view;
    ngx_http_kiro_token_data_t  *data;

    slot = account->slot;

    kiro_credential_get(cred, &view);

    /* nothing may be allocated under the mutex */

    record = ngx_alloc(NGX_HTTP_KIRO_RECORD_MAX, log);
    if (record == NULL) {
        return NGX_ERROR;
    }

    len = kiro_credential_serialize(cred, (char *) record,
                                    NGX_HTTP_KIRO_RECORD_MAX);

    if (view.access_token.len > NGX_HTTP_KIRO_TOKEN_MAX
        || view.record_arn.len > NGX_HTTP_KIRO_ARN_MAX
        || view.fingerprint.len >= sizeof(slot->fingerprint)
        || len > NGX_HTTP_KIRO_RECORD_MAX)
    {
        ngx_explicit_memzero(record, ngx_min(len, NGX_HTTP_KIRO_RECORD_MAX));
        ngx_free(record);

        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "kiro_account \"%V\": the new credential is too large",
                      &account->name);
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    /* the inactive half: a worker that dies here leaves the active one whole */

    slot->pending = 0;

    ngx_memory_barrier();

    data = &slot->data[1 - slot->active];

    data->record_len = len;
    ngx_memcpy(data->record, record, len);

    data->login = view.login;
    data->expires = view.expires_at;

    data->token_len = view.access_token.len;
    ngx_memcpy(data->token, view.access_token.data, view.access_token.len);

    /* that of the record: what is set is another matter */

    data->arn_len = view.record_arn.len;
    ngx_memcpy(data->arn, view.record_arn.data, view.record_arn.len);

    if (ngx_strlen(slot->fingerprint) != view.fingerprint.len
        || ngx_memcmp(slot->fingerprint, view.fingerprint.data,
                      view.fingerprint.len)
           != 0)
    {
        /* another login: its models and its profile may be others */

        ngx_http_kiro_profile_forget(slot);

        slot->models.len = 0;
        slot->models.version++;
        slot->models.due = ngx_current_msec;
        slot->models.fails = 0;

        ngx_http_kiro_limits_forget(slot);

        /* ... and what the service refused the other one */

        ngx_http_kiro_state_reset(&slot->hold);
        slot->hold.failure.kind = KIRO_FAIL_NONE;
    }

    ngx_memcpy(slot->fingerprint, view.fingerprint.data, view.fingerprint.len);
    slot->fingerprint[view.fingerprint.len] = '\0';

    slot->active = 1 - slot->active;
    slot->state = NGX_HTTP_KIRO_SLOT_OK;
    slot->fails = 0;
    slot->last_error[0] = '\0';
    slot->next_try = ngx_current_msec;
    slot->lifetime = 0;
    slot->unsaved = 0;

    ngx_memory_barrier();

    slot->version++;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_explicit_memzero(record, len);
    ngx_free(record);

    return NGX_OK;
}


/* the request sleeps until there is a token, and a profile, or its time is up */

void
ngx_http_kiro_token_wait(ngx_http_kiro_account_t *account,
    ngx_http_kiro_ctx_t *ctx)
{
    if (!ctx->waiting) {
        ngx_queue_insert_tail(&account->waiters, &ctx->waiter);
        ctx->waiting = 1;
        ctx->waited = 1;
        ctx->token_since = ngx_current_msec;
    }

    ngx_http_kiro_poll_soon(&ngx_http_kiro_token_waits);

    ngx_http_kiro_refresh(account);
    ngx_http_kiro_profile(account);
}


static ngx_uint_t
ngx_http_kiro_token_wake(ngx_http_kiro_account_t *account)
{
    ngx_str_t             arn;
    ngx_uint_t            ready;
    ngx_queue_t          *q;
    ngx_http_kiro_ctx_t  *ctx;

    if (ngx_queue_empty(&account->waiters)) {
        return 0;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    ready = ngx_http_kiro_token_usable(account->slot, ngx_http_kiro_now())
            ? ngx_http_kiro_profile_arn(account, &arn) != NGX_AGAIN
            : (account->slot->state == NGX_HTTP_KIRO_SLOT_DEAD
               || ngx_http_kiro_token_hopeless(account->slot));

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    for (q = ngx_queue_head(&account->waiters);
         q != ngx_queue_sentinel(&account->waiters);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_kiro_ctx_t, waiter);

        if (ready
            || (ngx_msec_int_t) (ctx->token_deadline - ngx_current_msec) <= 0)
        {
            ngx_http_kiro_exchange_wake(ctx);
        }
    }

    ngx_http_kiro_refresh(account);
    ngx_http_kiro_profile(account);

    return 1;
}


static ngx_uint_t
ngx_http_kiro_token_tick(ngx_http_kiro_account_t *account)
{
    if (account->credential) {
        ngx_http_kiro_refresh(account);
        ngx_http_kiro_profile(account);
    }

    return 1;
}


ngx_int_t
ngx_http_kiro_token_init_worker(ngx_cycle_t *cycle)
{
    ngx_http_kiro_main_conf_t  *kmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    if (kmcf == NULL || kmcf->accounts.nelts == 0) {
        return NGX_OK;
    }

    ngx_http_kiro_queue_init_worker(cycle);

    ngx_http_kiro_poll_init(&ngx_http_kiro_token_waits, cycle,
                            NGX_HTTP_KIRO_POLL, ngx_http_kiro_token_wake);
    ngx_http_kiro_poll_init(&ngx_http_kiro_token_ticks, cycle,
                            NGX_HTTP_KIRO_TICK, ngx_http_kiro_token_tick);

    ngx_http_kiro_token_ticks.event.cancelable = 1;

    /* the first look soon, and not in all workers at one moment */

    ngx_add_timer(&ngx_http_kiro_token_ticks.event,
                  50 + ngx_random() % NGX_HTTP_KIRO_POLL);

    return NGX_OK;
}


void
ngx_http_kiro_token_exit_worker(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_msec_t                   deadline;
    ngx_http_kiro_account_t    **account;
    ngx_http_kiro_main_conf_t   *kmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    if (kmcf == NULL) {
        return;
    }

    ngx_http_kiro_queue_exit_worker(cycle);

    account = kmcf->accounts.elts;

    ngx_time_update();

    deadline = ngx_current_msec + NGX_HTTP_KIRO_LEAVE;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (account[i]->credential == NULL) {
            continue;
        }

        ngx_http_kiro_models_abort(account[i]);
        ngx_http_kiro_limits_abort(account[i]);
        ngx_http_kiro_profile_abort(account[i]);
        ngx_http_kiro_refresh_leave(account[i], deadline);
    }
}
