
/*
 * What is to be done for an account's login, and the lease of who does it.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_refresh.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


static ngx_uint_t ngx_http_kiro_refresh_duty(ngx_http_kiro_account_t *account,
    int64_t now, ngx_uint_t leaving);


/* with job: takes the lease; without: says whether it could be taken */

ngx_int_t
ngx_http_kiro_refresh_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_refresh_t *job)
{
    size_t                       len;
    u_char                      *record;
    int64_t                      now;
    ngx_pid_t                    gone;
    ngx_uint_t                   duty;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_token_data_t  *data;

    now = ngx_http_kiro_now();
    slot = account->slot;
    record = NULL;

    if (job) {
        record = ngx_palloc(job->pool, NGX_HTTP_KIRO_RECORD_MAX);
        if (record == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    duty = ngx_http_kiro_refresh_duty(account, now, job && job->leaving);

    if (duty == NGX_HTTP_KIRO_DUTY_NONE) {
        ngx_shmtx_unlock(&account->zone->shpool->mutex);
        return NGX_DECLINED;
    }

    if (!ngx_http_kiro_lease_free(&slot->lease, 0)) {
        ngx_shmtx_unlock(&account->zone->shpool->mutex);
        return NGX_DECLINED;
    }

    if (job == NULL) {
        ngx_shmtx_unlock(&account->zone->shpool->mutex);
        return NGX_OK;
    }

    data = &slot->data[duty == NGX_HTTP_KIRO_DUTY_FINISH ? 1 - slot->active
                                                         : slot->active];

    len = data->record_len;
    ngx_memcpy(record, data->record, len);

    job->duty = duty;
    job->version = slot->version;

    gone = ngx_http_kiro_lease_orphan(&slot->lease);

    job->generation = ngx_http_kiro_lease_take(&slot->lease,
                                               account->refresh_timeout
                                               + NGX_HTTP_KIRO_LEASE_SLACK);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    job->cred = kiro_credential_parse((char *) record, len, &job->failure);

    ngx_explicit_memzero(record, len);
    (void) ngx_pfree(job->pool, record);

    if (job->cred == NULL) {
        ngx_log_error(NGX_LOG_ALERT, job->log, 0,
                      "kiro_account \"%V\": bad record in the zone: %s",
                      &account->name, job->failure.message);

        ngx_http_kiro_refresh_release(job, NGX_HTTP_KIRO_SOURCE_RETRY);
        return NGX_ERROR;
    }

    if (gone) {
        ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                      "kiro_account \"%V\": worker process %P ended in the "
                      "middle of a refresh, going on with it",
                      &account->name, gone);
    }

    return NGX_OK;
}


/* under the mutex */

static ngx_uint_t
ngx_http_kiro_refresh_duty(ngx_http_kiro_account_t *account, int64_t now,
    ngx_uint_t leaving)
{
    int64_t                      early;
    ngx_uint_t                   refused;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_token_data_t  *data;

    slot = account->slot;
    data = &slot->data[slot->active];

    if (leaving) {

        /* the last moment to save something */

        return slot->pending ? NGX_HTTP_KIRO_DUTY_FINISH
               : slot->unsaved ? NGX_HTTP_KIRO_DUTY_SAVE
               : NGX_HTTP_KIRO_DUTY_NONE;
    }

    if (slot->pending
        && (ngx_msec_int_t) (slot->next_try - ngx_current_msec) <= 0)
    {
        return NGX_HTTP_KIRO_DUTY_FINISH;
    }

    refused = slot->version <= slot->bad
              || slot->state == NGX_HTTP_KIRO_SLOT_DEAD
              || data->token_len == 0;

    early = account->refresh_before;

    /* a new token that lives for less than that is not due at once again */

    if (slot->lifetime && slot->lifetime / 2 < early) {
        early = slot->lifetime / 2;
    }

    /* one that is not sent any more is due, but for such short lives */

    if (early < NGX_HTTP_KIRO_MARGIN
        && (slot->lifetime == 0 || slot->lifetime > 2 * NGX_HTTP_KIRO_MARGIN))
    {
        early = NGX_HTTP_KIRO_MARGIN;
    }

    if ((refused || (data->expires && data->expires - now <= early))
        && (ngx_msec_int_t) (slot->next_try - ngx_current_msec) <= 0)
    {
        return NGX_HTTP_KIRO_DUTY_REFRESH;
    }

    if (slot->unsaved
        && (ngx_msec_int_t) (slot->save_at - ngx_current_msec) <= 0)
    {
        return NGX_HTTP_KIRO_DUTY_SAVE;
    }

    return NGX_HTTP_KIRO_DUTY_NONE;
}


/* another round, after a refusal, has the time of the first */

void
ngx_http_kiro_refresh_extend(ngx_http_kiro_refresh_t *job)
{
    ngx_http_kiro_account_t  *account;

    account = job->account;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    ngx_http_kiro_lease_extend(&account->slot->lease, job->generation,
                               account->refresh_timeout
                               + NGX_HTTP_KIRO_LEASE_SLACK);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);
}


void
ngx_http_kiro_refresh_release(ngx_http_kiro_refresh_t *job, ngx_msec_t next)
{
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (ngx_http_kiro_lease_ours(&slot->lease, job->generation)) {

        ngx_http_kiro_lease_end(&slot->lease, job->generation);

        switch (job->duty) {

        case NGX_HTTP_KIRO_DUTY_SAVE:
            slot->save_at = ngx_current_msec + NGX_HTTP_KIRO_SAVE_RETRY;
            break;

        case NGX_HTTP_KIRO_DUTY_FINISH:
            if (job->cred == NULL) {
                slot->pending = 0;
            }

            /* fall through */

        default:
            slot->next_try = ngx_current_msec + next;
        }
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);
}


/*
 * The auth host has forgotten the old refresh token, and the new one is in no
 * file yet: the zone outlives this worker.
 */

void
ngx_http_kiro_refresh_keep(ngx_http_kiro_refresh_t *job)
{
    size_t                       len;
    u_char                      *record;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_account_t     *account;
    ngx_http_kiro_token_data_t  *data;

    account = job->account;
    slot = account->slot;

    record = ngx_palloc(job->pool, NGX_HTTP_KIRO_RECORD_MAX);
    if (record == NULL) {
        return;
    }

    len = kiro_credential_serialize(job->cred, (char *) record,
                                    NGX_HTTP_KIRO_RECORD_MAX);

    if (len > NGX_HTTP_KIRO_RECORD_MAX) {
        (void) ngx_pfree(job->pool, record);
        return;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (slot->version == job->version) {
        data = &slot->data[1 - slot->active];

        data->record_len = len;
        ngx_memcpy(data->record, record, len);

        ngx_memory_barrier();

        slot->pending = 1;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_explicit_memzero(record, len);
    (void) ngx_pfree(job->pool, record);
}
