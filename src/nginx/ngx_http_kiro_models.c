
/*
 * The list of an account's models: fetched by one worker of the instance when a
 * request needs it and it is old, kept in the zone, copied by the other workers;
 * and the routes that tell clients about it.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_fetch.h"
#include "ngx_http_kiro_models.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_secret.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_MODELS_TIMEOUT      10000   /* ms, of one page */
#define NGX_HTTP_KIRO_MODELS_SLACK        2000    /* ms, of the lease */
#define NGX_HTTP_KIRO_MODELS_RETRY        5000    /* ms, doubled by each failure */
#define NGX_HTTP_KIRO_MODELS_RETRY_MAX    600000  /* ms */
#define NGX_HTTP_KIRO_MODELS_WAIT         2000    /* ms, GET models */
#define NGX_HTTP_KIRO_MODELS_ANSWER       16384   /* bytes, first try */


/* a fetch */

struct ngx_http_kiro_models_s {
    ngx_http_kiro_account_t   *account;
    ngx_pool_t                *pool;
    ngx_log_t                 *log;
    ngx_http_kiro_fetch_t     *fetch;
    ngx_uint_t                 generation;   /* of the lease */
    ngx_http_kiro_token_t      token;
    ngx_http_kiro_region_t    *region;
    ngx_str_t                  request;
    kiro_models               *list;
};


static ngx_uint_t ngx_http_kiro_models_due(ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_models_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_models_t *job);
static void ngx_http_kiro_models_page(ngx_http_kiro_models_t *job);
static void ngx_http_kiro_models_fetched(void *data, kiro_http *http,
    const char *error);
static void ngx_http_kiro_models_publish(ngx_http_kiro_models_t *job);
static void ngx_http_kiro_models_failed(ngx_http_kiro_models_t *job,
    const char *why, ngx_uint_t refused);
static void ngx_http_kiro_models_end(ngx_http_kiro_models_t *job);

static ngx_int_t ngx_http_kiro_models_check(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_models_answer(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);


/*
 * This worker's copy of the list, empty for the built-in models.  Valid until
 * the next event.
 */

kiro_str
ngx_http_kiro_models_get(ngx_http_kiro_account_t *account)
{
    u_char                 *p;
    size_t                  size;
    kiro_str                catalogue;
    ngx_http_kiro_slot_t   *slot;
    ngx_http_kiro_list_t   *list;

    slot = account->slot;
    list = &slot->models;

    p = NULL;
    size = 0;

    while (account->catalogue_version != list->version) {

        ngx_shmtx_lock(&account->zone->shpool->mutex);

        if (list->len <= size) {

            if (list->len) {
                ngx_memcpy(p, list->data, list->len);
            }

            if (account->catalogue.data) {
                ngx_free(account->catalogue.data);
            }

            account->catalogue.data = p;
            account->catalogue.len = list->len;
            account->catalogue_version = list->version;

            ngx_shmtx_unlock(&account->zone->shpool->mutex);

            p = NULL;
            break;
        }

        size = list->len;

        ngx_shmtx_unlock(&account->zone->shpool->mutex);

        if (p) {
            ngx_free(p);
        }

        p = ngx_alloc(size, ngx_cycle->log);
        if (p == NULL) {
            break;
        }
    }

    catalogue.data = (char *) account->catalogue.data;
    catalogue.len = account->catalogue.len;

    return catalogue;
}


/*
 * The service refused a model: the list may be old.  It is fetched once more; as
 * long as that gives the same list, the matter is settled.
 */

void
ngx_http_kiro_models_doubt(ngx_http_kiro_account_t *account)
{
    ngx_http_kiro_list_t  *list;

    list = &account->slot->models;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (list->fails == 0 && list->doubted != list->version + 1) {
        list->doubted = list->version + 1;
        list->due = ngx_current_msec;
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    (void) ngx_http_kiro_models_refresh(account);
}


/*
 * Starts a fetch if one is due and nobody else runs it.  NGX_AGAIN: the list is
 * going to be newer soon; NGX_OK: it is as good as it gets for now.
 */

ngx_int_t
ngx_http_kiro_models_refresh(ngx_http_kiro_account_t *account)
{
    ngx_int_t                rc;
    ngx_log_t               *log;
    ngx_pool_t              *pool;
    kiro_failure             f;
    ngx_http_kiro_models_t  *job;

    if (account->models_interval == 0 || !account->has_management
        || account->credential == NULL
        || !ngx_http_kiro_models_due(account))
    {
        return NGX_OK;
    }

    if (account->fetching || ngx_http_kiro_models_lease(account, NULL) != NGX_OK) {
        return NGX_AGAIN;
    }

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return NGX_OK;
    }

    job = ngx_http_kiro_job(sizeof(ngx_http_kiro_models_t), 16384, &pool,
                            &log);
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

        return NGX_OK;
    }

    job->region = ngx_http_kiro_region(account, &job->token.arn, &f);

    if (job->region == NULL || !job->region->has_management) {
        ngx_explicit_memzero(job->token.token.data, job->token.token.len);
        ngx_destroy_pool(pool);
        return NGX_OK;
    }

    job->list = kiro_models_create();

    if (job->list == NULL) {
        ngx_destroy_pool(pool);
        return NGX_OK;
    }

    if (ngx_http_kiro_models_lease(account, job) != NGX_OK) {
        kiro_models_free(job->list);
        ngx_destroy_pool(pool);
        return NGX_AGAIN;
    }

    account->fetching = job;

    ngx_http_kiro_models_page(job);

    return NGX_AGAIN;
}


/* a token that was replaced since it was refused is worth a new try at once */

static ngx_uint_t
ngx_http_kiro_models_due(ngx_http_kiro_account_t *account)
{
    ngx_http_kiro_slot_t  *slot;

    slot = account->slot;

    return (ngx_msec_int_t) (slot->models.due - ngx_current_msec) <= 0
           || (slot->models.refused && slot->models.refused != slot->version);
}


/* with job: takes the lease, or keeps it; without: says whether it is free */

static ngx_int_t
ngx_http_kiro_models_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_models_t *job)
{
    ngx_int_t              rc;
    ngx_http_kiro_list_t  *list;

    list = &account->slot->models;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    rc = ngx_http_kiro_lease_free(&list->lease, job ? job->generation : 0)
         ? NGX_OK : NGX_DECLINED;

    if (rc == NGX_OK && job) {
        job->generation = ngx_http_kiro_lease_take(&list->lease,
                                                   NGX_HTTP_KIRO_MODELS_TIMEOUT
                                                   + NGX_HTTP_KIRO_MODELS_SLACK);
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    return rc;
}


static void
ngx_http_kiro_models_page(ngx_http_kiro_models_t *job)
{
    size_t                    len;
    kiro_failure              f;
    kiro_models_query         query;
    ngx_http_kiro_account_t  *account;

    ngx_str_t  agent = ngx_string(NGX_HTTP_KIRO_USER_AGENT);

    account = job->account;

    ngx_memzero(&query, sizeof(kiro_models_query));

    query.login = job->token.login;
    query.wire = account->wire;
    query.token = ngx_http_kiro_str(&job->token.token);
    query.profile_arn = ngx_http_kiro_str(&job->token.arn);
    query.host = ngx_http_kiro_str(&job->region->management.host);
    query.prefix = ngx_http_kiro_str(&job->region->management.prefix);
    query.user_agent = ngx_http_kiro_str(&agent);
    query.next = kiro_models_next(job->list);

    len = kiro_models_request(&query, NULL, 0, &f);

    if (len == 0) {
        ngx_http_kiro_models_failed(job, f.message, 0);
        return;
    }

    job->request.data = ngx_http_kiro_secret(job->pool, len);
    if (job->request.data == NULL) {
        ngx_http_kiro_models_failed(job, "out of memory", 0);
        return;
    }

    job->request.len = kiro_models_request(&query, (char *) job->request.data,
                                           len, &f);

    job->fetch = ngx_http_kiro_fetch(&job->region->management, &job->request,
                                     NGX_HTTP_KIRO_MODELS_TIMEOUT, job->log,
                                     ngx_http_kiro_models_fetched, job);
    if (job->fetch == NULL) {
        ngx_http_kiro_models_failed(job, "out of memory", 0);
        return;
    }

    /* nothing is lost with it: no worker stays for it when nginx ends */

    ngx_http_kiro_fetch_cancelable(job->fetch);
}


static void
ngx_http_kiro_models_fetched(void *data, kiro_http *http, const char *error)
{
    ngx_http_kiro_models_t *job = data;

    kiro_failure  f;

    job->fetch = NULL;

    ngx_explicit_memzero(job->request.data, job->request.len);

    if (error) {
        ngx_http_kiro_models_failed(job, error, 0);
        return;
    }

    switch (kiro_models_page(job->list, kiro_http_status(http),
                             kiro_http_header(http, "x-amzn-errortype"),
                             kiro_http_body(http), &f))
    {
    case KIRO_OK:
        ngx_http_kiro_models_publish(job);
        return;

    case KIRO_AGAIN:
        if (ngx_http_kiro_models_lease(job->account, job) != NGX_OK) {

            /* too slow: another worker took over */

            ngx_http_kiro_models_end(job);
            return;
        }

        ngx_http_kiro_models_page(job);
        return;

    default: /* KIRO_ERROR */
        ngx_http_kiro_models_failed(job, f.message,
                                    f.kind == KIRO_FAIL_AUTH_EXPIRED);
        return;
    }
}


static void
ngx_http_kiro_models_publish(ngx_http_kiro_models_t *job)
{
    u_char                   *p, *old;
    size_t                    count;
    kiro_str                  catalogue;
    ngx_uint_t                changed, level;
    kiro_failure              f;
    ngx_slab_pool_t          *shpool;
    ngx_http_kiro_list_t     *list;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    list = &account->slot->models;
    shpool = account->zone->shpool;

    if (kiro_models_catalogue(job->list, &catalogue, &f) != KIRO_OK) {
        ngx_http_kiro_models_failed(job, f.message, 0);
        return;
    }

    count = kiro_catalogue_count(catalogue);

    ngx_shmtx_lock(&shpool->mutex);

    changed = list->len != catalogue.len
              || ngx_memcmp(list->data, catalogue.data, catalogue.len) != 0;

    if (changed) {

        /* into other memory: a worker that dies here leaves the list whole */

        p = ngx_slab_alloc_locked(shpool, catalogue.len);

        if (p == NULL) {
            ngx_shmtx_unlock(&shpool->mutex);

            ngx_http_kiro_models_failed(job, "it has no room in kiro_zone, make "
                                        "that larger", 0);
            return;
        }

        ngx_memcpy(p, catalogue.data, catalogue.len);

        old = list->data;

        list->data = p;
        list->len = catalogue.len;

        ngx_memory_barrier();

        list->version++;

        if (old) {
            ngx_slab_free_locked(shpool, old);
        }
    }

    list->due = ngx_current_msec + account->models_interval;
    list->fails = 0;
    list->refused = 0;

    ngx_shmtx_unlock(&shpool->mutex);

    level = changed ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(level, job->log, 0,
                  "kiro_account \"%V\": %uz models are listed%s",
                  &account->name, count, changed ? "" : ", as before");

    ngx_http_kiro_models_end(job);
}


/* what is at hand stays in use */

static void
ngx_http_kiro_models_failed(ngx_http_kiro_models_t *job, const char *why,
    ngx_uint_t refused)
{
    ngx_uint_t                fails, live;
    ngx_msec_t                delay;
    ngx_http_kiro_list_t     *list;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    list = &account->slot->models;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    fails = list->fails++;

    delay = ngx_http_kiro_backoff(NGX_HTTP_KIRO_MODELS_RETRY, fails,
                                  ngx_min(NGX_HTTP_KIRO_MODELS_RETRY_MAX,
                                          account->models_interval));

    list->due = ngx_current_msec + delay;
    list->refused = refused ? job->token.version : 0;

    live = list->len != 0;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    ngx_log_error(NGX_LOG_WARN, job->log, 0,
                  "kiro_account \"%V\": the model list could not be fetched "
                  "from \"%V\": %s; %s, next try in %M ms",
                  &account->name, &job->region->management.host, why,
                  live ? "the last one stays in use"
                       : "the built-in one is used",
                  delay);

    ngx_http_kiro_models_end(job);
}


static void
ngx_http_kiro_models_end(ngx_http_kiro_models_t *job)
{
    ngx_http_kiro_list_t     *list;
    ngx_http_kiro_account_t  *account;

    account = job->account;
    list = &account->slot->models;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    ngx_http_kiro_lease_end(&list->lease, job->generation);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (job->fetch) {
        ngx_http_kiro_fetch_abort(job->fetch);
    }

    kiro_models_free(job->list);

    ngx_explicit_memzero(job->token.token.data, job->token.token.len);

    account->fetching = NULL;

    ngx_destroy_pool(job->pool);
}


/* at the end of a worker */

void
ngx_http_kiro_models_abort(ngx_http_kiro_account_t *account)
{
    if (account->fetching) {
        ngx_http_kiro_models_end(account->fetching);
    }
}


/* GET models, GET models/{id} */

ngx_int_t
ngx_http_kiro_models(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_kiro_ctx_t  *ctx;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    ctx->peer = ngx_http_kiro_find_peer(r, ctx);

    if (ctx->peer == NULL || ngx_http_kiro_caller(r, ctx) != NGX_OK) {
        return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    /* somebody looks at the list: better a moment later than an old one */

    return ngx_http_kiro_wait(r, NGX_HTTP_KIRO_MODELS_WAIT,
                              ngx_http_kiro_models_check,
                              ngx_http_kiro_models_answer);
}


static ngx_int_t
ngx_http_kiro_models_check(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    return ngx_http_kiro_models_refresh(ctx->peer->account);
}


static ngx_int_t
ngx_http_kiro_models_answer(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    char                      *p;
    size_t                     len, cap;
    kiro_str                   id;
    kiro_models_view           view;
    ngx_http_kiro_loc_conf_t  *klcf;

    klcf = ctx->conf;

    ngx_memzero(&view, sizeof(kiro_models_view));

    view.api = ctx->api;
    view.catalogue = ngx_http_kiro_models_get(ctx->peer->account);

    if (klcf->aliases) {
        view.aliases = klcf->aliases->elts;
        view.naliases = klcf->aliases->nelts;
    }

    id = ngx_http_kiro_str(&ctx->rest);
    cap = NGX_HTTP_KIRO_MODELS_ANSWER;

    for ( ;; ) {

        p = ngx_palloc(r->pool, cap);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        len = kiro_models_answer(&view, id.len ? &id : NULL, p, cap,
                                 &ctx->failure);
        if (len <= cap) {
            break;
        }

        (void) ngx_pfree(r->pool, p);

        cap = len;
    }

    if (len == 0) {
        return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    if (ngx_http_kiro_id_header(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kiro_send_json(r, NGX_HTTP_OK, (u_char *) p, len);
}
