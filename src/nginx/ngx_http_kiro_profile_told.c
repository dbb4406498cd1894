
/*
 * All regions were asked for the profiles of a login: what that means is put into
 * the zone, into the log, and beside the state file for restarts.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_task.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_PROFILE_AGAIN      300000   /* ms, several or none */

/* after so many failures the only profile of the other regions is taken */
#define NGX_HTTP_KIRO_PROFILE_ENOUGH     2


static void ngx_http_kiro_profile_log(ngx_http_kiro_lookup_t *job,
    ngx_uint_t state);
static void ngx_http_kiro_profile_publish(ngx_http_kiro_lookup_t *job,
    ngx_uint_t state);
static void ngx_http_kiro_profile_save(ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_save_task(void *data);
static void ngx_http_kiro_profile_save_done(void *data);
static void ngx_http_kiro_profile_guard(ngx_event_t *ev);


void
ngx_http_kiro_profile_told(ngx_http_kiro_lookup_t *job)
{
    size_t    count;
    kiro_str  arn;

    count = kiro_profiles_count(job->list);

    if (kiro_profiles_builder_id(job->list)) {
        ngx_http_kiro_profile_publish(job, NGX_HTTP_KIRO_PROFILE_BUILDER_ID);
        return;
    }

    if (count > 1) {
        ngx_http_kiro_profile_publish(job, NGX_HTTP_KIRO_PROFILE_SEVERAL);
        return;
    }

    if (job->failed
        && (count == 0 || job->fails < NGX_HTTP_KIRO_PROFILE_ENOUGH))
    {
        ngx_http_kiro_profile_failed(job, job->why);
        return;
    }

    if (count == 1) {
        arn = kiro_profiles_arn(job->list, 0);

        if (arn.len > NGX_HTTP_KIRO_ARN_MAX) {
            ngx_http_kiro_profile_failed(job, "the profile ARN is too long");
            return;
        }

        ngx_memcpy(job->arn, arn.data, arn.len);
        job->arn_len = arn.len;

        ngx_http_kiro_profile_publish(job, NGX_HTTP_KIRO_PROFILE_FOUND);
        return;
    }

    if (!job->told) {

        /* nobody takes the token; without an ARN no request would tell that */

        ngx_http_kiro_token_refuse(job->account, job->token.version);

        ngx_http_kiro_profile_failed(job, job->why);
        return;
    }

    ngx_http_kiro_profile_publish(job, NGX_HTTP_KIRO_PROFILE_NONE);
}


static void
ngx_http_kiro_profile_log(ngx_http_kiro_lookup_t *job, ngx_uint_t state)
{
    char                      text[256];
    size_t                    i, n, len;
    kiro_str                  name;
    ngx_str_t                *region;
    ngx_http_kiro_account_t  *account;

    account = job->account;

    n = kiro_profiles_count(job->list);

    switch (state) {

    case NGX_HTTP_KIRO_PROFILE_FOUND:

        len = kiro_profiles_describe(job->list, 0, text, sizeof(text));

        ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                      "kiro_account \"%V\": the login's profile was found: %*s%s",
                      &account->name, len, text,
                      job->failed ? "; not all regions could be asked" : "");

        region = &account->regions[0].name;

        if (account->nregions == 1
            && kiro_arn_region(kiro_profiles_arn(job->list, 0), &name)
               == KIRO_OK
            && (name.len != region->len
                || ngx_strncmp(name.data, region->data, name.len) != 0))
        {
            ngx_log_error(NGX_LOG_WARN, job->log, 0,
                          "kiro_account \"%V\": the profile's region is %*s, but "
                          "\"region\" or \"endpoint\" send its requests to that "
                          "of %V, where it may not be known", &account->name,
                          name.len, name.data, region);
        }

        return;

    case NGX_HTTP_KIRO_PROFILE_BUILDER_ID:

        ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                      "kiro_account \"%V\": the login is a Builder ID, which has "
                      "no profile of its own: the service's is sent",
                      &account->name);
        return;

    case NGX_HTTP_KIRO_PROFILE_SEVERAL:

        ngx_log_error(NGX_LOG_ERR, job->log, 0,
                      "kiro_account \"%V\": the login has %uz profiles, set "
                      "\"profile_arn\" to the one to use", &account->name, n);

        for (i = 0; i < n; i++) {
            len = kiro_profiles_describe(job->list, i, text, sizeof(text));

            ngx_log_error(NGX_LOG_ERR, job->log, 0,
                          "kiro_account \"%V\": profile %uz: %*s",
                          &account->name, i + 1, len, text);
        }

        return;

    default: /* NGX_HTTP_KIRO_PROFILE_NONE */

        ngx_log_error(NGX_LOG_ERR, job->log, 0,
                      "kiro_account \"%V\": the login has no profile%s%s; its "
                      "organisation must give it one, or \"profile_arn\" must "
                      "be set", &account->name, job->why[0] ? ", " : "",
                      job->why);
    }
}


static void
ngx_http_kiro_profile_publish(ngx_http_kiro_lookup_t *job, ngx_uint_t state)
{
    ngx_uint_t                same;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;
    ngx_http_kiro_profile_t  *profile;

    account = job->account;
    slot = account->slot;
    profile = &slot->profile;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    same = ngx_http_kiro_lease_ours(&profile->lease, job->generation)
           && ngx_strcmp(job->fingerprint, slot->fingerprint) == 0;

    if (same) {
        ngx_memcpy(profile->arn, job->arn, job->arn_len);
        profile->arn_len = job->arn_len;
        profile->due = ngx_current_msec + NGX_HTTP_KIRO_PROFILE_AGAIN;
        profile->fails = 0;
        profile->refused = 0;
        profile->doubted = 0;
        profile->lookups++;
        profile->looked = ngx_current_msec;

        ngx_memory_barrier();

        profile->state = state;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (!same) {
        ngx_http_kiro_profile_end(job);
        return;
    }

    ngx_http_kiro_profile_log(job, state);

    if (account->state_path
        && (state == NGX_HTTP_KIRO_PROFILE_FOUND
            || state == NGX_HTTP_KIRO_PROFILE_BUILDER_ID))
    {
        ngx_http_kiro_profile_save(job);
        return;
    }

    ngx_http_kiro_profile_end(job);
}


static void
ngx_http_kiro_profile_save(ngx_http_kiro_lookup_t *job)
{
    job->in_task = 1;

    job->guard.handler = ngx_http_kiro_profile_guard;
    job->guard.data = job;
    job->guard.log = job->log;

    ngx_add_timer(&job->guard, NGX_HTTP_KIRO_PROFILE_TIMEOUT);

    if (ngx_http_kiro_task(job->pool, ngx_http_kiro_profile_save_task,
                           ngx_http_kiro_profile_save_done, job, job->log)
        != NGX_OK)
    {
        ngx_http_kiro_profile_save_task(job);
        ngx_http_kiro_profile_save_done(job);
    }
}


static void
ngx_http_kiro_profile_save_task(void *data)
{
    ngx_http_kiro_lookup_t *job = data;

    kiro_str                  fingerprint, arn;
    ngx_http_kiro_account_t  *account;

    account = job->account;

    fingerprint.data = (char *) job->fingerprint;
    fingerprint.len = ngx_strlen(job->fingerprint);
    arn.data = (char *) job->arn;
    arn.len = job->arn_len;

    job->save_status = kiro_store_write_profile(
                                     (char *) account->state_path->name.data,
                                     (char *) account->name.data, fingerprint,
                                     arn, &job->failure);
}


static void
ngx_http_kiro_profile_save_done(void *data)
{
    ngx_http_kiro_lookup_t *job = data;

    job->in_task = 0;

    if (job->save_status != KIRO_OK) {
        ngx_log_error(NGX_LOG_WARN, job->log, 0,
                      "kiro_account \"%V\": %s; the profile will be looked up "
                      "again after a restart", &job->account->name,
                      job->failure.message);
    }

    ngx_http_kiro_profile_end(job);
}


/* not a limit: work is still going on */

static void
ngx_http_kiro_profile_guard(ngx_event_t *ev)
{
    ngx_add_timer(ev, NGX_HTTP_KIRO_PROFILE_TIMEOUT);
}
