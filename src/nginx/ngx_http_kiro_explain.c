
/*
 * kiro_explain: what was changed of a request, in a header and a variable, and
 * what is known about a refusal, in the error's message.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_error.h"


/* NGX_DECLINED: nobody asked, or nothing was changed */

ngx_int_t
ngx_http_kiro_normalized(ngx_http_kiro_ctx_t *ctx, ngx_str_t *value)
{
    if (!ctx->conf->explain || ctx->kreq == NULL) {
        return NGX_DECLINED;
    }

    value->data = ngx_pnalloc(ctx->request->pool, KIRO_EXPLAIN_MAX);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = kiro_request_changes(ctx->kreq, (char *) value->data,
                                      KIRO_EXPLAIN_MAX);

    return value->len ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_kiro_explain_header(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    rc = ngx_http_kiro_normalized(ctx, &value);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    return ngx_http_kiro_add_header(r, "X-Kiro-Normalized", &value);
}


/* an empty value: there is nothing to say beside the message */

ngx_int_t
ngx_http_kiro_explain_failure(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    kiro_failure *f, ngx_str_t *value)
{
    ngx_str_null(value);

    if (!ctx->conf->explain) {
        return NGX_OK;
    }

    value->data = ngx_pnalloc(r->pool, KIRO_EXPLAIN_MAX);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = kiro_request_explain(ctx->kreq, f, (char *) value->data,
                                      KIRO_EXPLAIN_MAX);

    if (value->len) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "kiro: the request was refused: %s [%V]",
                      f->message, value);
    }

    return NGX_OK;
}
