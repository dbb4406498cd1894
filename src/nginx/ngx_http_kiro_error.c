
/*
 * Answers that the module makes itself: failures in the client's dialect, small
 * JSON objects, and the headers that go with them.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"


/* always enough for kiro_failure_body(), without an explanation */
#define NGX_HTTP_KIRO_FAILURE_MAX  2048


static void ngx_http_kiro_make_id(ngx_http_kiro_ctx_t *ctx);


ngx_int_t
ngx_http_kiro_add_header(ngx_http_request_t *r, char *name, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
    ngx_http_kiro_header_init(h);

    return NGX_OK;
}


static void
ngx_http_kiro_make_id(ngx_http_kiro_ctx_t *ctx)
{
    ngx_uint_t  i;

    static u_char  hex[] = "0123456789abcdef";

    if (ctx->has_id) {
        return;
    }

    for (i = 0; i < NGX_HTTP_KIRO_ID_LEN; i++) {
        ctx->id[i] = hex[(ngx_random() >> 7) & 0xf];
    }

    ctx->has_id = 1;
}


/* "req_..." */

ngx_int_t
ngx_http_kiro_request_id(ngx_http_kiro_ctx_t *ctx, ngx_str_t *value)
{
    ngx_http_kiro_make_id(ctx);

    value->len = sizeof("req_") - 1 + NGX_HTTP_KIRO_ID_LEN;
    value->data = ngx_pnalloc(ctx->request->pool, value->len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(ngx_cpymem(value->data, "req_", sizeof("req_") - 1), ctx->id,
               NGX_HTTP_KIRO_ID_LEN);

    return NGX_OK;
}


/* each dialect's SDK looks for its own header; what else is known goes along */

ngx_int_t
ngx_http_kiro_id_header(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_str_t  value;

    if (ngx_http_kiro_request_id(ctx, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_kiro_add_header(r, ctx->api == KIRO_API_ANTHROPIC
                                    ? "request-id" : "x-request-id",
                                 &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_kiro_explain_header(r, ctx);
}


/* for who pays: where the numbers of a whole answer are from, and its price */

ngx_int_t
ngx_http_kiro_usage_headers(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    double           credits;
    ngx_str_t        value;
    kiro_reply_info  info;

    kiro_reply_get_info(ctx->reply, &info);

    value.data = (u_char *) info.usage_source.data;
    value.len = info.usage_source.len;

    if (ngx_http_kiro_add_header(r, "X-Kiro-Usage", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    credits = ngx_http_kiro_total_credits(ctx);

    if (credits == 0) {
        return NGX_OK;
    }

    value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN + 16);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_snprintf(value.data, NGX_INT64_LEN + 16, "%.6f", credits)
                - value.data;

    return ngx_http_kiro_add_header(r, "X-Kiro-Credits", &value);
}


ngx_int_t
ngx_http_kiro_error_headers(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    kiro_failure *f)
{
    ngx_str_t  value;

    if (ngx_http_kiro_id_header(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (f->retry_after_ms) {
        value.data = ngx_pnalloc(r->pool, NGX_INT32_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%uD",
                                (f->retry_after_ms + 999) / 1000)
                    - value.data;

        if (ngx_http_kiro_add_header(r, "Retry-After", &value) != NGX_OK) {
            return NGX_ERROR;
        }

        /* SDKs look for the exact one first */

        value.data = ngx_pnalloc(r->pool, NGX_INT32_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%uD", f->retry_after_ms)
                    - value.data;

        if (ngx_http_kiro_add_header(r, "retry-after-ms", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (kiro_failure_final(f)) {
        ngx_str_set(&value, "false");

        if (ngx_http_kiro_add_header(r, "x-should-retry", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kiro_failure_json(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    kiro_failure *f, ngx_str_t *body)
{
    size_t     size;
    ngx_str_t  id, more;

    if (ngx_http_kiro_request_id(ctx, &id) != NGX_OK
        || ngx_http_kiro_explain_failure(r, ctx, f, &more) != NGX_OK)
    {
        return NGX_ERROR;
    }

    size = NGX_HTTP_KIRO_FAILURE_MAX + 2 * more.len;

    body->data = ngx_pnalloc(r->pool, size);
    if (body->data == NULL) {
        return NGX_ERROR;
    }

    body->len = kiro_failure_body_explained(ctx->api, f,
                                            ngx_http_kiro_str(&id),
                                            ngx_http_kiro_str(&more),
                                            (char *) body->data, size);

    return NGX_OK;
}


/* the result is for ngx_http_finalize_request() */

ngx_int_t
ngx_http_kiro_send_failure(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    kiro_failure *f)
{
    ngx_str_t  body;

    if (r->header_sent) {
        return NGX_ERROR;
    }

    if (ngx_http_kiro_error_headers(r, ctx, f) != NGX_OK
        || ngx_http_kiro_failure_json(r, ctx, f, &body) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kiro_send_json(r, kiro_failure_status(ctx->api, f->kind),
                                   body.data, body.len);
}


/* data must live as long as the request */

ngx_int_t
ngx_http_kiro_send_json(ngx_http_request_t *r, ngx_uint_t status, u_char *data,
    size_t len)
{
    ngx_int_t             rc;
    ngx_buf_t            *b;
    ngx_chain_t           out;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx) {
        ctx->own = 1;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = len;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = data;
    b->last = data + len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
