
/*
 * Truncation notices: which conversations lost a tool call, so that their next
 * request, in whichever worker, tells the model.  A fixed table in the zone.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_zone.h"

#include <ngx_md5.h>


#define NGX_HTTP_KIRO_LOSSES         1024
#define NGX_HTTP_KIRO_LOSS_EXPIRES   3600000


static void ngx_http_kiro_notice_names(ngx_http_kiro_ctx_t *ctx,
    kiro_str *tools, ngx_str_t *names);
static ngx_http_kiro_loss_t *ngx_http_kiro_notice_lock(
    ngx_http_kiro_ctx_t *ctx, u_char *key);
static void ngx_http_kiro_notice_key(ngx_http_kiro_ctx_t *ctx, u_char *key);
static uint64_t ngx_http_kiro_notice_add(ngx_http_kiro_ctx_t *ctx,
    kiro_str *tools);
static uint64_t ngx_http_kiro_notice_put(ngx_http_kiro_ctx_t *ctx,
    kiro_str *tools);
static void ngx_http_kiro_notice_drop(ngx_http_kiro_ctx_t *ctx);
static ngx_http_kiro_loss_t *ngx_http_kiro_notice_find(
    ngx_http_kiro_shm_t *sh, u_char *key);


/* a sixteenth of a small zone */

ngx_int_t
ngx_http_kiro_notice_init(ngx_http_kiro_zone_t *zone, size_t size)
{
    ngx_http_kiro_shm_t  *sh;

    sh = zone->sh;

    sh->nlosses = ngx_min(size / 16 / sizeof(ngx_http_kiro_loss_t),
                          NGX_HTTP_KIRO_LOSSES);

    sh->losses = ngx_slab_calloc(zone->shpool, sh->nlosses
                                               * sizeof(ngx_http_kiro_loss_t));

    return sh->losses ? NGX_OK : NGX_ERROR;
}


/* tells the model of calls that the conversation's last answer lost */

void
ngx_http_kiro_notice_give(ngx_http_kiro_ctx_t *ctx)
{
    u_char                key[16], text[KIRO_LOST_CALLS];
    size_t                len;
    uint64_t              serial;
    kiro_str              tools;
    ngx_http_kiro_loss_t  *loss;
    ngx_http_kiro_zone_t  *zone;

    zone = ctx->peer->account->zone;

    if (!ctx->conf->truncation_notice || zone->sh->lost == 0) {
        return;
    }

    len = 0;
    serial = 0;

    loss = ngx_http_kiro_notice_lock(ctx, key);

    if (loss) {
        serial = loss->serial;
        len = ngx_min(loss->len, KIRO_LOST_CALLS);
        ngx_memcpy(text, loss->tools, len);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (serial == 0) {
        return;
    }

    tools.data = (char *) text;
    tools.len = len;

    if (kiro_request_notice(ctx->kreq, tools) != KIRO_OK) {
        return;
    }

    ctx->notice_serial = serial;
}


/* whether the attempt tells it: what did not fit is told by another request */

void
ngx_http_kiro_notice_written(ngx_http_kiro_ctx_t *ctx, kiro_request_info *info)
{
    ngx_str_null(&ctx->notice);

    if (ctx->notice_serial == 0) {
        return;
    }

    if (info->notice) {
        ngx_http_kiro_notice_names(ctx, &info->lost_calls, &ctx->notice);
        return;
    }

    ctx->notice_serial = 0;

    ngx_log_error(NGX_LOG_NOTICE, ctx->request->connection->log, 0,
                  "kiro: the notice of a tool call that the service had cut "
                  "does not fit into the request; the conversation's next "
                  "request tells the model");
}


/*
 * An attempt failed and there will be another one: the same request would be cut
 * in the same way.
 */

void
ngx_http_kiro_notice_retry(ngx_http_kiro_ctx_t *ctx)
{
    ngx_str_t        tools;
    kiro_reply_info  info;

    if (!ctx->conf->truncation_notice || ctx->reply == NULL
        || ctx->call != KIRO_CALL_MODEL)
    {
        return;
    }

    /* what is not whole yet will not be */

    (void) kiro_reply_abort(ctx->reply, &ctx->failure);

    kiro_reply_get_info(ctx->reply, &info);

    if (!info.lost_call) {
        return;
    }

    ngx_str_null(&tools);

    ngx_http_kiro_notice_names(ctx, &info.lost_calls, &tools);

    ngx_log_error(NGX_LOG_NOTICE, ctx->request->connection->log, 0,
                  "kiro: the service cut the call of the tool \"%V\"; the next "
                  "attempt tells the model", &tools);

    /* for another request, if this one fails; a good answer removes it */

    ctx->notice_serial = ngx_http_kiro_notice_add(ctx, &info.lost_calls);
}


/* called when the answer is over, before the client can know that */

void
ngx_http_kiro_notice_settle(ngx_http_kiro_ctx_t *ctx)
{
    kiro_reply_info  info;

    if (ctx->settled || ctx->kreq == NULL || ctx->call != KIRO_CALL_MODEL) {
        return;
    }

    ctx->settled = 1;

    kiro_reply_get_info(ctx->reply, &info);

    if (info.lost_call) {

        ngx_http_kiro_notice_names(ctx, &info.lost_calls, &ctx->lost);

        ngx_log_error(NGX_LOG_NOTICE, ctx->request->connection->log, 0,
                      "kiro: the service cut the call of the tool \"%V\"; %s; "
                      "if this is frequent, have the client ask for smaller "
                      "steps", &ctx->lost,
                      ctx->conf->truncation_notice
                      ? "the conversation's next request tells the model"
                      : "the model is not told, \"kiro_truncation_notice\" is "
                        "off");

        if (ctx->conf->truncation_notice) {

            if (info.started) {

                /* it may have made the calls that the request told it of */

                (void) ngx_http_kiro_notice_put(ctx, &info.lost_calls);

            } else {
                (void) ngx_http_kiro_notice_add(ctx, &info.lost_calls);
            }
        }

        return;
    }

    if (ctx->notice_serial && info.finished && !info.failed
        && kiro_reply_failure(ctx->reply)->kind == KIRO_FAIL_NONE)
    {
        ngx_http_kiro_notice_drop(ctx);
    }
}


/* with what the request has told already: nothing came of that */

static uint64_t
ngx_http_kiro_notice_add(ngx_http_kiro_ctx_t *ctx, kiro_str *tools)
{
    kiro_request_info  told;

    if (kiro_request_notice(ctx->kreq, *tools) != KIRO_OK) {
        return ngx_http_kiro_notice_put(ctx, tools);
    }

    kiro_request_get_info(ctx->kreq, &told);

    return ngx_http_kiro_notice_put(ctx, &told.lost_calls);
}


/* for variables and the log */

static void
ngx_http_kiro_notice_names(ngx_http_kiro_ctx_t *ctx, kiro_str *tools,
    ngx_str_t *names)
{
    if (tools->len == 0) {
        ngx_str_set(names, "unknown");
        return;
    }

    names->data = ngx_pnalloc(ctx->request->pool, tools->len);

    if (names->data) {
        ngx_memcpy(names->data, tools->data, tools->len);
        names->len = tools->len;
    }
}


/* the entry of the request's conversation, with the lock held */

static ngx_http_kiro_loss_t *
ngx_http_kiro_notice_lock(ngx_http_kiro_ctx_t *ctx, u_char *key)
{
    ngx_http_kiro_zone_t  *zone;

    zone = ctx->peer->account->zone;

    ngx_http_kiro_notice_key(ctx, key);

    ngx_shmtx_lock(&zone->shpool->mutex);

    return ngx_http_kiro_notice_find(zone->sh, key);
}


/* clients must not learn of each other's conversations */

static void
ngx_http_kiro_notice_key(ngx_http_kiro_ctx_t *ctx, u_char *key)
{
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, ctx->account.data, ctx->account.len);
    ngx_md5_update(&md5, "", 1);
    ngx_md5_update(&md5, ctx->client.data, ctx->client.len);
    ngx_md5_update(&md5, "", 1);
    ngx_md5_update(&md5, ctx->conversation.data, ctx->conversation.len);
    ngx_md5_final(key, &md5);
}


/*
 * A worker may be killed at any point: an entry that is written is free until
 * it is whole, and "lost" may be too high but is never zero beside an entry.
 */

static uint64_t
ngx_http_kiro_notice_put(ngx_http_kiro_ctx_t *ctx, kiro_str *tools)
{
    u_char                 key[16];
    uint64_t               serial;
    ngx_uint_t             i;
    ngx_http_kiro_shm_t   *sh;
    ngx_http_kiro_loss_t  *loss;
    ngx_http_kiro_zone_t  *zone;

    zone = ctx->peer->account->zone;
    sh = zone->sh;

    loss = ngx_http_kiro_notice_lock(ctx, key);

    if (loss == NULL) {

        loss = sh->losses;

        for (i = 1; i < sh->nlosses; i++) {
            if (sh->losses[i].serial < loss->serial) {
                loss = &sh->losses[i];
            }
        }
    }

    sh->lost++;

    loss->serial = 0;

    ngx_memory_barrier();

    ngx_memcpy(loss->key, key, sizeof(loss->key));

    loss->time = ngx_current_msec;
    loss->len = ngx_min(tools->len, KIRO_LOST_CALLS);

    ngx_memcpy(loss->tools, tools->data, loss->len);

    ngx_memory_barrier();

    serial = ++sh->loss_serial;
    loss->serial = serial;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return serial;
}


/* not what was noted meanwhile, by another request of the conversation */

static void
ngx_http_kiro_notice_drop(ngx_http_kiro_ctx_t *ctx)
{
    u_char                 key[16];
    ngx_http_kiro_loss_t  *loss;
    ngx_http_kiro_zone_t  *zone;

    zone = ctx->peer->account->zone;

    loss = ngx_http_kiro_notice_lock(ctx, key);

    if (loss && loss->serial == ctx->notice_serial) {
        loss->serial = 0;
        zone->sh->lost--;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* frees what has expired and counts the rest; called with the lock */

static ngx_http_kiro_loss_t *
ngx_http_kiro_notice_find(ngx_http_kiro_shm_t *sh, u_char *key)
{
    ngx_uint_t             i, n;
    ngx_http_kiro_loss_t  *loss, *found;

    n = 0;
    found = NULL;

    for (i = 0; i < sh->nlosses; i++) {

        loss = &sh->losses[i];

        if (loss->serial == 0) {
            continue;
        }

        if ((ngx_msec_int_t) (ngx_current_msec - loss->time)
            >= NGX_HTTP_KIRO_LOSS_EXPIRES)
        {
            loss->serial = 0;
            continue;
        }

        n++;

        if (ngx_memcmp(loss->key, key, sizeof(loss->key)) == 0) {
            found = loss;
        }
    }

    sh->lost = n;

    return found;
}
