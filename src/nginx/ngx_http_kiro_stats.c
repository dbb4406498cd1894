
/*
 * Counters in the zone: what the access log says of each request, summed over
 * all workers.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_lease.h"
#include "ngx_http_kiro_stats.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


/* an account uses each of its models by a dialect or two */

#define NGX_HTTP_KIRO_SERIES         256

static ngx_http_kiro_series_t *ngx_http_kiro_stats_series(
    ngx_http_kiro_zone_t *zone, ngx_http_kiro_ctx_t *ctx);
static ngx_http_kiro_series_t *ngx_http_kiro_stats_find(
    ngx_http_kiro_stats_t *stats, ngx_http_kiro_series_t *key);
static void ngx_http_kiro_stats_observe(ngx_http_kiro_histogram_t *histogram,
    const ngx_msec_t *bounds, ngx_msec_t value);
static ngx_uint_t ngx_http_kiro_stats_status(ngx_http_request_t *r);
static void ngx_http_kiro_stats_accounts(ngx_http_kiro_ctx_t *ctx);
static ngx_uint_t ngx_http_kiro_stats_marked(ngx_http_request_t *r);
static void ngx_http_kiro_stats_nothing(void *data);


/* others, and those of models that nobody has heard of, are 0 */

const ngx_uint_t  ngx_http_kiro_stats_statuses[NGX_HTTP_KIRO_STATUSES] = {
    0, 200, 204, 304, 400, 401, 402, 403, 404, 405, 408, 409, 413, 414, 415,
    422, 429, 431, 494, 499, 500, 501, 502, 503, 504, 529
};


/* ms, as OpenTelemetry's conventions for generative AI advise; 0: no more */

const ngx_msec_t  ngx_http_kiro_stats_first_token[NGX_HTTP_KIRO_BOUNDS] = {
    1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000
};

const ngx_msec_t  ngx_http_kiro_stats_duration[NGX_HTTP_KIRO_BOUNDS] = {
    10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960, 81920,
    0, 0
};

/* us */

const ngx_msec_t  ngx_http_kiro_stats_token_pace[NGX_HTTP_KIRO_BOUNDS] = {
    10000, 25000, 50000, 75000, 100000, 150000, 200000, 300000, 400000, 500000,
    750000, 1000000, 2500000, 0, 0, 0
};

const ngx_msec_t  ngx_http_kiro_stats_wait[NGX_HTTP_KIRO_BOUNDS] = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000,
    0, 0, 0
};


/* not ms */

const ngx_msec_t  ngx_http_kiro_stats_tokens[NGX_HTTP_KIRO_BOUNDS] = {
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304,
    16777216, 67108864, 0, 0
};


/* this process's; NULL: not counted */

static ngx_http_kiro_open_t  *ngx_http_kiro_stats_open;


/* a quarter of a small zone at most */

ngx_int_t
ngx_http_kiro_stats_init(ngx_http_kiro_zone_t *zone, size_t size)
{
    ngx_http_kiro_stats_t   *stats;
    ngx_http_kiro_series_t  *other;

    stats = &zone->sh->stats;

    stats->max = ngx_min(size / 4 / sizeof(ngx_http_kiro_series_t),
                         NGX_HTTP_KIRO_SERIES);

    stats->series = ngx_slab_calloc(zone->shpool, stats->max
                                              * sizeof(ngx_http_kiro_series_t));

    stats->open = ngx_slab_calloc(zone->shpool, NGX_HTTP_KIRO_OPEN
                                                * sizeof(ngx_http_kiro_open_t));

    if (stats->series == NULL || stats->open == NULL) {
        return NGX_ERROR;
    }

    other = stats->series;

    ngx_memcpy(other->account, "other", sizeof("other"));
    ngx_memcpy(other->model, "other", sizeof("other"));

    stats->nseries = 1;

    return NGX_OK;
}


/* a place of its own, or of one that died */

void
ngx_http_kiro_stats_init_worker(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_kiro_open_t       *open;
    ngx_http_kiro_zone_t       *zone;
    ngx_http_kiro_main_conf_t  *kmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    if (kmcf == NULL || kmcf->zone == NULL) {
        return;
    }

    zone = kmcf->zone;
    open = zone->sh->stats.open;

    ngx_http_kiro_stats_open = NULL;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_HTTP_KIRO_OPEN; i++) {

        /* another process may get the number of one that died: it is none */

        if (open[i].pid
            && (open[i].pid == ngx_pid
                || ngx_http_kiro_worker_gone(open[i].pid)))
        {
            open[i].pid = 0;
        }

        if (open[i].pid == 0 && ngx_http_kiro_stats_open == NULL) {
            open[i].requests = 0;
            open[i].streams = 0;
            open[i].pid = ngx_pid;

            ngx_http_kiro_stats_open = &open[i];
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_kiro_stats_exit_worker(ngx_cycle_t *cycle)
{
    if (ngx_http_kiro_stats_open) {
        ngx_http_kiro_stats_open->pid = 0;
        ngx_http_kiro_stats_open = NULL;
    }
}


void
ngx_http_kiro_stats_begin(ngx_http_kiro_ctx_t *ctx)
{
    if (ngx_http_kiro_stats_open) {
        ngx_http_kiro_stats_open->requests++;
        ctx->opened = 1;
    }
}


void
ngx_http_kiro_stats_stream(ngx_http_kiro_ctx_t *ctx)
{
    if (ctx->opened && !ctx->streaming) {
        ngx_http_kiro_stats_open->streams++;
        ctx->streaming = 1;
    }
}


void
ngx_http_kiro_stats_end(ngx_http_kiro_ctx_t *ctx)
{
    if (!ctx->opened || ngx_http_kiro_stats_open == NULL) {
        return;
    }

    ngx_http_kiro_stats_open->requests--;

    if (ctx->streaming) {
        ngx_http_kiro_stats_open->streams--;
    }

    ctx->opened = 0;
    ctx->streaming = 0;
}


/* an attempt begins: it may be one that is made again */

void
ngx_http_kiro_stats_attempt(ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_slot_t  *slot;

    if (ctx->retry_cause && ctx->attempts) {
        slot = ctx->peer->account->slot;

        (void) ngx_atomic_fetch_add(&slot->stats.retries[ctx->retry_cause], 1);

        ctx->repeats++;
    }

    ctx->retry_cause = 0;
}


/*
 * Rewrite phase: requests of a location stay its requests, also those that
 * error_page sends elsewhere before there is anything else to know them by.
 */

ngx_int_t
ngx_http_kiro_stats_mark(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_kiro_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);

    if (klcf->pass == NULL || r != r->main) {
        return NGX_DECLINED;
    }

    if (ngx_http_kiro_stats_marked(r)) {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_kiro_stats_nothing;

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_kiro_stats_marked(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_kiro_stats_nothing) {
            return 1;
        }
    }

    return 0;
}


/* it is there to be found */

static void
ngx_http_kiro_stats_nothing(void *data)
{
}


/* log phase: the variables that the log shows have these very values */

ngx_int_t
ngx_http_kiro_stats_handler(ngx_http_request_t *r)
{
    ngx_time_t                 *tp;
    ngx_uint_t                  cause;
    ngx_msec_int_t              ms;
    kiro_reply_info             info;
    ngx_http_kiro_ctx_t        *ctx;
    ngx_http_kiro_series_t     *s;
    ngx_http_kiro_loc_conf_t   *klcf;
    ngx_http_kiro_main_conf_t  *kmcf;

    if (r != r->main) {
        return NGX_OK;
    }

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);
    ctx = ngx_http_kiro_last(r);

    if (ctx == NULL && klcf->pass == NULL && !ngx_http_kiro_stats_marked(r)) {
        return NGX_OK;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kiro_module);

    if (kmcf->zone == NULL) {
        return NGX_OK;
    }

    s = ngx_http_kiro_stats_series(kmcf->zone, ctx);

    (void) ngx_atomic_fetch_add(&s->requests[ngx_http_kiro_stats_status(r)], 1);

    tp = ngx_timeofday();
    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));

    ngx_http_kiro_stats_observe(&s->duration, ngx_http_kiro_stats_duration,
                                (ngx_msec_t) ngx_max(ms, 0));

    if (ctx == NULL) {
        return NGX_OK;
    }

    cause = ngx_http_kiro_error(r, ctx);

    if (cause) {
        (void) ngx_atomic_fetch_add(&s->errors[cause], 1);
    }

    if (ctx->first_seen && !ctx->fell) {
        ngx_http_kiro_stats_observe(&s->first_token,
                                    ngx_http_kiro_stats_first_token,
                                    ctx->first_token);
    }

    (void) ngx_atomic_fetch_add(&s->credits,
                    ngx_http_kiro_micro(ngx_http_kiro_total_credits(ctx)));

    ngx_http_kiro_stats_accounts(ctx);

    if (ngx_http_kiro_usage(ctx, &info) != NGX_OK) {
        return NGX_OK;
    }

    ngx_http_kiro_stats_observe(&s->input_tokens, ngx_http_kiro_stats_tokens,
                                info.input_tokens);
    ngx_http_kiro_stats_observe(&s->output_tokens, ngx_http_kiro_stats_tokens,
                                info.output_tokens);

    if (ctx->first_seen && !ctx->fell && cause == KIRO_FAIL_NONE
        && info.output_tokens > 1 && ms >= (ngx_msec_int_t) ctx->first_token)
    {
        ngx_http_kiro_stats_observe(&s->token_pace,
                                    ngx_http_kiro_stats_token_pace,
                                    (ms - ctx->first_token) * 1000
                                    / (info.output_tokens - 1));
    }

    (void) ngx_atomic_fetch_add(&s->reasoning_tokens, info.reasoning_tokens);
    (void) ngx_atomic_fetch_add(&s->cache_read_tokens, info.cache_read_tokens);
    (void) ngx_atomic_fetch_add(&s->cache_write_tokens,
                                info.cache_write_tokens);

    return NGX_OK;
}


/* of each account that was to answer */

static void
ngx_http_kiro_stats_accounts(ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_account_stats_t  *stats;

    for ( /* void */ ; ctx; ctx = ctx->before) {

        if (ctx->peer == NULL) {
            continue;
        }

        stats = &ctx->peer->account->slot->stats;

        (void) ngx_atomic_fetch_add(&stats->attempts, ctx->attempts);

        if (ctx->fell) {
            (void) ngx_atomic_fetch_add(&stats->fallbacks[ctx->failure.kind],
                                        1);
        }

        if (ctx->queued) {
            ngx_http_kiro_stats_observe(&stats->queue_time,
                                        ngx_http_kiro_stats_wait,
                                        ctx->queue_time);
        }

        if (ctx->waited) {
            ngx_http_kiro_stats_observe(&stats->token_time,
                                        ngx_http_kiro_stats_wait,
                                        ctx->token_time);
        }
    }
}


/*
 * Series are never removed and do not change their key, so those that are there
 * are found without a lock.
 */

static ngx_http_kiro_series_t *
ngx_http_kiro_stats_series(ngx_http_kiro_zone_t *zone, ngx_http_kiro_ctx_t *ctx)
{
    size_t                   len;
    ngx_http_kiro_stats_t   *stats;
    ngx_http_kiro_series_t  *s, key;

    stats = &zone->sh->stats;

    ngx_memzero(&key, offsetof(ngx_http_kiro_series_t, requests));

    if (ctx) {
        ctx = ngx_http_kiro_asked(ctx);

        key.api = ctx->api + 1;

        len = ngx_min(ctx->account.len, NGX_HTTP_KIRO_NAME_MAX);
        ngx_memcpy(key.account, ctx->account.data, len);

        /* clients may name what they like: it must not fill the table */

        if (ctx->known_model) {
            len = ngx_min(ctx->model.len, NGX_HTTP_KIRO_NAME_MAX);
            ngx_memcpy(key.model, ctx->model.data, len);

        } else if (ctx->model.len) {
            ngx_memcpy(key.model, "other", sizeof("other"));
        }
    }

    key.hash = ngx_crc32_short(key.account, ngx_strlen(key.account))
               ^ ngx_crc32_short(key.model, ngx_strlen(key.model)) * 31
               ^ (uint32_t) key.api;

    s = ngx_http_kiro_stats_find(stats, &key);

    if (s) {
        return s;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    s = ngx_http_kiro_stats_find(stats, &key);

    if (s == NULL) {

        if (stats->nseries < stats->max) {
            s = &stats->series[stats->nseries];

            ngx_memcpy(s, &key, offsetof(ngx_http_kiro_series_t, requests));

            ngx_memory_barrier();

            stats->nseries++;

        } else {
            s = stats->series;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return s;
}


static ngx_http_kiro_series_t *
ngx_http_kiro_stats_find(ngx_http_kiro_stats_t *stats,
    ngx_http_kiro_series_t *key)
{
    ngx_uint_t               i, n;
    ngx_http_kiro_series_t  *s;

    n = stats->nseries;

    for (i = 1; i < n; i++) {

        s = &stats->series[i];

        if (s->hash == key->hash && s->api == key->api
            && ngx_strcmp(s->account, key->account) == 0
            && ngx_strcmp(s->model, key->model) == 0)
        {
            return s;
        }
    }

    return NULL;
}


static void
ngx_http_kiro_stats_observe(ngx_http_kiro_histogram_t *histogram,
    const ngx_msec_t *bounds, ngx_msec_t value)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_KIRO_BOUNDS && bounds[i]; i++) {
        if (value <= bounds[i]) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&histogram->counts[i], 1);
    (void) ngx_atomic_fetch_add(&histogram->sum, value);
}


/* as $status */

static ngx_uint_t
ngx_http_kiro_stats_status(ngx_http_request_t *r)
{
    ngx_uint_t  i, status;

    status = r->err_status ? r->err_status : r->headers_out.status;

    for (i = 1; i < NGX_HTTP_KIRO_STATUSES; i++) {
        if (ngx_http_kiro_stats_statuses[i] == status) {
            return i;
        }
    }

    return 0;
}
