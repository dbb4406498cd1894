
/*
 * The limits of an account: fetched by one worker of the instance when somebody
 * asks and what is known is old, and kept in the zone; or for a caller's own key,
 * and kept nowhere.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_fetch.h"
#include "ngx_http_kiro_lease.h"
#include "ngx_http_kiro_limits.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_secret.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_LIMITS_SLACK      2000    /* ms, of the lease */
#define NGX_HTTP_KIRO_LIMITS_RETRY      5000    /* ms, doubled by each failure */
#define NGX_HTTP_KIRO_LIMITS_RETRY_MAX  600000  /* ms */
#define NGX_HTTP_KIRO_LIMITS_FRESH      10000   /* ms, no doubt about these */


static ngx_uint_t ngx_http_kiro_limits_due(ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_limits_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_limits_t *job);
static void ngx_http_kiro_limits_note(ngx_http_kiro_account_t *account,
    kiro_failure *f);
static void ngx_http_kiro_limits_send(ngx_http_kiro_limits_t *job);
static void ngx_http_kiro_limits_fetched(void *data, kiro_http *http,
    const char *error);
static void ngx_http_kiro_limits_publish(ngx_http_kiro_limits_t *job);
static void ngx_http_kiro_limits_failed(ngx_http_kiro_limits_t *job,
    const char *why);


/*
 * Starts a fetch if one is due and nobody else runs it.  NGX_AGAIN: there is going
 * to be something newer soon; NGX_OK: it is as good as it gets for now.
 */

ngx_int_t
ngx_http_kiro_limits_refresh(ngx_http_kiro_account_t *account)
{
    ngx_int_t                rc;
    ngx_log_t               *log;
    ngx_pool_t              *pool;
    kiro_failure             f;
    ngx_http_kiro_limits_t  *job;

    if (account->usage_interval == 0 || !account->has_management
        || account->credential == NULL
        || !ngx_http_kiro_limits_due(account))
    {
        return NGX_OK;
    }

    if (account->limits
        || ngx_http_kiro_limits_lease(account, NULL) != NGX_OK)
    {
        return NGX_AGAIN;
    }

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return NGX_OK;
    }

    job = ngx_http_kiro_job(sizeof(ngx_http_kiro_limits_t), 16384, &pool, &log);
    if (job == NULL) {
        return NGX_OK;
    }

    job->account = account;
    job->pool = pool;
    job->log = log;

    rc = ngx_http_kiro_token_get(account, pool, &job->token, &f);

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);

        if (rc == NGX_AGAIN) {
            ngx_http_kiro_refresh(account);
            ngx_http_kiro_profile(account);
            return NGX_AGAIN;
        }

        ngx_http_kiro_limits_note(account, &f);
        return NGX_OK;
    }

    job->region = ngx_http_kiro_region(account, &job->token.arn, &f);

    if (job->region && !job->region->has_management) {
        kiro_failure_set(&f, KIRO_FAIL_NOT_BUILT,
                         "no management host is set up for this account");
        job->region = NULL;
    }

    if (job->region == NULL) {
        ngx_explicit_memzero(job->token.token.data, job->token.token.len);
        ngx_destroy_pool(pool);

        ngx_http_kiro_limits_note(account, &f);
        return NGX_OK;
    }

    if (ngx_http_kiro_limits_lease(account, job) != NGX_OK) {
        ngx_explicit_memzero(job->token.token.data, job->token.token.len);
        ngx_destroy_pool(pool);
        return NGX_AGAIN;
    }

    account->limits = job;

    ngx_http_kiro_limits_send(job);

    return NGX_AGAIN;
}


/* the same for a key that is the request's own; f: why it cannot be tried */

ngx_http_kiro_limits_t *
ngx_http_kiro_limits_call(ngx_http_kiro_account_t *account, ngx_str_t *key,
    kiro_failure *f)
{
    ngx_log_t               *log;
    ngx_pool_t              *pool;
    ngx_http_kiro_limits_t  *job;

    job = ngx_http_kiro_job(sizeof(ngx_http_kiro_limits_t), 16384, &pool, &log);
    if (job == NULL) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "out of memory");
        return NULL;
    }

    job->account = account;
    job->pool = pool;
    job->log = log;
    job->caller = 1;

    job->token.login = KIRO_LOGIN_API_KEY;
    job->token.token.len = key->len;
    job->token.token.data = ngx_http_kiro_secret(pool, key->len);

    if (job->token.token.data == NULL) {
        ngx_destroy_pool(pool);
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "out of memory");
        return NULL;
    }

    ngx_memcpy(job->token.token.data, key->data, key->len);

    job->region = ngx_http_kiro_region(account, &job->token.arn, f);

    if (job->region && !job->region->has_management) {
        kiro_failure_set(f, KIRO_FAIL_NOT_BUILT,
                         "no management host is set up for this account");
        job->region = NULL;
    }

    if (job->region == NULL) {
        ngx_http_kiro_limits_end(job);
        return NULL;
    }

    ngx_http_kiro_limits_send(job);

    return job;
}


/* a token that was replaced since it was refused is worth a new try at once */

static ngx_uint_t
ngx_http_kiro_limits_due(ngx_http_kiro_account_t *account)
{
    ngx_http_kiro_known_limits_t  *known;

    known = &account->slot->limits;

    return (ngx_msec_int_t) (known->due - ngx_current_msec) <= 0
           || (known->refused && known->refused != account->slot->version);
}


/* with job: takes the lease, or keeps it; without: says whether it is free */

static ngx_int_t
ngx_http_kiro_limits_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_limits_t *job)
{
    ngx_int_t                      rc;
    ngx_http_kiro_known_limits_t  *known;

    known = &account->slot->limits;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    rc = ngx_http_kiro_lease_free(&known->lease, job ? job->generation : 0)
         ? NGX_OK : NGX_DECLINED;

    if (rc == NGX_OK && job) {

        if (job->generation == 0) {
            job->profile = known->profile && job->token.arn.len;
        }

        job->generation = ngx_http_kiro_lease_take(&known->lease,
                                                   NGX_HTTP_KIRO_LIMITS_TIMEOUT
                                                   + NGX_HTTP_KIRO_LIMITS_SLACK);
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    return rc;
}


/* why there is nothing, for who asks; the next one tries again */

static void
ngx_http_kiro_limits_note(ngx_http_kiro_account_t *account, kiro_failure *f)
{
    ngx_shmtx_lock(&account->zone->shpool->mutex);
    account->slot->limits.failure = *f;
    ngx_shmtx_unlock(&account->zone->shpool->mutex);
}


static void
ngx_http_kiro_limits_send(ngx_http_kiro_limits_t *job)
{
    size_t                    len;
    kiro_usage_query          query;
    ngx_http_kiro_account_t  *account;

    ngx_str_t  agent = ngx_string(NGX_HTTP_KIRO_USER_AGENT);

    account = job->account;

    ngx_memzero(&query, sizeof(kiro_usage_query));

    query.login = job->token.login;
    query.wire = account->wire;
    query.token = ngx_http_kiro_str(&job->token.token);
    query.host = ngx_http_kiro_str(&job->region->management.host);
    query.prefix = ngx_http_kiro_str(&job->region->management.prefix);
    query.user_agent = ngx_http_kiro_str(&agent);

    if (job->profile) {
        query.profile_arn = ngx_http_kiro_str(&job->token.arn);
    }

    len = kiro_usage_request(&query, NULL, 0, &job->failure);

    if (len == 0) {
        ngx_http_kiro_limits_failed(job, job->failure.message);
        return;
    }

    job->request.len = len;
    job->request.data = ngx_http_kiro_secret(job->pool, len);

    if (job->request.data) {
        (void) kiro_usage_request(&query, (char *) job->request.data, len,
                                  &job->failure);

        job->fetch = ngx_http_kiro_fetch(&job->region->management,
                                         &job->request,
                                         NGX_HTTP_KIRO_LIMITS_TIMEOUT, job->log,
                                         ngx_http_kiro_limits_fetched, job);
    }

    if (job->fetch == NULL) {
        kiro_failure_set(&job->failure, KIRO_FAIL_INTERNAL, "out of memory");
        ngx_http_kiro_limits_failed(job, "out of memory");
        return;
    }

    /* who waits keeps a worker alive by itself */

    ngx_http_kiro_fetch_cancelable(job->fetch);
}


static void
ngx_http_kiro_limits_fetched(void *data, kiro_http *http, const char *error)
{
    ngx_http_kiro_limits_t *job = data;

    kiro_status  status;

    job->fetch = NULL;

    ngx_explicit_memzero(job->request.data, job->request.len);

    if (error) {
        kiro_failure_set(&job->failure, KIRO_FAIL_UPSTREAM_CONNECT,
                         "the gateway cannot ask the service for the limits of "
                         "the account at the moment");
        ngx_http_kiro_limits_failed(job, error);
        return;
    }

    status = kiro_usage_parse(kiro_http_status(http),
                              kiro_http_header(http, "x-amzn-errortype"),
                              kiro_http_body(http), &job->limits,
                              &job->failure);

    /* some accounts have to name their profile, others must not */

    if (status == KIRO_AGAIN && !job->tried
        && (job->profile || job->token.arn.len)
        && (job->caller
            || ngx_http_kiro_limits_lease(job->account, job) == NGX_OK))
    {
        job->tried = 1;
        job->profile = !job->profile;

        ngx_http_kiro_limits_send(job);
        return;
    }

    if (status != KIRO_OK) {
        ngx_http_kiro_limits_failed(job, job->failure.message);
        return;
    }

    ngx_http_kiro_limits_publish(job);
}


static void
ngx_http_kiro_limits_publish(ngx_http_kiro_limits_t *job)
{
    ngx_http_kiro_account_t       *account;
    ngx_http_kiro_known_limits_t  *known;

    job->failure.kind = KIRO_FAIL_NONE;

    if (job->caller) {
        job->done = 1;
        return;
    }

    account = job->account;
    known = &account->slot->limits;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (ngx_http_kiro_lease_ours(&known->lease, job->generation)) {

        /* a worker that dies in the middle leaves nothing that is half */

        known->valid = 0;
        ngx_memory_barrier();

        known->limits = job->limits;
        known->fetched = ngx_current_msec;
        known->fetched_at = ngx_http_kiro_now();

        ngx_memory_barrier();
        known->valid = 1;

        known->due = ngx_current_msec + account->usage_interval;
        known->fails = 0;
        known->refused = 0;
        known->profile = job->profile;
        known->failure.kind = KIRO_FAIL_NONE;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_log_error(NGX_LOG_INFO, job->log, 0,
                  "kiro_account \"%V\": its limits are known", &account->name);

    ngx_http_kiro_state_limits(account, &job->limits);

    ngx_http_kiro_limits_end(job);
}


/* what is at hand stays in use */

static void
ngx_http_kiro_limits_failed(ngx_http_kiro_limits_t *job, const char *why)
{
    ngx_msec_t                     delay;
    ngx_http_kiro_account_t       *account;
    ngx_http_kiro_known_limits_t  *known;

    account = job->account;

    if (job->caller) {

        ngx_log_error(NGX_LOG_WARN, job->log, 0,
                      "kiro_account \"%V\": the limits of a caller could not be "
                      "fetched from \"%V\": %s", &account->name,
                      &job->region->management.host, why);
        job->done = 1;
        return;
    }

    known = &account->slot->limits;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    delay = ngx_http_kiro_backoff(NGX_HTTP_KIRO_LIMITS_RETRY, known->fails,
                                  ngx_min(NGX_HTTP_KIRO_LIMITS_RETRY_MAX,
                                          account->usage_interval));

    if (job->failure.retry_after_ms > delay) {
        delay = ngx_min(job->failure.retry_after_ms,
                        NGX_HTTP_KIRO_LIMITS_RETRY_MAX);
    }

    known->fails++;
    known->due = ngx_current_msec + delay;
    known->refused = job->failure.kind == KIRO_FAIL_AUTH_EXPIRED
                     ? job->token.version : 0;
    known->failure = job->failure;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_log_error(NGX_LOG_WARN, job->log, 0,
                  "kiro_account \"%V\": its limits could not be fetched from "
                  "\"%V\": %s; next try in %M ms",
                  &account->name, &job->region->management.host, why, delay);

    ngx_http_kiro_limits_end(job);
}


void
ngx_http_kiro_limits_end(ngx_http_kiro_limits_t *job)
{
    ngx_http_kiro_account_t  *account;

    account = job->account;

    if (!job->caller) {
        ngx_shmtx_lock(&account->zone->shpool->mutex);

        ngx_http_kiro_lease_end(&account->slot->limits.lease, job->generation);

        ngx_shmtx_unlock(&account->zone->shpool->mutex);

        account->limits = NULL;
    }

    if (job->fetch) {
        ngx_http_kiro_fetch_abort(job->fetch);
    }

    ngx_explicit_memzero(job->token.token.data, job->token.token.len);

    ngx_destroy_pool(job->pool);
}


/* at the end of a worker */

void
ngx_http_kiro_limits_abort(ngx_http_kiro_account_t *account)
{
    if (account->limits) {
        ngx_http_kiro_limits_end(account->limits);
    }
}


/* the service says that a quota is used up: what is known is from before that */

void
ngx_http_kiro_limits_doubt(ngx_http_kiro_account_t *account)
{
    ngx_http_kiro_known_limits_t  *known;

    known = &account->slot->limits;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (known->fails == 0
        && (!known->valid || ngx_current_msec - known->fetched
                             > NGX_HTTP_KIRO_LIMITS_FRESH))
    {
        known->due = ngx_current_msec;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    (void) ngx_http_kiro_limits_refresh(account);
}


/* a copy; 0: there is nothing but perhaps a failure */

ngx_uint_t
ngx_http_kiro_limits_get(ngx_http_kiro_account_t *account,
    ngx_http_kiro_known_limits_t *known)
{
    ngx_shmtx_lock(&account->zone->shpool->mutex);
    *known = account->slot->limits;
    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    return known->valid;
}


/* under the mutex: another login has other limits */

void
ngx_http_kiro_limits_forget(ngx_http_kiro_slot_t *slot)
{
    slot->limits.valid = 0;
    slot->limits.due = ngx_current_msec;
    slot->limits.fails = 0;
    slot->limits.refused = 0;
    slot->limits.profile = 0;
    slot->limits.failure.kind = KIRO_FAIL_NONE;
}
