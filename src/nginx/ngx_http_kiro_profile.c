
/*
 * The profile ARN that goes with an account's token: set, from the record, or
 * what a lookup found, which stays in the zone until the account has another
 * login.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_PROFILE_TRUST  30000    /* ms, doubts in vain */


/*
 * Under the mutex.  NGX_OK: this ARN is sent, or none; NGX_AGAIN: it has to be
 * found first; NGX_ERROR: there is none to send.
 */

ngx_int_t
ngx_http_kiro_profile_arn(ngx_http_kiro_account_t *account, ngx_str_t *arn)
{
    kiro_str                     own;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_token_data_t  *data;

    slot = account->slot;
    data = &slot->data[slot->active];

    ngx_str_null(arn);

    if (data->login == KIRO_LOGIN_API_KEY) {
        return NGX_OK;
    }

    if (account->profile_arn.len) {
        *arn = account->profile_arn;
        return NGX_OK;
    }

    if (data->arn_len) {
        arn->data = data->arn;
        arn->len = data->arn_len;
        return NGX_OK;
    }

    switch (slot->profile.state) {

    case NGX_HTTP_KIRO_PROFILE_FOUND:
        arn->data = slot->profile.arn;
        arn->len = slot->profile.arn_len;
        return NGX_OK;

    case NGX_HTTP_KIRO_PROFILE_BUILDER_ID:
        own = kiro_builder_id_profile();
        arn->data = (u_char *) own.data;
        arn->len = own.len;
        return NGX_OK;

    case NGX_HTTP_KIRO_PROFILE_SEVERAL:
    case NGX_HTTP_KIRO_PROFILE_NONE:
        return NGX_ERROR;

    default: /* NGX_HTTP_KIRO_PROFILE_UNKNOWN */

        /* without a host to ask the service has to say what it thinks of that */

        return account->has_management ? NGX_AGAIN : NGX_OK;
    }
}


/* under the mutex: the ARN above is not the login's own */

ngx_uint_t
ngx_http_kiro_profile_borrowed(ngx_http_kiro_account_t *account)
{
    ngx_http_kiro_slot_t  *slot;

    slot = account->slot;

    return slot->profile.state == NGX_HTTP_KIRO_PROFILE_BUILDER_ID
           && account->profile_arn.len == 0
           && slot->data[slot->active].arn_len == 0;
}


/* why there is no ARN to send */

void
ngx_http_kiro_profile_failure(ngx_http_kiro_account_t *account, kiro_failure *f)
{
    if (account->slot->profile.state == NGX_HTTP_KIRO_PROFILE_SEVERAL) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED,
                         "the gateway's login has several Kiro profiles; its "
                         "operator has to choose one with profile_arn");
        return;
    }

    kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED,
                     "the gateway's login has no Kiro profile; its operator has "
                     "to get one assigned, or to set profile_arn");
}


/*
 * The service does not take the ARN that a lookup found: it is looked up again,
 * and kept until there is another one, as the refusal may be about something else.
 * NGX_DECLINED: that would be of no use.
 */

ngx_int_t
ngx_http_kiro_profile_doubt(ngx_http_kiro_account_t *account,
    ngx_http_kiro_token_t *token)
{
    ngx_int_t                    rc;
    ngx_uint_t                   first;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_profile_t     *profile;
    ngx_http_kiro_token_data_t  *data;

    slot = account->slot;
    profile = &slot->profile;

    rc = NGX_OK;
    first = 0;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    data = &slot->data[slot->active];

    if (account->profile_arn.len || data->arn_len || !account->has_management
        || data->login == KIRO_LOGIN_API_KEY)
    {
        rc = NGX_DECLINED;

    } else if (profile->lookups == token->lookups && !profile->doubted) {

        if (profile->lookups
            && ngx_current_msec - profile->looked < NGX_HTTP_KIRO_PROFILE_TRUST)
        {
            rc = NGX_DECLINED;

        } else {
            first = 1;
            profile->doubted = 1;
            profile->due = ngx_current_msec;
            profile->fails = 0;
        }
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    token->doubted = (rc == NGX_OK);

    if (first) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "kiro_account \"%V\": the service does not take the "
                      "login's profile, it is looked up again",
                      &account->name);
    }

    return rc;
}


/* under the mutex: the lookup that the token's ARN led to has not ended */

ngx_uint_t
ngx_http_kiro_profile_pending(ngx_http_kiro_account_t *account,
    ngx_http_kiro_token_t *token)
{
    ngx_http_kiro_profile_t  *profile;

    profile = &account->slot->profile;

    return token->doubted && profile->doubted
           && profile->lookups == token->lookups;
}


/* a request has waited long enough: 1 if it was for the profile */

ngx_uint_t
ngx_http_kiro_profile_late(ngx_http_kiro_account_t *account,
    ngx_http_kiro_token_t *token, kiro_failure *f)
{
    ngx_str_t   arn;
    ngx_uint_t  late;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    late = (ngx_http_kiro_profile_pending(account, token)
            || ngx_http_kiro_profile_arn(account, &arn) == NGX_AGAIN)
           && ngx_http_kiro_token_usable(account->slot, ngx_http_kiro_now());

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (late) {
        kiro_failure_set(f, KIRO_FAIL_TOKEN_TIMEOUT,
                         "the gateway could not find out the profile of its "
                         "login in time; setting profile_arn makes that "
                         "unnecessary");
    }

    return late;
}


/* in the master: what was found before a restart */

void
ngx_http_kiro_profile_load(ngx_http_kiro_account_t *account, ngx_log_t *log)
{
    char                      arn[NGX_HTTP_KIRO_ARN_MAX];
    size_t                    len;
    kiro_str                  fingerprint;
    kiro_failure              f;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_profile_t  *profile;

    slot = account->slot;
    profile = &slot->profile;

    if (account->state_path == NULL
        || profile->state != NGX_HTTP_KIRO_PROFILE_UNKNOWN)
    {
        return;
    }

    fingerprint.data = (char *) slot->fingerprint;
    fingerprint.len = ngx_strlen(slot->fingerprint);

    switch (kiro_store_read_profile((char *) account->state_path->name.data,
                                    (char *) account->name.data, fingerprint,
                                    arn, NGX_HTTP_KIRO_ARN_MAX, &len, &f))
    {
    case KIRO_OK:
        break;

    case KIRO_AGAIN:
        return;

    default:
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "kiro_account \"%V\": %s; the profile is looked up anew",
                      &account->name, f.message);
        return;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    ngx_memcpy(profile->arn, arn, len);
    profile->arn_len = len;
    profile->state = len ? NGX_HTTP_KIRO_PROFILE_FOUND
                         : NGX_HTTP_KIRO_PROFILE_BUILDER_ID;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);
}


/* under the mutex: the account has another login */

void
ngx_http_kiro_profile_forget(ngx_http_kiro_slot_t *slot)
{
    ngx_http_kiro_profile_t  *profile;

    profile = &slot->profile;

    profile->state = NGX_HTTP_KIRO_PROFILE_UNKNOWN;
    profile->arn_len = 0;
    profile->due = ngx_current_msec;
    profile->fails = 0;
    profile->refused = 0;
    profile->doubted = 0;
}
