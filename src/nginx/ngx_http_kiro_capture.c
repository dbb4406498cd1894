
/*
 * kiro_capture: the bytes of a request are kept beside it until its end shows
 * whether they are wanted.  Where it is off there is no more of it than the
 * test of a pointer.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"


static ngx_http_kiro_capture_t *ngx_http_kiro_capture_find(
    ngx_http_request_t *r);
static void ngx_http_kiro_capture_cleanup(void *data);
static ngx_uint_t ngx_http_kiro_capture_wanted(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture, ngx_uint_t status, ngx_str_t *error);
static void ngx_http_kiro_capture_variables(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture, ngx_uint_t status, ngx_str_t *error);
static void ngx_http_kiro_capture_outcome(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture, ngx_uint_t status, ngx_str_t *error);


/* for a new context: the request may have been captured in another location */

void
ngx_http_kiro_capture_begin(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_pool_cleanup_t            *cln;
    ngx_http_kiro_capture_t       *capture;
    ngx_http_kiro_capture_path_t  *path;

    capture = ctx->before ? ctx->before->capture : NULL;

    if (capture == NULL) {

        if (ctx->conf->capture == NGX_HTTP_KIRO_CAPTURE_OFF) {
            return;
        }

        capture = ngx_http_kiro_capture_find(r);
    }

    if (capture) {
        capture->ctx = ctx;
        ctx->capture = capture;

        ngx_http_kiro_capture_log(capture, r->connection);
        return;
    }

    path = ctx->conf->capture_path;

    if (path == NULL) {
        return;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_kiro_capture_t));
    if (cln == NULL) {
        return;
    }

    capture = cln->data;

    ngx_memzero(capture, sizeof(ngx_http_kiro_capture_t));

    capture->data = kiro_capture_create(path->max_file_size);
    if (capture->data == NULL) {
        return;
    }

    capture->path = path;
    capture->ctx = ctx;
    capture->mode = ctx->conf->capture;

    cln->handler = ngx_http_kiro_capture_cleanup;

    ctx->capture = capture;

    ngx_http_kiro_capture_log(capture, r->connection);
    ngx_http_kiro_capture_client(r, capture);
}


static ngx_http_kiro_capture_t *
ngx_http_kiro_capture_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_kiro_capture_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_http_kiro_capture_cleanup(void *data)
{
    ngx_http_kiro_capture_t *capture = data;

    ngx_http_kiro_capture_unlog(capture, capture->ctx->request->connection);

    kiro_capture_free(capture->data);
    capture->data = NULL;
}


void
ngx_http_kiro_capture_body(ngx_http_kiro_ctx_t *ctx, u_char *p, size_t len)
{
    /* another location reads it once more */

    if (ctx->capture->data && !ctx->capture->body) {
        kiro_capture_add(ctx->capture->data, KIRO_CAPTURE_REQUEST, (char *) p,
                         len);
        ctx->capture->body = 1;
    }
}


/* its number counts those of the accounts before, as $kiro_attempts does */

void
ngx_http_kiro_capture_attempt(ngx_http_kiro_ctx_t *ctx)
{
    ngx_uint_t                n;
    kiro_capture             *data;
    ngx_http_kiro_ctx_t      *c;

    data = ctx->capture->data;

    if (data == NULL) {
        return;
    }

    for (n = 0, c = ctx; c; c = c->before) {
        n += c->attempts;
    }

    /* a retry may have another token */

    kiro_capture_secret(data, ngx_http_kiro_str(&ctx->token.token));
    kiro_capture_arn(data, ngx_http_kiro_str(&ctx->token.arn));

    ctx->capture->attempt = n;

    kiro_capture_attempt(data, n);
    kiro_capture_add(data, KIRO_CAPTURE_KIRO_REQUEST, (char *) ctx->body.data,
                     ctx->body.len);
}


/* a compressed body would hide a secret: its text is told when it is known */

void
ngx_http_kiro_capture_raw(ngx_http_kiro_ctx_t *ctx, u_char *p, size_t len)
{
    if (ctx->capture->data && ctx->attempt.encoding.len == 0) {
        kiro_capture_add(ctx->capture->data, KIRO_CAPTURE_RAW, (char *) p, len);
    }
}


void
ngx_http_kiro_capture_text(ngx_http_kiro_ctx_t *ctx, ngx_str_t *text)
{
    if (ctx->capture->data == NULL || ctx->attempt.encoding.len == 0) {
        return;
    }

    ngx_http_kiro_capture_note(ctx->capture,
                               "the reply was compressed (%V), its text is "
                               "kept",
                               &ctx->attempt.encoding);

    kiro_capture_add(ctx->capture->data, KIRO_CAPTURE_RAW,
                     (char *) text->data, text->len);
}


void
ngx_http_kiro_capture_sent(ngx_http_kiro_ctx_t *ctx, u_char *p, size_t len)
{
    if (ctx->capture->data) {
        kiro_capture_add(ctx->capture->data, KIRO_CAPTURE_CLIENT, (char *) p,
                         len);
    }
}


/* what goes through the filter of the main request */

void
ngx_http_kiro_capture_chain(ngx_http_kiro_ctx_t *ctx, ngx_chain_t *in)
{
    for ( /* void */ ; in; in = in->next) {
        if (ngx_buf_in_memory(in->buf)) {
            ngx_http_kiro_capture_sent(ctx, in->buf->pos,
                                       in->buf->last - in->buf->pos);
        }
    }
}


void
ngx_http_kiro_capture_failed(ngx_http_kiro_ctx_t *ctx)
{
    kiro_failure  *f;

    f = &ctx->failure;

    if (ctx->held) {
        ngx_http_kiro_capture_note(ctx->capture,
                                   "the account is not to be called: %s (%s)",
                                   kiro_failure_name(f->kind), f->message);
        return;
    }

    ngx_http_kiro_capture_note(ctx->capture,
                               "attempt %ui failed: %s (%s), upstream status "
                               "%d",
                               ctx->capture->attempt,
                               kiro_failure_name(f->kind), f->message,
                               f->upstream_status);
}


/* log phase: the outcome is known, and the variables are there */

ngx_int_t
ngx_http_kiro_capture_handler(ngx_http_request_t *r)
{
    u_char                    name[NGX_HTTP_KIRO_CAPTURE_NAME];
    ngx_tm_t                  tm;
    ngx_str_t                 id, error;
    ngx_uint_t                status;
    ngx_http_kiro_capture_t  *capture;

    if (r != r->main) {
        return NGX_OK;
    }

    capture = ngx_http_kiro_capture_find(r);

    if (capture == NULL || capture->data == NULL) {
        return NGX_OK;
    }

    status = r->err_status ? r->err_status : r->headers_out.status;

    ngx_http_kiro_capture_variables(r, capture, status, &error);

    if (!ngx_http_kiro_capture_wanted(r, capture, status, &error)
        || ngx_http_kiro_request_id(capture->ctx, &id) != NGX_OK)
    {
        return NGX_OK;
    }

    if (status >= NGX_HTTP_BAD_REQUEST || error.len) {
        ngx_http_kiro_capture_outcome(r, capture, status, &error);
    }

    ngx_http_kiro_capture_headers(r, capture);
    ngx_http_kiro_capture_accounts(r, capture);

    ngx_gmtime(r->start_sec, &tm);

    *ngx_snprintf(name, NGX_HTTP_KIRO_CAPTURE_NAME - 1,
                  "%4d%02d%02dT%02d%02d%02d.%03MZ-%V", tm.ngx_tm_year,
                  tm.ngx_tm_mon, tm.ngx_tm_mday, tm.ngx_tm_hour,
                  tm.ngx_tm_min, tm.ngx_tm_sec, r->start_msec, &id) = '\0';

    ngx_http_kiro_capture_save(capture, name);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_kiro_capture_wanted(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture, ngx_uint_t status, ngx_str_t *error)
{
    ngx_http_kiro_ctx_t  *ctx;

    ctx = capture->ctx;

    if (capture->mode == NGX_HTTP_KIRO_CAPTURE_ALL) {
        return 1;
    }

    /* strangers shall not push out what failed */

    if (status == NGX_HTTP_UNAUTHORIZED && ctx->client.len == 0
        && ctx->kreq == NULL)
    {
        return 0;
    }

    /* people stop answers that they have seen enough of */

    if (error->len == sizeof("client_closed") - 1
        && ngx_strncmp(error->data, "client_closed", error->len) == 0)
    {
        return !ctx->first_seen && ctx->kreq != NULL;
    }

    return status >= NGX_HTTP_BAD_REQUEST || error->len;
}


static void
ngx_http_kiro_capture_variables(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture, ngx_uint_t status, ngx_str_t *error)
{
    ngx_int_t   rc;
    ngx_str_t   name, value;
    ngx_uint_t  i;

    ngx_str_null(error);

    ngx_http_kiro_capture_note(capture, "status %ui, %O bytes sent", status,
                               r->connection->sent);

    for (i = 0; /* void */ ; i++) {

        rc = ngx_http_kiro_variable_at(r, i, &name, &value);

        if (rc == NGX_DONE) {
            return;
        }

        if (rc != NGX_OK) {
            continue;
        }

        if (name.len == sizeof("kiro_error") - 1
            && ngx_strncmp(name.data, "kiro_error", name.len) == 0)
        {
            *error = value;
        }

        ngx_http_kiro_capture_note(capture, "$%V = %V", &name, &value);
    }
}


static void
ngx_http_kiro_capture_outcome(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture, ngx_uint_t status, ngx_str_t *error)
{
    ngx_tm_t               tm;
    ngx_str_t              value;
    ngx_http_kiro_ctx_t   *ctx, *c;
    kiro_capture_outcome   outcome;
    u_char                 time[sizeof("1970-01-01T00:00:00.000Z")];

    ctx = capture->ctx;

    ngx_memzero(&outcome, sizeof(kiro_capture_outcome));

    ngx_gmtime(r->start_sec, &tm);

    outcome.time.data = (char *) time;
    outcome.time.len = ngx_snprintf(time, sizeof(time),
                                    "%4d-%02d-%02dT%02d:%02d:%02d.%03MZ",
                                    tm.ngx_tm_year, tm.ngx_tm_mon,
                                    tm.ngx_tm_mday, tm.ngx_tm_hour,
                                    tm.ngx_tm_min, tm.ngx_tm_sec,
                                    r->start_msec)
                       - time;

    if (ngx_http_kiro_request_id(ctx, &value) == NGX_OK) {
        outcome.request_id = ngx_http_kiro_str(&value);
    }

    outcome.api.data = (char *) ngx_http_kiro_api_names[ctx->api].data;
    outcome.api.len = ngx_http_kiro_api_names[ctx->api].len;

    outcome.error = ngx_http_kiro_str(error);
    outcome.client = ngx_http_kiro_str(&ctx->client);

    if (ctx->failure.kind != KIRO_FAIL_NONE) {
        outcome.message.data = ctx->failure.message;
        outcome.message.len = ngx_strlen(ctx->failure.message);
        outcome.upstream_status = ctx->failure.upstream_status;
    }

    for (c = ctx; c; c = c->before) {
        outcome.attempts += c->attempts;
    }

    c = ngx_http_kiro_asked(ctx);

    outcome.model = ngx_http_kiro_str(&c->model);
    outcome.account = ngx_http_kiro_str(&c->account);

    if (c->retry_reason) {
        outcome.retry_reason.data = c->retry_reason;
        outcome.retry_reason.len = ngx_strlen(c->retry_reason);
    }

    outcome.status = status;

    kiro_capture_failed(capture->data, &outcome);
}
