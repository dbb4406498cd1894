
/*
 * The profile ARN of a login whose record has none: the service is asked for the
 * login's profiles, in one region after the other, by one worker of the instance.
 * What it said is kept in the zone, and beside the state file for restarts, until
 * the account has another login.
 *
 *     lease -> ask the management host of each region, page by page
 *           -> publish in the zone
 *           -> write the file (thread)
 */


#include "ngx_http_kiro.h"


#define NGX_HTTP_KIRO_PROFILE_TIMEOUT    10000    /* ms, of one page */
#define NGX_HTTP_KIRO_PROFILE_SLACK      2000     /* ms, of the lease */
#define NGX_HTTP_KIRO_PROFILE_RETRY      500      /* ms, doubled by each failure */
#define NGX_HTTP_KIRO_PROFILE_RETRY_MAX  60000    /* ms */
#define NGX_HTTP_KIRO_PROFILE_AGAIN      300000   /* ms, several or none */

/* after so many failures the only profile of the other regions is taken */
#define NGX_HTTP_KIRO_PROFILE_ENOUGH     2


struct ngx_http_kiro_lookup_s {
    ngx_http_kiro_account_t   *account;
    ngx_pool_t                *pool;
    ngx_log_t                 *log;
    ngx_event_t                guard;        /* keeps an exiting worker alive */
    ngx_http_kiro_fetch_t     *fetch;
    ngx_uint_t                 generation;   /* of the lease */
    ngx_http_kiro_token_t      token;
    u_char                     fingerprint[NGX_HTTP_KIRO_FINGERPRINT_MAX + 1];
    ngx_uint_t                 fails;        /* of the lookups before */

    ngx_uint_t                 region;       /* that is being asked */
    ngx_str_t                  request;
    kiro_profiles             *list;
    char                       why[256];     /* of the last failure */
    u_char                     arn[NGX_HTTP_KIRO_ARN_MAX];
    size_t                     arn_len;

    /* filled by the thread */
    kiro_status                save_status;
    kiro_failure               failure;

    unsigned                   told:1;       /* a region had an answer */
    unsigned                   failed:1;     /* a region could not be asked */
    unsigned                   refused:1;    /* ... does not take the token */
    unsigned                   in_task:1;
};


static ngx_int_t ngx_http_kiro_profile_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_region(ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_page(ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_fetched(void *data, kiro_http *http,
    const char *error);
static void ngx_http_kiro_profile_told(ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_log(ngx_http_kiro_lookup_t *job,
    ngx_uint_t state);
static void ngx_http_kiro_profile_publish(ngx_http_kiro_lookup_t *job,
    ngx_uint_t state);
static void ngx_http_kiro_profile_failed(ngx_http_kiro_lookup_t *job,
    const char *why);
static void ngx_http_kiro_profile_save(ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_save_task(void *data);
static void ngx_http_kiro_profile_save_done(void *data);
static void ngx_http_kiro_profile_end(ngx_http_kiro_lookup_t *job);
static void ngx_http_kiro_profile_guard(ngx_event_t *ev);


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


/* a request has waited long enough: 1 if it was for the profile */

ngx_uint_t
ngx_http_kiro_profile_late(ngx_http_kiro_account_t *account, kiro_failure *f)
{
    ngx_str_t   arn;
    ngx_uint_t  late;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    late = ngx_http_kiro_profile_arn(account, &arn) == NGX_AGAIN
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
}


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

    pool = ngx_create_pool(16384, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_http_kiro_lookup_t));
    log = ngx_palloc(pool, sizeof(ngx_log_t));

    if (job == NULL || log == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    *log = *ngx_cycle->log;
    log->handler = NULL;
    log->data = NULL;
    log->action = NULL;

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

    if (ngx_http_kiro_profile_arn(account, &arn) == NGX_OK
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

    if (profile->leased
        && (ngx_msec_int_t) (profile->lease_deadline - ngx_current_msec) > 0
        && (job == NULL || profile->lease_generation != job->generation))
    {
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

    profile->leased = 1;
    profile->lease_deadline = ngx_current_msec + NGX_HTTP_KIRO_PROFILE_TIMEOUT
                              + NGX_HTTP_KIRO_PROFILE_SLACK;
    job->generation = ++profile->lease_generation;
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

    job->request.data = ngx_pnalloc(job->pool, len);
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


/* all regions were asked */

static void
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

    same = profile->lease_generation == job->generation
           && ngx_strcmp(job->fingerprint, slot->fingerprint) == 0;

    if (same) {
        ngx_memcpy(profile->arn, job->arn, job->arn_len);
        profile->arn_len = job->arn_len;
        profile->due = ngx_current_msec + NGX_HTTP_KIRO_PROFILE_AGAIN;
        profile->fails = 0;
        profile->refused = 0;

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

    delay = NGX_HTTP_KIRO_PROFILE_RETRY << ngx_min(fails, 8);
    delay = ngx_min(delay, NGX_HTTP_KIRO_PROFILE_RETRY_MAX);
    delay = delay / 2 + ngx_random() % (delay / 2 + 1);

    profile->due = ngx_current_msec + delay;
    profile->refused = job->refused && !job->told ? job->token.version : 0;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_log_error(NGX_LOG_ERR, job->log, 0,
                  "kiro_account \"%V\": the login's profile could not be looked "
                  "up: %s; next try in %M ms", &account->name, why, delay);

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


static void
ngx_http_kiro_profile_end(ngx_http_kiro_lookup_t *job)
{
    ngx_http_kiro_account_t  *account;
    ngx_http_kiro_profile_t  *profile;

    account = job->account;
    profile = &account->slot->profile;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (profile->lease_generation == job->generation) {
        profile->leased = 0;
    }

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


/* not a limit: work is still going on */

static void
ngx_http_kiro_profile_guard(ngx_event_t *ev)
{
    ngx_add_timer(ev, NGX_HTTP_KIRO_PROFILE_TIMEOUT);
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
