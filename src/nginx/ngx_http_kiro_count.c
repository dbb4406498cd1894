
/*
 * Tokens of prompts: the answer to count_tokens, and the number that a stream
 * of the Messages API begins with.  A short prompt is counted at once, which
 * takes 0.1 ms, and 3 ms with the worst of texts; a longer one in a thread; for
 * one that is longer still the estimate has to do.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_task.h"


#define NGX_HTTP_KIRO_COUNT_INLINE   (16 * 1024)
#define NGX_HTTP_KIRO_COUNT_MAX      (4 * 1024 * 1024)

/* of a worker, for numbers that nobody waits for: a refresh needs threads too */
#define NGX_HTTP_KIRO_COUNT_THREADS  8

/* then the estimate is the answer */
#define NGX_HTTP_KIRO_COUNT_TIMEOUT  5000


typedef struct {
    ngx_pool_t             *pool;
    kiro_request           *kreq;        /* of its own */
    ngx_http_request_t     *request;     /* who waits, if anybody still does */
} ngx_http_kiro_count_t;


static ngx_int_t ngx_http_kiro_count_post(ngx_http_kiro_ctx_t *ctx,
    ngx_http_request_t *r);
static void ngx_http_kiro_count_run(void *data);
static void ngx_http_kiro_count_done(void *data);
static void ngx_http_kiro_count_timeout(ngx_event_t *ev);
static void ngx_http_kiro_count_resume(ngx_http_request_t *r);
static ngx_int_t ngx_http_kiro_count_send(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_count_cleanup(void *data);


static ngx_uint_t  ngx_http_kiro_counts;     /* in threads of this worker */


/* called with the body read and parsed, and with one reference on the request */

void
ngx_http_kiro_count_tokens(ngx_http_request_t *r)
{
    size_t                len;
    ngx_http_cleanup_t   *cln;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    len = kiro_request_text(ctx->kreq);

    if (len <= NGX_HTTP_KIRO_COUNT_INLINE) {
        (void) kiro_request_count(ctx->kreq);

    } else if (len <= NGX_HTTP_KIRO_COUNT_MAX) {

        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
            return;
        }

        cln->handler = ngx_http_kiro_count_cleanup;
        cln->data = ctx;

        if (ngx_http_kiro_count_post(ctx, r) == NGX_OK) {

            /* keeps an exiting worker alive as well */

            ctx->step.handler = ngx_http_kiro_count_timeout;
            ctx->step.data = ctx;
            ctx->step.log = r->connection->log;

            ngx_add_timer(&ctx->step, NGX_HTTP_KIRO_COUNT_TIMEOUT);

            ngx_http_kiro_park(r);
            return;
        }
    }

    ngx_http_finalize_request(r, ngx_http_kiro_count_send(r, ctx));
}


/* in time or not: the reply takes what there is */

void
ngx_http_kiro_count_prompt(ngx_http_kiro_ctx_t *ctx)
{
    size_t  len;

    if (ctx->api != KIRO_API_ANTHROPIC || !ctx->stream) {
        return;
    }

    len = kiro_request_text(ctx->kreq);

    if (len <= NGX_HTTP_KIRO_COUNT_INLINE) {
        (void) kiro_request_count(ctx->kreq);

    } else if (len <= NGX_HTTP_KIRO_COUNT_MAX
               && ngx_http_kiro_counts < NGX_HTTP_KIRO_COUNT_THREADS)
    {
        (void) ngx_http_kiro_count_post(ctx, NULL);
    }
}


static ngx_int_t
ngx_http_kiro_count_post(ngx_http_kiro_ctx_t *ctx, ngx_http_request_t *r)
{
    ngx_pool_t             *pool;
    ngx_http_kiro_count_t  *count;

    /* the request may be gone before the thread is done */

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    count = ngx_palloc(pool, sizeof(ngx_http_kiro_count_t));
    if (count == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    count->pool = pool;
    count->kreq = kiro_request_ref(ctx->kreq);
    count->request = r;

    if (ngx_http_kiro_task(pool, ngx_http_kiro_count_run,
                           ngx_http_kiro_count_done, count, ngx_cycle->log)
        != NGX_OK)
    {
        kiro_request_free(count->kreq);
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    ngx_http_kiro_counts++;

    if (r) {
        ctx->count = &count->request;
    }

    return NGX_OK;
}


static void
ngx_http_kiro_count_run(void *data)
{
    ngx_http_kiro_count_t *count = data;

    (void) kiro_request_count(count->kreq);
}


static void
ngx_http_kiro_count_done(void *data)
{
    ngx_http_kiro_count_t *count = data;

    ngx_http_request_t  *r;

    r = count->request;

    ngx_http_kiro_counts--;

    kiro_request_free(count->kreq);

    if (r) {
        ngx_http_kiro_count_resume(r);
    }

    ngx_destroy_pool(count->pool);
}


static void
ngx_http_kiro_count_timeout(ngx_event_t *ev)
{
    ngx_http_kiro_ctx_t *ctx = ev->data;

    ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                  "kiro: no thread counted the tokens of a prompt within %d ms, "
                  "the answer is an estimate", NGX_HTTP_KIRO_COUNT_TIMEOUT);

    ngx_http_kiro_count_resume(ctx->request);
}


static void
ngx_http_kiro_count_resume(ngx_http_request_t *r)
{
    ngx_connection_t     *c;
    ngx_http_kiro_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    ngx_http_kiro_count_cleanup(ctx);

    ngx_http_set_log_request(c->log, r);

    ngx_http_finalize_request(r, ngx_http_kiro_count_send(r, ctx));

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_kiro_count_send(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    u_char  *p, *last;

    p = ngx_pnalloc(r->pool, sizeof("{\"input_tokens\":}") + NGX_INT64_LEN);

    if (p == NULL || ngx_http_kiro_id_header(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = ngx_sprintf(p, "{\"input_tokens\":%uL}",
                       kiro_request_tokens(ctx->kreq));

    return ngx_http_kiro_send_json(r, NGX_HTTP_OK, p, last - p);
}


static void
ngx_http_kiro_count_cleanup(void *data)
{
    ngx_http_kiro_ctx_t *ctx = data;

    if (ctx->count) {
        *ctx->count = NULL;
        ctx->count = NULL;
    }

    if (ctx->step.timer_set) {
        ngx_del_timer(&ctx->step);
    }
}
