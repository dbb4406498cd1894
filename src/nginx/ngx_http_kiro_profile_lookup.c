
/*
 * The profile ARN of a login whose record has none: the service is asked for the
 * login's profiles, in one region after the other, by one worker of the instance.
 *
 *     lease -> ask the management host of each region, page by page
 *           -> publish in the zone, write the file
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_fetch.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_secret.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_PROFILE_SLACK      2000     /* ms, of the lease */
#define NGX_HTTP_KIRO_PROFILE_RETRY      500      /* ms, doubled by each failure */
#define NGX_HTTP_KIRO_PROFILE_RETRY_MAX  60000    /* ms */


static ngx_int_t ngx_http_kiro_profile_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_region(ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_page(ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_fetched(void *data, kiro_http *http,
    const char *error);


/*
 * Starts a lookup if one is due and nobody else runs it.  Cheap when there is
 * nothing to do.
 */

void
ngx_http_kiro_profile(ngx_http_kiro_account_t *account)
{
    ngx_log_t               *log;
    ngx_pool_t              *pool;
    kiro_failure             f;
    ngx_http_kiro_lookup_t  *job;

    if (!account->has_management || account->lookup) {
        return;
    }

    if ((ngx_exiting || ngx_terminate || ngx_quit)
        && ngx_queue_empty(&account->waiters))
    {
        return;
    }

    if (ngx_http_kiro_profile_lease(account, NULL) != NGX_OK) {
        return;
    }

    job = ngx_http_kiro_job(sizeof(ngx_http_kiro_lookup_t), 16384, &pool,
                            &log);
    if (job == NULL) {
        return;
    }

    job->account = account;
    job->pool = pool;
    job->log = log;

    if (ngx_http_kiro_token_bearer(account, pool, &job->token, &f) != NGX_OK) {
        ngx_destroy_pool(pool);
        return;
    }

    job->list = kiro_profiles_create();

    if (job->list == NULL
        || ngx_http_kiro_profile_lease(account, job) != NGX_OK)
    {
        kiro_profiles_free(job->list);
        ngx_explicit_memzero(job->token.token.data, job->token.token.len);
        ngx_destroy_pool(pool);
        return;
    }

    account->lookup = job;

    ngx_http_kiro_profile_region(job);
}


/* with job: takes the lease, or keeps it; without: says whether one is due */

static ngx_int_t
ngx_http_kiro_profile_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_lookup_t *job)
{
    ngx_int_t                 rc;
    ngx_str_t                 arn;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_profile_t  *profile;

    slot = account->slot;
    profile = &slot->profile;
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if ((ngx_http_kiro_profile_arn(account, &arn) == NGX_OK
         && !profile->doubted)
        || !ngx_http_kiro_token_usable(slot, ngx_http_kiro_now()))
    {
        goto done;
    }

    /* a token that was replaced since it was refused is worth a try at once */

    if ((ngx_msec_int_t) (profile->due - ngx_current_msec) > 0
        && (profile->refused == 0 || profile->refused == slot->version))
    {
        goto done;
    }

    if (!ngx_http_kiro_lease_free(&profile->lease, job ? job->generation : 0)) {
        goto done;
    }

    rc = NGX_OK;

    if (job == NULL) {
        goto done;
    }

    if (job->generation && ngx_strcmp(job->fingerprint, slot->fingerprint) != 0)
    {
        /* it is about another login by now */

        rc = NGX_DECLINED;
        goto done;
    }

    job->generation = ngx_http_kiro_lease_take(&profile->lease,
                                               NGX_HTTP_KIRO_PROFILE_TIMEOUT
                                               + NGX_HTTP_KIRO_PROFILE_SLACK);
    job->fails = profile->fails;
    ngx_memcpy(job->fingerprint, slot->fingerprint,
               NGX_HTTP_KIRO_FINGERPRINT_MAX + 1);

done:

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    return rc;
}


static void
ngx_http_kiro_profile_region(ngx_http_kiro_lookup_t *job)
{
    ngx_http_kiro_account_t  *account;

    account = job->account;

    while (job->region < account->nregions
           && !account->regions[job->region].has_management)
    {
        job->region++;
    }

    if (job->region == account->nregions) {
        ngx_http_kiro_profile_told(job);
        return;
    }

    ngx_http_kiro_profile_page(job);
}


static void
ngx_http_kiro_profile_page(ngx_http_kiro_lookup_t *job)
{
    size_t                    len;
    kiro_failure              f;
    kiro_profiles_query       query;
    ngx_http_kiro_account_t  *account;
    ngx_http_kiro_endpoint_t *endpoint;

    ngx_str_t  agent = ngx_string(NGX_HTTP_KIRO_USER_AGENT);

    account = job->account;
    endpoint = &account->regions[job->region].management;

    ngx_memzero(&query, sizeof(kiro_profiles_query));

    query.login = job->token.login;
    query.token = ngx_http_kiro_str(&job->token.token);
    query.host = ngx_http_kiro_str(&endpoint->host);
    query.prefix = ngx_http_kiro_str(&endpoint->prefix);
    query.user_agent = ngx_http_kiro_str(&agent);
    query.next = kiro_profiles_next(job->list);

    len = kiro_profiles_request(&query, NULL, 0, &f);

    if (len == 0) {
        ngx_http_kiro_profile_failed(job, f.message);
        return;
    }

    job->request.data = ngx_http_kiro_secret(job->pool, len);
    if (job->request.data == NULL) {
        ngx_http_kiro_profile_failed(job, "out of memory");
        return;
    }

    job->request.len = kiro_profiles_request(&query,
                                             (char *) job->request.data, len,
                                             &f);

    job->fetch = ngx_http_kiro_fetch(endpoint, &job->request,
                                     NGX_HTTP_KIRO_PROFILE_TIMEOUT, job->log,
                                     ngx_http_kiro_profile_fetched, job);
    if (job->fetch == NULL) {
        ngx_http_kiro_profile_failed(job, "out of memory");
        return;
    }

    /* requests that wait keep a worker alive themselves */

    ngx_http_kiro_fetch_cancelable(job->fetch);
}


static void
ngx_http_kiro_profile_fetched(void *data, kiro_http *http, const char *error)
{
    ngx_http_kiro_lookup_t *job = data;

    kiro_status   status;
    kiro_failure  f;

    job->fetch = NULL;

    ngx_explicit_memzero(job->request.data, job->request.len);

    if (error) {
        status = KIRO_ERROR;
        kiro_failure_set(&f, KIRO_FAIL_UPSTREAM_CONNECT, "%s", error);

    } else {
        status = kiro_profiles_page(job->list, kiro_http_status(http),
                                    kiro_http_header(http, "x-amzn-errortype"),
                                    kiro_http_body(http), &f);
    }

    if (status == KIRO_ERROR) {

        ngx_snprintf((u_char *) job->why, sizeof(job->why), "%V: %s%Z",
                     &job->account->regions[job->region].management.host,
                     f.message);
        job->why[sizeof(job->why) - 1] = '\0';

        switch (f.kind) {

        case KIRO_FAIL_AUTH_EXPIRED:

            /* in another region than its own a good token is refused, too */

            job->refused = 1;
            break;

        case KIRO_FAIL_ACCESS_DENIED:
            job->told = 1;
            break;

        default:
            job->failed = 1;
        }

    } else {
        job->told = 1;
    }

    if (kiro_profiles_builder_id(job->list)) {
        ngx_http_kiro_profile_told(job);
        return;
    }

    if (ngx_http_kiro_profile_lease(job->account, job) != NGX_OK) {

        /* too slow: another worker took over, or nobody needs it any more */

        ngx_http_kiro_profile_end(job);
        return;
    }

    if (status == KIRO_AGAIN) {
        ngx_http_kiro_profile_page(job);
        return;
    }

    job->region++;

    ngx_http_kiro_profile_region(job);
}


void
ngx_http_kiro_profile_failed(ngx_http_kiro_lookup_t *job, const char *why)
{
    ngx_uint_t                fails;
    ngx_msec_t                delay;
    ngx_http_kiro_account_t  *account;
    ngx_http_kiro_profile_t  *profile;

    account = job->account;
    profile = &account->slot->profile;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    fails = profile->fails++;

    delay = ngx_http_kiro_backoff(NGX_HTTP_KIRO_PROFILE_RETRY, fails,
                                  NGX_HTTP_KIRO_PROFILE_RETRY_MAX);

    profile->due = ngx_current_msec + delay;
    profile->refused = job->refused && !job->told ? job->token.version : 0;

    /* what is known stays, and nobody waits any longer */

    profile->doubted = 0;
    profile->lookups++;
    profile->looked = ngx_current_msec;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_log_error(NGX_LOG_ERR, job->log, 0,
                  "kiro_account \"%V\": the login's profile could not be looked "
                  "up: %s; next try in %M ms", &account->name, why, delay);

    ngx_http_kiro_profile_end(job);
}


void
ngx_http_kiro_profile_end(ngx_http_kiro_lookup_t *job)
{
    ngx_http_kiro_account_t  *account;
    ngx_http_kiro_profile_t  *profile;

    account = job->account;
    profile = &account->slot->profile;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    ngx_http_kiro_lease_end(&profile->lease, job->generation);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (job->guard.timer_set) {
        ngx_del_timer(&job->guard);
    }

    if (job->fetch) {
        ngx_http_kiro_fetch_abort(job->fetch);
    }

    kiro_profiles_free(job->list);

    ngx_explicit_memzero(job->token.token.data, job->token.token.len);

    account->lookup = NULL;

    ngx_destroy_pool(job->pool);
}


/* at the end of a worker */

void
ngx_http_kiro_profile_abort(ngx_http_kiro_account_t *account)
{
    ngx_http_kiro_lookup_t  *job;

    job = account->lookup;

    /* a thread that still writes here is left alone: the process ends */

    if (job && !job->in_task) {
        ngx_http_kiro_profile_end(job);
    }
}
