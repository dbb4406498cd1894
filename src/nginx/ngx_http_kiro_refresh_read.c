
/*
 * The first step of a refresh: the lock, the state file and the source are read,
 * and it is decided whether the auth host has to be asked.
 */


#include "ngx_http_kiro_refresh.h"


static void ngx_http_kiro_refresh_read_task(void *data);
static void ngx_http_kiro_refresh_read_done(void *data);


void
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
