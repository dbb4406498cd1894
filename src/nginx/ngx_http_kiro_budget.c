
/*
 * Budgets: tokens and credits that whoever a variable names may use up in a
 * minute, an hour, a day.  Counted in zones of their own, for all workers; what
 * a request will use is taken by estimate before its first attempt and put
 * right at its end.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_budget.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_zone.h"


/* estimates */

#define NGX_HTTP_KIRO_BUDGET_BYTES    4       /* of a token of the prompt */
#define NGX_HTTP_KIRO_BUDGET_ANSWER   1024    /* tokens */

/* s, clients may wait for it themselves */

#define NGX_HTTP_KIRO_BUDGET_SOON     60


/* what a request has taken of a zone */

typedef struct {
    ngx_http_kiro_budget_zone_t     *zone;
    ngx_str_t                        key;
    uint32_t                         hash;
    uint64_t                         taken[NGX_HTTP_KIRO_BUDGET_UNITS];
    time_t                           numbers[NGX_HTTP_KIRO_BUDGET_PERIODS];
} ngx_http_kiro_budget_charge_t;


struct ngx_http_kiro_budget_s {
    ngx_array_t                      charges;

    /* the limit of tokens that is nearest */
    uint64_t                         most;        /* 0: there is none */
    uint64_t                         left;
    time_t                           reset;       /* s from the start */
};


static ngx_int_t ngx_http_kiro_budget_take(ngx_http_kiro_ctx_t *ctx,
    ngx_shm_zone_t *shm_zone);
static ngx_http_kiro_budget_limit_t *ngx_http_kiro_budget_check(
    ngx_http_kiro_ctx_t *ctx, ngx_shm_zone_t *shm_zone,
    ngx_http_kiro_budget_node_t *node, time_t now);
static void ngx_http_kiro_budget_put(ngx_http_kiro_ctx_t *ctx,
    uint64_t *used);
static void ngx_http_kiro_budget_spent(ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_budget_limit_t *limit, time_t now);


/* NGX_DECLINED: ctx->failure says which budget is spent */

ngx_int_t
ngx_http_kiro_budget_enter(ngx_http_kiro_ctx_t *ctx)
{
    uint64_t                       none[NGX_HTTP_KIRO_BUDGET_UNITS];
    ngx_int_t                      rc;
    ngx_uint_t                     i, n;
    ngx_http_kiro_budget_limit_t  *limit;

    if (ctx->conf->budgets == NULL) {
        return NGX_OK;
    }

    ctx->budget = ngx_pcalloc(ctx->request->pool,
                              sizeof(ngx_http_kiro_budget_t));
    if (ctx->budget == NULL) {
        return NGX_ERROR;
    }

    if (ngx_array_init(&ctx->budget->charges, ctx->request->pool, 2,
                       sizeof(ngx_http_kiro_budget_charge_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    limit = ctx->conf->budgets->elts;

    for (i = 0; i < ctx->conf->budgets->nelts; i++) {

        /* once for all limits of a zone */

        for (n = 0; n < i && limit[n].zone != limit[i].zone; n++) {
            /* void */
        }

        if (n < i) {
            continue;
        }

        rc = ngx_http_kiro_budget_take(ctx, limit[i].zone);

        if (rc != NGX_OK) {
            ngx_memzero(none, sizeof(none));
            ngx_http_kiro_budget_put(ctx, none);
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_budget_take(ngx_http_kiro_ctx_t *ctx, ngx_shm_zone_t *shm_zone)
{
    time_t                          now;
    uint32_t                        hash;
    uint64_t                        tokens;
    ngx_str_t                       key;
    ngx_uint_t                      i, unit;
    kiro_request_info               info;
    ngx_http_kiro_budget_node_t    *node;
    ngx_http_kiro_budget_zone_t    *zone;
    ngx_http_kiro_budget_limit_t   *limit;
    ngx_http_kiro_budget_charge_t  *charge;

    zone = shm_zone->data;

    if (ngx_http_complex_value(ctx->request, &zone->key, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        return NGX_OK;
    }

    key.len = ngx_min(key.len, 65535);

    charge = ngx_array_push(&ctx->budget->charges);
    if (charge == NULL) {
        return NGX_ERROR;
    }

    kiro_request_get_info(ctx->kreq, &info);

    tokens = kiro_request_text(ctx->kreq) / NGX_HTTP_KIRO_BUDGET_BYTES
             + (info.max_tokens ? ngx_min(info.max_tokens,
                                          NGX_HTTP_KIRO_BUDGET_ANSWER)
                                : NGX_HTTP_KIRO_BUDGET_ANSWER);

    hash = ngx_crc32_short(key.data, key.len);
    now = ngx_time();

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_kiro_budget_node(zone, hash, &key, now);

    if (node == NULL) {
        ngx_shmtx_unlock(&zone->shpool->mutex);

        ctx->budget->charges.nelts--;

        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "kiro_budget_zone \"%V\" has no room for another key, "
                      "make it larger", &shm_zone->shm.name);

        kiro_failure_set(&ctx->failure, KIRO_FAIL_UNAVAILABLE,
                         "the gateway cannot keep account of this request");
        return NGX_DECLINED;
    }

    limit = ngx_http_kiro_budget_check(ctx, shm_zone, node, now);

    if (limit) {
        ngx_shmtx_unlock(&zone->shpool->mutex);

        ctx->budget->charges.nelts--;

        ngx_http_kiro_budget_spent(ctx, limit, now);
        return NGX_DECLINED;
    }

    charge->zone = zone;
    charge->key = key;
    charge->hash = hash;
    charge->taken[NGX_HTTP_KIRO_BUDGET_TOKENS] = tokens;
    charge->taken[NGX_HTTP_KIRO_BUDGET_CREDITS] = node->price;

    for (i = 0; i < NGX_HTTP_KIRO_BUDGET_PERIODS; i++) {

        charge->numbers[i] = node->windows[0][i].number;

        for (unit = 0; unit < NGX_HTTP_KIRO_BUDGET_UNITS; unit++) {
            node->windows[unit][i].used += charge->taken[unit];
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


/* the spent limit of the zone that lasts longest, if one is spent */

static ngx_http_kiro_budget_limit_t *
ngx_http_kiro_budget_check(ngx_http_kiro_ctx_t *ctx, ngx_shm_zone_t *shm_zone,
    ngx_http_kiro_budget_node_t *node, time_t now)
{
    time_t                         length;
    uint64_t                       left, used;
    ngx_uint_t                     i;
    ngx_http_kiro_budget_t        *budget;
    ngx_http_kiro_budget_limit_t  *limit, *spent;

    spent = NULL;
    budget = ctx->budget;
    limit = ctx->conf->budgets->elts;

    for (i = 0; i < ctx->conf->budgets->nelts; i++) {

        if (limit[i].zone != shm_zone) {
            continue;
        }

        used = node->windows[limit[i].unit][limit[i].period].used;
        left = used < limit[i].most ? limit[i].most - used : 0;

        if (left == 0 && (spent == NULL || limit[i].period > spent->period)) {
            spent = &limit[i];
        }

        if (limit[i].unit == NGX_HTTP_KIRO_BUDGET_TOKENS
            && (budget->most == 0 || left < budget->left
                || (left == 0 && spent == &limit[i])))
        {
            length = ngx_http_kiro_budget_periods[limit[i].period].length;

            budget->most = limit[i].most;
            budget->left = left;
            budget->reset = length - now % length;
        }
    }

    return spent;
}


static void
ngx_http_kiro_budget_spent(ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_budget_limit_t *limit, time_t now)
{
    char                           amount[NGX_INT64_LEN + 8];
    time_t                         left;
    kiro_failure                  *f;
    ngx_http_kiro_budget_period_t *period;

    f = &ctx->failure;
    period = &ngx_http_kiro_budget_periods[limit->period];
    left = period->length - now % period->length;

    /* the key is not for the log: it may be the one that the client sent */

    if (limit->unit == NGX_HTTP_KIRO_BUDGET_TOKENS) {
        ngx_sprintf((u_char *) amount, "%uL tokens%Z", limit->most);

    } else {
        ngx_sprintf((u_char *) amount, "%uL.%02uL credits%Z",
                    limit->most / 1000000, limit->most % 1000000 / 10000);
    }

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "kiro: the budget of %s per %s is spent, zone \"%V\", client "
                  "\"%V\"", amount, period->text, &limit->zone->shm.name,
                  &ctx->client);

    kiro_failure_set(f, KIRO_FAIL_BUDGET,
                     "the budget of %s per %s is spent; the next %s begins in "
                     "%ld s", amount, period->text, period->text, (long) left);

    f->retry_after_ms = (uint32_t) left * 1000;
    f->retry = left <= NGX_HTTP_KIRO_BUDGET_SOON ? KIRO_RETRY_BACKOFF
                                                 : KIRO_RETRY_NEVER;
}


/* at the end of the request, however it ended */

void
ngx_http_kiro_budget_leave(ngx_http_kiro_ctx_t *ctx)
{
    uint64_t         used[NGX_HTTP_KIRO_BUDGET_UNITS];
    kiro_reply_info  info;

    if (ctx->budget == NULL || ctx->budget->charges.nelts == 0) {
        return;
    }

    ngx_memzero(used, sizeof(used));

    if (ngx_http_kiro_usage(ctx, &info) == NGX_OK) {
        used[NGX_HTTP_KIRO_BUDGET_TOKENS] = info.input_tokens
                                            + info.output_tokens;
    }

    used[NGX_HTTP_KIRO_BUDGET_CREDITS] =
                         (uint64_t) (ngx_http_kiro_credits(ctx) * 1e6 + 0.5);

    ngx_http_kiro_budget_put(ctx, used);
}


/* what was used stands in for what was taken */

static void
ngx_http_kiro_budget_put(ngx_http_kiro_ctx_t *ctx, uint64_t *used)
{
    uint64_t                        due;
    ngx_uint_t                      i, n, unit, left;
    ngx_http_kiro_budget_node_t    *node;
    ngx_http_kiro_budget_zone_t    *zone;
    ngx_http_kiro_budget_charge_t  *charge;
    ngx_http_kiro_budget_window_t  *w;

    charge = ctx->budget->charges.elts;

    /*
     * The service names the price behind the answer: who leaves before pays what
     * requests cost on average, or nobody would stay to the end
     */

    left = ctx->left && ctx->answered
           && used[NGX_HTTP_KIRO_BUDGET_CREDITS] == 0;

    for (n = 0; n < ctx->budget->charges.nelts; n++) {

        zone = charge[n].zone;

        ngx_shmtx_lock(&zone->shpool->mutex);

        node = ngx_http_kiro_budget_find(zone->sh, charge[n].hash,
                                         &charge[n].key);

        if (node == NULL) {
            ngx_shmtx_unlock(&zone->shpool->mutex);
            continue;
        }

        for (i = 0; i < NGX_HTTP_KIRO_BUDGET_PERIODS; i++) {

            for (unit = 0; unit < NGX_HTTP_KIRO_BUDGET_UNITS; unit++) {

                w = &node->windows[unit][i];

                /* a request belongs to the period that it began in */

                if (w->number == charge[n].numbers[i]) {
                    due = (left && unit == NGX_HTTP_KIRO_BUDGET_CREDITS)
                          ? charge[n].taken[unit] : used[unit];

                    w->used -= ngx_min(w->used, charge[n].taken[unit]);
                    w->used += due;
                }
            }
        }

        if (used[NGX_HTTP_KIRO_BUDGET_CREDITS]) {
            node->price = (node->price * 7 + used[NGX_HTTP_KIRO_BUDGET_CREDITS])
                          / 8;
        }

        ngx_shmtx_unlock(&zone->shpool->mutex);
    }

    ctx->budget->charges.nelts = 0;
}


/* tokens of the nearest limit before the request; NGX_DECLINED: there is none */

ngx_int_t
ngx_http_kiro_budget_left(ngx_http_kiro_ctx_t *ctx, uint64_t *left)
{
    if (ctx->budget == NULL || ctx->budget->most == 0) {
        return NGX_DECLINED;
    }

    *left = ctx->budget->left;

    return NGX_OK;
}


/* header filter: as the service of the dialect tells what is left */

ngx_int_t
ngx_http_kiro_budget_headers(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    u_char                  *p;
    ngx_tm_t                 tm;
    ngx_str_t                most, left, reset;
    ngx_uint_t               anthropic;
    ngx_http_kiro_budget_t  *budget;

    budget = ctx->budget;

    if (budget == NULL || budget->most == 0) {
        return NGX_OK;
    }

    anthropic = ctx->api == KIRO_API_ANTHROPIC;

    p = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN
                             + sizeof("2026-01-01T00:00:00Z"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    most.data = p;
    p = ngx_sprintf(p, "%uL", budget->most);
    most.len = p - most.data;

    left.data = p;
    p = ngx_sprintf(p, "%uL", budget->left);
    left.len = p - left.data;

    reset.data = p;

    if (anthropic) {
        ngx_gmtime(ngx_time() + budget->reset, &tm);

        p = ngx_sprintf(p, "%4d-%02d-%02dT%02d:%02d:%02dZ",
                        tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                        tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);
    } else {
        p = ngx_sprintf(p, "%Ts", budget->reset);
    }

    reset.len = p - reset.data;

    if (ngx_http_kiro_add_header(r, anthropic
                                    ? "anthropic-ratelimit-tokens-limit"
                                    : "x-ratelimit-limit-tokens", &most)
        != NGX_OK
        || ngx_http_kiro_add_header(r, anthropic
                                    ? "anthropic-ratelimit-tokens-remaining"
                                    : "x-ratelimit-remaining-tokens", &left)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_kiro_add_header(r, anthropic
                                    ? "anthropic-ratelimit-tokens-reset"
                                    : "x-ratelimit-reset-tokens", &reset);
}
