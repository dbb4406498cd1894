
/*
 * The first step of a refresh: the lock, the state file and the source are read,
 * and it is decided whether the auth host has to be asked.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_refresh.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


static void ngx_http_kiro_refresh_again(ngx_event_t *ev);
static void ngx_http_kiro_refresh_read_task(void *data);
static void ngx_http_kiro_refresh_read_done(void *data);
static ngx_int_t ngx_http_kiro_refresh_compare(ngx_http_kiro_refresh_t *job);
static void ngx_http_kiro_refresh_settled(ngx_http_kiro_refresh_t *job);
static ngx_int_t ngx_http_kiro_refresh_locked(ngx_http_kiro_refresh_t *job);
static ngx_int_t ngx_http_kiro_refresh_refused(ngx_http_kiro_refresh_t *job);


void
ngx_http_kiro_refresh_read(ngx_http_kiro_refresh_t *job)
{
    ngx_http_kiro_refresh_extend(job);

    ngx_http_kiro_refresh_task(job, ngx_http_kiro_refresh_read_task,
                               ngx_http_kiro_refresh_read_done);
}


/* after a refusal: somebody else may have got the rotated token */

void
ngx_http_kiro_refresh_reread(ngx_http_kiro_refresh_t *job)
{
    job->rereads++;

    kiro_credential_free(job->read);
    job->read = NULL;

    ngx_http_kiro_refresh_read(job);
}


static void
ngx_http_kiro_refresh_again(ngx_event_t *ev)
{
    ngx_http_kiro_refresh_reread(ev->data);
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
            }
        }

        state = kiro_store_read_state(dir, (char *) account->name.data, &f);
    }

    /* a source that only root may read is not an error here */

    source = kiro_store_read_source(&account->source, &f);

    job->busy = (source == NULL && f.kind == KIRO_FAIL_UNAVAILABLE);

    ngx_http_kiro_source_remark(&job->remark, source, &f);

    if (source && state) {
        kiro_credential_keep_registration(source, state);
    }

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

    ngx_int_t  rc;

    if (!job->busy) {
        ngx_http_kiro_source_tell(job->account, &job->remark, job->log);
    }

    if (job->read) {
        kiro_credential_keep_registration(job->read, job->cred);

        rc = ngx_http_kiro_refresh_compare(job);

        if (rc != NGX_DECLINED) {
            return;
        }
    }

    if (ngx_http_kiro_refresh_locked(job) != NGX_OK) {
        ngx_http_kiro_refresh_end(job, NGX_HTTP_KIRO_LOCKED_RETRY);
        return;
    }

    if (job->duty == NGX_HTTP_KIRO_DUTY_FINISH
        || job->duty == NGX_HTTP_KIRO_DUTY_SAVE)
    {
        ngx_http_kiro_refresh_save(job);
        return;
    }

    if (job->leaving) {
        ngx_http_kiro_refresh_end(job, 0);
        return;
    }

    if (ngx_http_kiro_refresh_refused(job) == NGX_OK) {
        ngx_http_kiro_refresh_fetch(job);
    }
}


/*
 * What was read and what the zone has.  NGX_DECLINED: job->cred has to be
 * refreshed or saved; otherwise the job has ended.
 */

static ngx_int_t
ngx_http_kiro_refresh_compare(ngx_http_kiro_refresh_t *job)
{
    int64_t                   now;
    ngx_uint_t                differs;
    kiro_credential_view      have, view;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    now = ngx_http_kiro_now();

    if (kiro_credential_override(job->read,
                                 ngx_http_kiro_str(&account->profile_arn),
                                 ngx_http_kiro_str(&account->auth_region))
        != KIRO_OK)
    {
        ngx_http_kiro_refresh_failed(job, "out of memory");
        return NGX_OK;
    }

    if (kiro_credential_prefer_state(job->read, job->cred)) {
        return NGX_DECLINED;
    }

    if (job->remark.login[0] == '\0'
        && !kiro_credential_prefer_state(job->cred, job->read))
    {
        /* a state alone, of the login before this one: its source has gone on */

        return NGX_DECLINED;
    }

    kiro_credential_get(job->cred, &have);
    kiro_credential_get(job->read, &view);

    differs = view.access_token.len != have.access_token.len
              || ngx_memcmp(view.access_token.data, have.access_token.data,
                            have.access_token.len)
                 != 0;

    if (differs && view.access_token.len
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
            return NGX_OK;
        }

        ngx_http_kiro_refresh_end(job, 0);
        return NGX_OK;
    }

    /* another login, or what is in use; there is nothing to save of it */

    kiro_credential_free(job->cred);
    job->cred = job->read;
    job->read = NULL;

    ngx_http_kiro_refresh_settled(job);

    return NGX_DECLINED;
}


/* what was to be saved is out of date */

static void
ngx_http_kiro_refresh_settled(ngx_http_kiro_refresh_t *job)
{
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    if (job->duty == NGX_HTTP_KIRO_DUTY_REFRESH) {
        return;
    }

    account = job->account;
    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (slot->version == job->version) {

        if (job->duty == NGX_HTTP_KIRO_DUTY_FINISH) {
            slot->pending = 0;

        } else {
            slot->unsaved = 0;
        }
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    job->duty = NGX_HTTP_KIRO_DUTY_REFRESH;
}


/*
 * NGX_AGAIN: another instance works for this login, its result will be found.
 * One that holds the lock for longer than a refresh takes does not work.
 */

static ngx_int_t
ngx_http_kiro_refresh_locked(ngx_http_kiro_refresh_t *job)
{
    ngx_msec_t                since;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;

    if (job->lock_status == KIRO_OK) {
        return NGX_OK;
    }

    if (job->lock_status != KIRO_AGAIN) {

        /* without a place for rotated tokens the zone is all there is */

        if (job->duty == NGX_HTTP_KIRO_DUTY_REFRESH) {
            ngx_log_error(NGX_LOG_CRIT, job->log, 0,
                          "kiro_account \"%V\": %s; a refreshed token will "
                          "not survive a restart", &account->name,
                          job->failure.message);
        }

        return NGX_OK;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (ngx_current_msec - slot->locked_seen > NGX_HTTP_KIRO_LOCKED_GAP) {
        slot->locked = ngx_current_msec;
    }

    slot->locked_seen = ngx_current_msec;
    since = ngx_current_msec - slot->locked;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (since < account->refresh_timeout + NGX_HTTP_KIRO_LEASE_SLACK) {
        return NGX_AGAIN;
    }

    ngx_log_error(NGX_LOG_CRIT, job->log, 0,
                  "kiro_account \"%V\": %s for %M s, which is longer than a "
                  "refresh takes; going on without the lock, look with fuser "
                  "for the process that hangs", &account->name,
                  job->failure.message, since / 1000);

    return NGX_OK;
}


/* NGX_OK: the refresh token may still be good */

static ngx_int_t
ngx_http_kiro_refresh_refused(ngx_http_kiro_refresh_t *job)
{
    u_char                    md5[16];
    ngx_uint_t                dead;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;

    ngx_http_kiro_refresh_digest(job->cred, md5);

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    dead = slot->state == NGX_HTTP_KIRO_SLOT_DEAD
           && ngx_memcmp(slot->dead_token, md5, 16) == 0;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (dead) {
        ngx_http_kiro_refresh_end(job, NGX_HTTP_KIRO_DEAD_RETRY);
        return NGX_DECLINED;
    }

    if (job->rereads && ngx_memcmp(job->stale, md5, 16) == 0) {

        if (job->rereads < NGX_HTTP_KIRO_STALE_READS) {

            /* whoever got it may still be about to write it */

            job->again.handler = ngx_http_kiro_refresh_again;
            job->again.data = job;
            job->again.log = job->log;

            ngx_add_timer(&job->again, NGX_HTTP_KIRO_STALE_RETRY);

            return NGX_DECLINED;
        }

        if (job->busy) {

            /* nobody knows what is in there */

            ngx_http_kiro_refresh_failed(job, "the auth host refuses the "
                                         "refresh token, and the source is "
                                         "locked by another program");
            return NGX_DECLINED;
        }

        ngx_http_kiro_refresh_dead(job, "the auth host refuses the refresh "
                                   "token");
        return NGX_DECLINED;
    }

    return NGX_OK;
}
