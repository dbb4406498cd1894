
/*
 * One refresh of one account: under a lease in the zone (one worker of this
 * instance) and a lock on the state file (one instance of this machine).
 *
 *     lease -> READ lock, state and source (thread)
 *           -> newer than the zone?  publish
 *           -> FETCH the auth host, keep the answer in the zone
 *           -> SAVE the state file (thread), then publish
 *
 * A client's request never owns a refresh: clients come and go, the rotated
 * token must be saved.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_fetch.h"
#include "ngx_http_kiro_refresh.h"
#include "ngx_http_kiro_secret.h"
#include "ngx_http_kiro_task.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"

#include <ngx_md5.h>


static void ngx_http_kiro_refresh_start(ngx_http_kiro_account_t *account,
    ngx_uint_t leaving);
static void ngx_http_kiro_refresh_fetched(void *data, kiro_http *http,
    const char *error);
static void ngx_http_kiro_refresh_guard(ngx_event_t *ev);
static void ngx_http_kiro_refresh_run(void *data);
static void ngx_http_kiro_refresh_done(void *data);


/*
 * Starts a refresh if one is due and nobody else runs it.  Cheap when there is
 * nothing to do.
 */

void
ngx_http_kiro_refresh(ngx_http_kiro_account_t *account)
{
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

    ngx_http_kiro_refresh_start(account, 0);
}


static void
ngx_http_kiro_refresh_start(ngx_http_kiro_account_t *account,
    ngx_uint_t leaving)
{
    ngx_log_t                *log;
    ngx_pool_t               *pool;
    ngx_http_kiro_refresh_t  *job;

    job = ngx_http_kiro_job(sizeof(ngx_http_kiro_refresh_t), 4096, &pool, &log);
    if (job == NULL) {
        return;
    }

    job->account = account;
    job->pool = pool;
    job->log = log;
    job->lock = -1;
    job->leaving = leaving;

    if (ngx_http_kiro_refresh_lease(account, job) != NGX_OK) {
        ngx_destroy_pool(pool);
        return;
    }

    account->running = job;

    job->guard.handler = ngx_http_kiro_refresh_guard;
    job->guard.data = job;
    job->guard.log = log;

    if (!leaving) {
        ngx_add_timer(&job->guard, account->refresh_timeout);
    }

    ngx_http_kiro_refresh_read(job);
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

    if (job->leaving) {
        ngx_http_kiro_refresh_end(job, 0);
        return;
    }

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

    /* the host is that of the login which was there at the start */

    if (account->auth_endpoint.len == 0
        && !kiro_auth_same_endpoint(account->credential, job->cred))
    {
        ngx_http_kiro_refresh_failed(job, "another login is there by now, which "
                                     "is refreshed at another host: reload "
                                     "nginx");
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
    request.data = ngx_http_kiro_secret(job->pool, len);
    if (request.data == NULL) {
        ngx_http_kiro_refresh_failed(job, "out of memory");
        return;
    }

    job->request = request;

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

    ngx_explicit_memzero(job->request.data, job->request.len);

    if (error) {
        ngx_http_kiro_refresh_failed(job, error);
        return;
    }

    body = kiro_http_body(http);

    if (job->account->write_back) {
        kiro_credential_free(job->used);
        job->used = kiro_credential_copy(job->cred);
    }

    verdict = kiro_refresh_reply(job->cred, ngx_http_kiro_now(),
                                 kiro_http_status(http), body.data, body.len,
                                 &job->failure);

    switch (verdict) {

    case KIRO_REFRESH_OK:
        job->refreshed = 1;
        ngx_http_kiro_refresh_keep(job);
        ngx_http_kiro_refresh_save(job);
        return;

    case KIRO_REFRESH_STALE:

        /* kiro-cli or the IDE may have rotated it in the meantime */

        if (job->rereads == 0) {
            ngx_http_kiro_refresh_digest(job->cred, job->stale);
            ngx_http_kiro_refresh_reread(job);
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
    int64_t                      now;
    ngx_uint_t                   fails, told;
    ngx_msec_t                   delay, most;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_account_t     *account;
    ngx_http_kiro_token_data_t  *data;

    account = job->account;
    slot = account->slot;

    if (job->leaving) {
        ngx_http_kiro_refresh_end(job, 0);
        return;
    }

    now = ngx_http_kiro_now();

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    fails = slot->fails++;

    data = &slot->data[slot->active];

    most = (slot->version > slot->bad && data->token_len
            && (data->expires == 0 || data->expires > now))
           ? NGX_HTTP_KIRO_BACKOFF_MAX : NGX_HTTP_KIRO_BACKOFF_DOWN;

    if (slot->state != NGX_HTTP_KIRO_SLOT_DEAD) {
        slot->state = NGX_HTTP_KIRO_SLOT_RETRYING;
    }

    told = ngx_strncmp(slot->last_error, why, sizeof(slot->last_error) - 1)
           == 0;

    ngx_cpystrn((u_char *) slot->last_error, (u_char *) why,
                sizeof(slot->last_error));

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    (void) ngx_atomic_fetch_add(&slot->refresh_failures, 1);

    if (account->refresh) {
        delay = 500 << ngx_min(fails, 7);
        delay = ngx_min(delay, most);
        delay = delay / 2 + ngx_random() % (delay / 2 + 1);

        ngx_log_error(NGX_LOG_ERR, job->log, 0,
                      "kiro_account \"%V\": token refresh failed: %s; "
                      "next try in %M ms", &account->name, why, delay);

    } else {

        /* a look at the source costs nothing */

        delay = NGX_HTTP_KIRO_SOURCE_WAIT;

        if (!told) {
            ngx_log_error(NGX_LOG_ERR, job->log, 0,
                          "kiro_account \"%V\": %s", &account->name, why);
        }
    }

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

    if (slot->version != job->version) {

        /* another login came meanwhile: this was about the old one */

        ngx_shmtx_unlock(&account->zone->shpool->mutex);

        ngx_http_kiro_refresh_end(job, 0);
        return;
    }

    known = slot->state == NGX_HTTP_KIRO_SLOT_DEAD
            && ngx_memcmp(slot->dead_token, md5, 16) == 0;

    slot->state = NGX_HTTP_KIRO_SLOT_DEAD;
    ngx_memcpy(slot->dead_token, md5, 16);
    ngx_cpystrn((u_char *) slot->last_error, (u_char *) why,
                sizeof(slot->last_error));

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    (void) ngx_atomic_fetch_add(&slot->refresh_failures, 1);
    (void) ngx_atomic_fetch_add(&slot->refresh_refusals, 1);

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
    ngx_http_kiro_refresh_release(job, next);

    if (job->guard.timer_set) {
        ngx_del_timer(&job->guard);
    }

    if (job->again.timer_set) {
        ngx_del_timer(&job->again);
    }

    if (job->fetch) {
        ngx_http_kiro_fetch_abort(job->fetch);
        ngx_explicit_memzero(job->request.data, job->request.len);
    }

    if (job->lock != -1) {
        kiro_store_unlock(job->lock);
    }

    kiro_credential_free(job->cred);
    kiro_credential_free(job->read);
    kiro_credential_free(job->used);
    kiro_credential_free(job->found);

    job->account->running = NULL;

    ngx_destroy_pool(job->pool);
}


/* not a limit: the fetch has its own; work is still going on */

static void
ngx_http_kiro_refresh_guard(ngx_event_t *ev)
{
    ngx_http_kiro_refresh_t *job = ev->data;

    ngx_add_timer(ev, job->account->refresh_timeout);
}


/* blocking work; at the end of a worker there are no threads any more */

void
ngx_http_kiro_refresh_task(ngx_http_kiro_refresh_t *job,
    ngx_http_kiro_task_pt run, ngx_http_kiro_task_pt done)
{
    job->run = run;
    job->done = done;
    job->in_task = 1;
    job->ran = 0;

    if (!job->leaving
        && ngx_http_kiro_task(job->pool, ngx_http_kiro_refresh_run,
                              ngx_http_kiro_refresh_done, job, job->log)
           == NGX_OK)
    {
        return;
    }

    ngx_http_kiro_refresh_run(job);
    ngx_http_kiro_refresh_done(job);
}


static void
ngx_http_kiro_refresh_run(void *data)
{
    ngx_http_kiro_refresh_t *job = data;

    job->run(job);

    ngx_memory_barrier();

    job->ran = 1;
}


static void
ngx_http_kiro_refresh_done(void *data)
{
    ngx_http_kiro_refresh_t *job = data;

    job->in_task = 0;

    job->done(job);
}


/*
 * At the end of a worker, without an event loop and after its threads: what the
 * auth host has changed must be saved.
 */

void
ngx_http_kiro_refresh_leave(ngx_http_kiro_account_t *account,
    ngx_msec_t deadline)
{
    ngx_http_kiro_refresh_t  *job;

    job = account->running;

    if (job) {
        job->leaving = 1;

        if (job->in_task) {

            if (!job->ran) {

                /* a thread still writes here: the process ends, let it be */

                return;
            }

            ngx_http_kiro_refresh_done(job);

        } else if (job->fetch) {

            /* calls back, with an answer if the host was asked already */

            ngx_http_kiro_fetch_await(job->fetch, deadline);
        }

        if (account->running) {
            ngx_http_kiro_refresh_end(account->running, 0);
        }
    }

    if (account->slot && (account->slot->unsaved || account->slot->pending)) {
        ngx_http_kiro_refresh_start(account, 1);
    }
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
