
/*
 * One refresh of one account: under a lease in the zone (one worker of this
 * instance) and a lock on the state file (one instance of this machine).
 *
 *     lease -> READ lock, state and source (thread)
 *           -> newer than the zone?  publish
 *           -> FETCH the auth host
 *           -> SAVE the state file (thread), then publish
 *
 * A client's request never owns a refresh: clients come and go, the rotated
 * token must be saved.
 */


#include "ngx_http_kiro_refresh.h"

#include <ngx_md5.h>


static ngx_int_t ngx_http_kiro_refresh_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_refresh_t *job);
static void ngx_http_kiro_refresh_fetched(void *data, kiro_http *http,
    const char *error);
static void ngx_http_kiro_refresh_guard(ngx_event_t *ev);


/*
 * Starts a refresh if one is due and nobody else runs it.  Cheap when there is
 * nothing to do.
 */

void
ngx_http_kiro_refresh(ngx_http_kiro_account_t *account)
{
    ngx_log_t                *log;
    ngx_pool_t               *pool;
    ngx_http_kiro_refresh_t  *job;

    if (account->running) {
        return;
    }

    if ((ngx_exiting || ngx_terminate || ngx_quit)
        && ngx_queue_empty(&account->waiters))
    {
        return;
    }

    if (ngx_http_kiro_refresh_lease(account, NULL) != NGX_OK) {
        return;
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_http_kiro_refresh_t));
    log = ngx_palloc(pool, sizeof(ngx_log_t));

    if (job == NULL || log == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    *log = *ngx_cycle->log;
    log->handler = NULL;
    log->data = NULL;
    log->action = NULL;

    job->account = account;
    job->pool = pool;
    job->log = log;
    job->lock = -1;

    if (ngx_http_kiro_refresh_lease(account, job) != NGX_OK) {
        ngx_destroy_pool(pool);
        return;
    }

    account->running = job;

    job->guard.handler = ngx_http_kiro_refresh_guard;
    job->guard.data = job;
    job->guard.log = log;

    ngx_add_timer(&job->guard, account->refresh_timeout);

    ngx_http_kiro_refresh_read(job);
}


/* with job: takes the lease; without: says whether it could be taken */

static ngx_int_t
ngx_http_kiro_refresh_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_refresh_t *job)
{
    int64_t                      now, early;
    ngx_int_t                    rc;
    ngx_uint_t                   refused;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_token_data_t  *data;

    now = ngx_http_kiro_now();
    slot = account->slot;
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    data = &slot->data[slot->active];

    refused = slot->version <= slot->bad
              || slot->state == NGX_HTTP_KIRO_SLOT_DEAD
              || data->token_len == 0;

    early = account->refresh_before;

    /* a new token that lives for less than that is not due at once again */

    if (slot->lifetime && slot->lifetime / 2 < early) {
        early = slot->lifetime / 2;
    }

    if (!refused && (data->expires == 0 || data->expires - now > early)) {
        goto done;
    }

    if ((ngx_msec_int_t) (slot->next_try - ngx_current_msec) > 0) {
        goto done;
    }

    if (slot->leased
        && (ngx_msec_int_t) (slot->lease_deadline - ngx_current_msec) > 0)
    {
        goto done;
    }

    rc = NGX_OK;

    if (job == NULL) {
        goto done;
    }

    job->cred = kiro_credential_parse((char *) data->record, data->record_len,
                                      &job->failure);

    if (job->cred == NULL) {
        rc = NGX_ERROR;
        goto done;
    }

    slot->leased = 1;
    slot->lease_deadline = ngx_current_msec + account->refresh_timeout
                           + NGX_HTTP_KIRO_LEASE_SLACK;
    job->generation = ++slot->lease_generation;

done:

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "kiro_account \"%V\": bad record in the zone: %s",
                      &account->name, job->failure.message);
    }

    return rc;
}


void
ngx_http_kiro_refresh_fetch(ngx_http_kiro_refresh_t *job)
{
    size_t                    len;
    ngx_str_t                 request;
    kiro_credential_view      view;
    ngx_http_kiro_account_t  *account;

    ngx_str_t  agent = ngx_string(NGX_HTTP_KIRO_USER_AGENT);

    account = job->account;

    kiro_credential_get(job->cred, &view);

    if (view.login == KIRO_LOGIN_API_KEY) {

        /* refused a while ago: the next request finds out whether it still is */

        (void) ngx_http_kiro_token_publish(account, job->cred, job->log);
        ngx_http_kiro_refresh_end(job, 0);
        return;
    }

    if (!account->refresh && view.expires_at > ngx_http_kiro_now()) {

        /* whoever refreshes the source has some time left */

        ngx_http_kiro_refresh_end(job, NGX_HTTP_KIRO_SOURCE_RETRY);
        return;
    }

    if (!account->refresh) {
        ngx_http_kiro_refresh_failed(job, "the token has expired and "
                                     "\"refresh\" is off; waiting for the "
                                     "source to change");
        return;
    }

    if (!account->has_auth) {
        ngx_http_kiro_refresh_dead(job, "this login cannot be refreshed");
        return;
    }

    len = kiro_refresh_request(job->cred,
                               ngx_http_kiro_str(&account->auth.host),
                               ngx_http_kiro_str(&account->auth.prefix),
                               ngx_http_kiro_str(&agent), NULL, 0,
                               &job->failure);

    if (len == 0) {
        ngx_http_kiro_refresh_dead(job, job->failure.message);
        return;
    }

    request.len = len;
    request.data = ngx_pnalloc(job->pool, len);
    if (request.data == NULL) {
        ngx_http_kiro_refresh_failed(job, "out of memory");
        return;
    }

    (void) kiro_refresh_request(job->cred,
                                ngx_http_kiro_str(&account->auth.host),
                                ngx_http_kiro_str(&account->auth.prefix),
                                ngx_http_kiro_str(&agent),
                                (char *) request.data, len, &job->failure);

    job->fetch = ngx_http_kiro_fetch(&account->auth, &request,
                                     account->refresh_timeout, job->log,
                                     ngx_http_kiro_refresh_fetched, job);
    if (job->fetch == NULL) {
        ngx_http_kiro_refresh_failed(job, "out of memory");
    }
}


static void
ngx_http_kiro_refresh_fetched(void *data, kiro_http *http, const char *error)
{
    ngx_http_kiro_refresh_t *job = data;

    kiro_str              body;
    kiro_refresh_verdict  verdict;

    job->fetch = NULL;

    if (error) {
        ngx_http_kiro_refresh_failed(job, error);
        return;
    }

    body = kiro_http_body(http);

    verdict = kiro_refresh_reply(job->cred, ngx_http_kiro_now(),
                                 kiro_http_status(http), body.data, body.len,
                                 &job->failure);

    switch (verdict) {

    case KIRO_REFRESH_OK:
        ngx_http_kiro_refresh_save(job);
        return;

    case KIRO_REFRESH_STALE:

        /* kiro-cli or the IDE may have rotated it in the meantime */

        if (!job->reread) {
            job->reread = 1;

            kiro_credential_free(job->read);
            job->read = NULL;

            ngx_http_kiro_refresh_digest(job->cred, job->stale);

            ngx_http_kiro_refresh_read(job);
            return;
        }

        /* fall through */

    case KIRO_REFRESH_TERMINAL:
        ngx_http_kiro_refresh_dead(job, job->failure.message);
        return;

    default: /* KIRO_REFRESH_TRANSIENT */
        ngx_http_kiro_refresh_failed(job, job->failure.message);
        return;
    }
}


/* a token that is still valid stays in use */

void
ngx_http_kiro_refresh_failed(ngx_http_kiro_refresh_t *job, const char *why)
{
    ngx_uint_t                fails;
    ngx_msec_t                delay;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    fails = slot->fails++;

    if (slot->state != NGX_HTTP_KIRO_SLOT_DEAD) {
        slot->state = NGX_HTTP_KIRO_SLOT_RETRYING;
    }

    ngx_cpystrn((u_char *) slot->last_error, (u_char *) why,
                sizeof(slot->last_error));

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    (void) ngx_atomic_fetch_add(&slot->refresh_failures, 1);

    delay = 500 << ngx_min(fails, 7);
    delay = ngx_min(delay, NGX_HTTP_KIRO_BACKOFF_MAX);
    delay = delay / 2 + ngx_random() % (delay / 2 + 1);

    ngx_log_error(NGX_LOG_ERR, job->log, 0,
                  "kiro_account \"%V\": token refresh failed: %s; "
                  "next try in %M ms", &account->name, why, delay);

    ngx_http_kiro_refresh_end(job, delay);
}


void
ngx_http_kiro_refresh_dead(ngx_http_kiro_refresh_t *job, const char *why)
{
    u_char                    md5[16];
    ngx_uint_t                known;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;

    ngx_http_kiro_refresh_digest(job->cred, md5);

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    known = slot->state == NGX_HTTP_KIRO_SLOT_DEAD
            && ngx_memcmp(slot->dead_token, md5, 16) == 0;

    slot->state = NGX_HTTP_KIRO_SLOT_DEAD;
    ngx_memcpy(slot->dead_token, md5, 16);
    ngx_cpystrn((u_char *) slot->last_error, (u_char *) why,
                sizeof(slot->last_error));

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    (void) ngx_atomic_fetch_add(&slot->refresh_failures, 1);

    if (!known) {
        ngx_log_error(NGX_LOG_CRIT, job->log, 0,
                      "kiro_account \"%V\": %s; somebody has to log in again, "
                      "the credential source is watched", &account->name, why);
    }

    ngx_http_kiro_refresh_end(job, NGX_HTTP_KIRO_DEAD_RETRY);
}


void
ngx_http_kiro_refresh_end(ngx_http_kiro_refresh_t *job, ngx_msec_t next)
{
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (slot->lease_generation == job->generation) {
        slot->leased = 0;
        slot->next_try = ngx_current_msec + next;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (job->guard.timer_set) {
        ngx_del_timer(&job->guard);
    }

    if (job->fetch) {
        ngx_http_kiro_fetch_abort(job->fetch);
    }

    if (job->lock != -1) {
        kiro_store_unlock(job->lock);
    }

    kiro_credential_free(job->cred);
    kiro_credential_free(job->read);

    account->running = NULL;

    ngx_destroy_pool(job->pool);
}


/* not a limit: the fetch has its own; work is still going on */

static void
ngx_http_kiro_refresh_guard(ngx_event_t *ev)
{
    ngx_http_kiro_refresh_t *job = ev->data;

    ngx_add_timer(ev, job->account->refresh_timeout);
}


/* at the end of a worker */

void
ngx_http_kiro_refresh_abort(ngx_http_kiro_account_t *account)
{
    ngx_http_kiro_refresh_t  *job;

    job = account->running;

    if (job == NULL) {
        return;
    }

    if (job->in_task) {

        /* a thread still writes here: the process ends, leave it alone */

        job->aborted = 1;
        return;
    }

    ngx_http_kiro_refresh_end(job, 0);
}


void
ngx_http_kiro_refresh_digest(kiro_credential *cred, u_char *md5)
{
    ngx_md5_t             ctx;
    kiro_credential_view  view;

    kiro_credential_get(cred, &view);

    ngx_md5_init(&ctx);

    if (view.refresh_token.len) {
        ngx_md5_update(&ctx, view.refresh_token.data, view.refresh_token.len);

    } else {
        ngx_md5_update(&ctx, view.access_token.data, view.access_token.len);
    }

    ngx_md5_final(md5, &ctx);
}
