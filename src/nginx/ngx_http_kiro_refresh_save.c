
/*
 * The last step of a refresh: the new token is saved, then published.
 */


#include "ngx_http_kiro_refresh.h"


static void ngx_http_kiro_refresh_save_task(void *data);
static void ngx_http_kiro_refresh_save_done(void *data);


void
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
