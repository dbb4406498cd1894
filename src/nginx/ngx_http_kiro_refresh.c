
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


#include "ngx_http_kiro.h"

#include <ngx_md5.h>


#define NGX_HTTP_KIRO_LEASE_SLACK   2000     /* ms, for files beside the fetch */
#define NGX_HTTP_KIRO_LOCKED_RETRY  200      /* ms, another instance refreshes */
#define NGX_HTTP_KIRO_SOURCE_RETRY  5000     /* ms, "refresh off" */
#define NGX_HTTP_KIRO_DEAD_RETRY    15000    /* ms, look at the source again */
#define NGX_HTTP_KIRO_BACKOFF_MAX   60000    /* ms */
#define NGX_HTTP_KIRO_USABLE        60000    /* ms, worth taking from the source */


struct ngx_http_kiro_refresh_s {
    ngx_http_kiro_account_t   *account;
    ngx_pool_t                *pool;
    ngx_log_t                 *log;
    ngx_event_t                guard;        /* keeps an exiting worker alive */
    ngx_http_kiro_fetch_t     *fetch;
    ngx_uint_t                 generation;   /* of the lease */

    kiro_credential           *cred;         /* what is refreshed */
    int                        lock;
    u_char                     stale[16];    /* MD5 of a refused token */

    /* filled by the thread */
    kiro_credential           *read;
    kiro_status                lock_status;
    kiro_status                save_status;
    kiro_failure               failure;

    unsigned                   in_task:1;
    unsigned                   aborted:1;
    unsigned                   reread:1;     /* the source, after a refusal */
};


static ngx_int_t ngx_http_kiro_refresh_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_refresh_t *job);
static void ngx_http_kiro_refresh_read(ngx_http_kiro_refresh_t *job);
static void ngx_http_kiro_refresh_read_task(void *data);
static void ngx_http_kiro_refresh_read_done(void *data);
static void ngx_http_kiro_refresh_fetch(ngx_http_kiro_refresh_t *job);
static void ngx_http_kiro_refresh_fetched(void *data, kiro_http *http,
    const char *error);
static void ngx_http_kiro_refresh_save(ngx_http_kiro_refresh_t *job);
static void ngx_http_kiro_refresh_save_task(void *data);
static void ngx_http_kiro_refresh_save_done(void *data);
static void ngx_http_kiro_refresh_failed(ngx_http_kiro_refresh_t *job,
    const char *why);
static void ngx_http_kiro_refresh_dead(ngx_http_kiro_refresh_t *job,
    const char *why);
static void ngx_http_kiro_refresh_end(ngx_http_kiro_refresh_t *job,
    ngx_msec_t next);
static void ngx_http_kiro_refresh_guard(ngx_event_t *ev);
static void ngx_http_kiro_refresh_digest(kiro_credential *cred, u_char *md5);


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


static void
ngx_http_kiro_refresh_read(ngx_http_kiro_refresh_t *job)
{
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;

    /* a second round, after a refusal, has the time of the first */

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (slot->lease_generation == job->generation) {
        slot->lease_deadline = ngx_current_msec + account->refresh_timeout
                               + NGX_HTTP_KIRO_LEASE_SLACK;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    job->in_task = 1;

    if (ngx_http_kiro_task(job->pool, ngx_http_kiro_refresh_read_task,
                           ngx_http_kiro_refresh_read_done, job, job->log)
        != NGX_OK)
    {
        job->in_task = 0;
        ngx_http_kiro_refresh_failed(job, "no thread for the state file");
    }
}


static void
ngx_http_kiro_refresh_read_task(void *data)
{
    ngx_http_kiro_refresh_t *job = data;

    char                     *dir;
    kiro_failure              f;
    kiro_credential          *source, *state;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    state = NULL;

    job->read = NULL;
    job->lock_status = KIRO_OK;

    if (account->state_path) {
        dir = (char *) account->state_path->name.data;

        if (job->lock == -1) {
            job->lock_status = kiro_store_lock(dir,
                                               (char *) account->name.data,
                                               &job->lock, &job->failure);
            if (job->lock_status != KIRO_OK) {
                job->lock = -1;

                if (job->lock_status == KIRO_AGAIN) {
                    return;
                }
            }
        }

        state = kiro_store_read_state(dir, (char *) account->name.data, &f);
    }

    /* a source that only root may read is not an error here */

    source = kiro_store_read_source(&account->source, &f);

    if (source && state && kiro_credential_prefer_state(source, state)) {
        kiro_credential_free(source);
        source = NULL;
    }

    if (source) {
        kiro_credential_free(state);
        job->read = source;

    } else {
        job->read = state;
    }
}


static void
ngx_http_kiro_refresh_read_done(void *data)
{
    ngx_http_kiro_refresh_t *job = data;

    int64_t                   now;
    ngx_uint_t                dead, older, differs;
    u_char                    md5[16];
    kiro_credential_view      have, view;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    job->in_task = 0;

    account = job->account;
    slot = account->slot;

    if (job->aborted) {
        ngx_http_kiro_refresh_end(job, 0);
        return;
    }

    if (job->lock_status == KIRO_AGAIN) {
        ngx_http_kiro_refresh_end(job, NGX_HTTP_KIRO_LOCKED_RETRY);
        return;
    }

    if (job->lock_status != KIRO_OK) {

        /* without a place for rotated tokens the zone is all there is */

        ngx_log_error(NGX_LOG_ERR, job->log, 0,
                      "kiro_account \"%V\": %s; a refreshed token will not "
                      "survive a restart", &account->name,
                      job->failure.message);
    }

    now = ngx_http_kiro_now();

    if (job->read) {

        if (kiro_credential_override(job->read,
                                     ngx_http_kiro_str(&account->profile_arn),
                                     ngx_http_kiro_str(&account->auth_region))
            != KIRO_OK)
        {
            ngx_http_kiro_refresh_failed(job, "out of memory");
            return;
        }

        kiro_credential_get(job->cred, &have);
        kiro_credential_get(job->read, &view);

        older = kiro_credential_prefer_state(job->read, job->cred);

        differs = view.access_token.len != have.access_token.len
                  || ngx_memcmp(view.access_token.data, have.access_token.data,
                                have.access_token.len)
                     != 0;

        if (!older && differs && view.access_token.len
            && (view.expires_at == 0
                || view.expires_at - now > NGX_HTTP_KIRO_USABLE))
        {
            ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                          "kiro_account \"%V\": a newer token was found",
                          &account->name);

            if (ngx_http_kiro_token_publish(account, job->read, job->log)
                != NGX_OK)
            {
                ngx_http_kiro_refresh_failed(job, "the credential found is too "
                                             "large");
                return;
            }

            ngx_http_kiro_refresh_end(job, 0);
            return;
        }

        if (!older) {
            kiro_credential_free(job->cred);
            job->cred = job->read;
            job->read = NULL;
        }
    }

    /* a refresh token that was refused for good is not tried again */

    ngx_http_kiro_refresh_digest(job->cred, md5);

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    dead = slot->state == NGX_HTTP_KIRO_SLOT_DEAD
           && ngx_memcmp(slot->dead_token, md5, 16) == 0;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (dead) {
        ngx_http_kiro_refresh_end(job, NGX_HTTP_KIRO_DEAD_RETRY);
        return;
    }

    if (job->reread && ngx_memcmp(job->stale, md5, 16) == 0) {
        ngx_http_kiro_refresh_dead(job, "the auth host refuses the refresh "
                                   "token");
        return;
    }

    ngx_http_kiro_refresh_fetch(job);
}


static void
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

    job->fetch = ngx_http_kiro_fetch(&account->auth, account->ssl,
                                     account->ssl_verify, &request,
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


static void
ngx_http_kiro_refresh_save(ngx_http_kiro_refresh_t *job)
{
    if (job->account->state_path == NULL) {
        job->save_status = KIRO_OK;
        ngx_http_kiro_refresh_save_done(job);
        return;
    }

    job->in_task = 1;

    if (ngx_http_kiro_task(job->pool, ngx_http_kiro_refresh_save_task,
                           ngx_http_kiro_refresh_save_done, job, job->log)
        != NGX_OK)
    {
        ngx_http_kiro_refresh_save_task(job);
        ngx_http_kiro_refresh_save_done(job);
    }
}


static void
ngx_http_kiro_refresh_save_task(void *data)
{
    ngx_http_kiro_refresh_t *job = data;

    ngx_http_kiro_account_t  *account;

    account = job->account;

    job->save_status = kiro_store_write_state(
                                     (char *) account->state_path->name.data,
                                     (char *) account->name.data, job->cred,
                                     &job->failure);
}


static void
ngx_http_kiro_refresh_save_done(void *data)
{
    ngx_http_kiro_refresh_t *job = data;

    kiro_credential_view      view;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    job->in_task = 0;

    account = job->account;

    if (job->save_status != KIRO_OK) {

        /* the old token is gone: better used from memory than lost */

        ngx_log_error(NGX_LOG_CRIT, job->log, 0,
                      "kiro_account \"%V\": %s; the refreshed token is in "
                      "memory only, do not restart nginx before this is "
                      "repaired", &account->name, job->failure.message);
    }

    ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                  "kiro_account \"%V\": the token was refreshed",
                  &account->name);

    if (ngx_http_kiro_token_publish(account, job->cred, job->log) != NGX_OK) {
        ngx_http_kiro_refresh_failed(job, "the new credential is too large");
        return;
    }

    kiro_credential_get(job->cred, &view);

    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    slot->refreshed = ngx_current_msec;
    slot->lifetime = view.expires_at ? view.expires_at - ngx_http_kiro_now() : 0;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    (void) ngx_atomic_fetch_add(&slot->refreshes, 1);

    ngx_http_kiro_refresh_end(job, 0);
}


/* a token that is still valid stays in use */

static void
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


static void
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


static void
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


static void
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
