
/*
 * The last step of a refresh: the new token is saved, then published.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_refresh.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


static void ngx_http_kiro_refresh_save_task(void *data);
static void ngx_http_kiro_refresh_save_done(void *data);
static ngx_int_t ngx_http_kiro_refresh_publish(ngx_http_kiro_refresh_t *job,
    ngx_uint_t other);
static void ngx_http_kiro_refresh_saved(ngx_http_kiro_refresh_t *job);


void
ngx_http_kiro_refresh_save(ngx_http_kiro_refresh_t *job)
{
    if (job->account->state_path == NULL && !job->account->write_back) {
        job->save_status = KIRO_OK;
        ngx_http_kiro_refresh_save_done(job);
        return;
    }

    ngx_http_kiro_write_back_lease(job);

    ngx_http_kiro_refresh_task(job, ngx_http_kiro_refresh_save_task,
                               ngx_http_kiro_refresh_save_done);
}


static void
ngx_http_kiro_refresh_save_task(void *data)
{
    ngx_http_kiro_refresh_t *job = data;

    ngx_http_kiro_account_t  *account;

    account = job->account;

    job->save_status = KIRO_OK;

    if (account->state_path) {
        job->save_status = kiro_store_write_state(
                                     (char *) account->state_path->name.data,
                                     (char *) account->name.data, job->cred,
                                     &job->failure);
    }

    ngx_http_kiro_write_back_run(job);
}


static void
ngx_http_kiro_refresh_save_done(void *data)
{
    ngx_http_kiro_refresh_t *job = data;

    ngx_uint_t  other;

    other = ngx_http_kiro_write_back_done(job);

    if ((other || job->duty != NGX_HTTP_KIRO_DUTY_SAVE)
        && ngx_http_kiro_refresh_publish(job, other) != NGX_OK)
    {
        return;
    }

    ngx_http_kiro_refresh_saved(job);
    ngx_http_kiro_refresh_end(job, 0);
}


/*
 * NGX_OK: the zone has it; otherwise the job has ended.  other: it is not what
 * was refreshed, but what somebody else has put into the source.
 */

static ngx_int_t
ngx_http_kiro_refresh_publish(ngx_http_kiro_refresh_t *job, ngx_uint_t other)
{
    ngx_uint_t                replaced;
    kiro_credential_view      view;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;

    kiro_credential_get(job->cred, &view);

    /* a reload may have brought another login meanwhile: it stays */

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    replaced = slot->version != job->version
               && (ngx_strlen(slot->fingerprint) != view.fingerprint.len
                   || ngx_memcmp(slot->fingerprint, view.fingerprint.data,
                                 view.fingerprint.len)
                      != 0);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (replaced) {
        ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                      "kiro_account \"%V\": the login was replaced while its "
                      "token was refreshed", &account->name);

        ngx_http_kiro_refresh_end(job, 0);
        return NGX_DECLINED;
    }

    if (ngx_http_kiro_token_publish(account, job->cred, job->log) != NGX_OK) {
        ngx_http_kiro_refresh_failed(job, "the new credential is too large");
        return NGX_DECLINED;
    }

    if (other) {
        return NGX_OK;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    slot->refreshed = ngx_current_msec;
    slot->lifetime = view.expires_at ? view.expires_at - ngx_http_kiro_now()
                                     : 0;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    (void) ngx_atomic_fetch_add(&slot->refreshes, 1);

    ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                  "kiro_account \"%V\": the token was refreshed",
                  &account->name);

    return NGX_OK;
}


/*
 * A login that is in memory only, or not in the source where it belongs, is
 * saved as soon as that is possible.
 */

static void
ngx_http_kiro_refresh_saved(ngx_http_kiro_refresh_t *job)
{
    ngx_uint_t                was, missing;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;
    missing = account->write_back && job->back_status == KIRO_ERROR;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    was = slot->unsaved;

    slot->unsaved = (job->save_status != KIRO_OK || missing);
    slot->save_at = ngx_current_msec + NGX_HTTP_KIRO_SAVE_RETRY;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (job->save_status != KIRO_OK && job->duty != NGX_HTTP_KIRO_DUTY_SAVE) {

        /* the old token is gone: better used from memory than lost */

        ngx_log_error(NGX_LOG_CRIT, job->log, 0,
                      "kiro_account \"%V\": %s; the refreshed token is in "
                      "memory %s; it is tried again every %d s",
                      &account->name, job->failure.message,
                      (account->write_back && !missing)
                      ? "and in its source"
                      : "only, do not restart nginx before this is repaired",
                      NGX_HTTP_KIRO_SAVE_RETRY / 1000);
    }

    if (job->save_status == KIRO_OK && !missing && was) {
        ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                      "kiro_account \"%V\": the token is saved now",
                      &account->name);
    }
}
