
/*
 * Errors in the client's dialect, and headers that tell of a request.
 */


#ifndef _NGX_HTTP_KIRO_ERROR_H_INCLUDED_
#define _NGX_HTTP_KIRO_ERROR_H_INCLUDED_


#include "ngx_http_kiro.h"


/* ngx_http_kiro_error.c */
ngx_int_t ngx_http_kiro_send_failure(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_failure *f);
ngx_int_t ngx_http_kiro_failure_json(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_failure *f, ngx_str_t *body);
ngx_int_t ngx_http_kiro_send_json(ngx_http_request_t *r, ngx_uint_t status,
    u_char *data, size_t len);
ngx_int_t ngx_http_kiro_error_headers(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_failure *f);
ngx_int_t ngx_http_kiro_request_id(ngx_http_kiro_ctx_t *ctx,
    ngx_str_t *value);
ngx_int_t ngx_http_kiro_id_header(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_usage_headers(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_add_header(ngx_http_request_t *r, char *name,
    ngx_str_t *value);

/* ngx_http_kiro_explain.c */
ngx_int_t ngx_http_kiro_normalized(ngx_http_kiro_ctx_t *ctx, ngx_str_t *value);
ngx_int_t ngx_http_kiro_explain_header(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_explain_failure(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_failure *f, ngx_str_t *value);

/* ngx_http_kiro_special.c */
ngx_int_t ngx_http_kiro_special_add(ngx_conf_t *cf, ngx_str_t *location);
ngx_uint_t ngx_http_kiro_special(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf);
ngx_int_t ngx_http_kiro_special_header(ngx_http_request_t *r);
ngx_chain_t *ngx_http_kiro_special_body(ngx_http_kiro_ctx_t *ctx,
    ngx_chain_t *in);


#endif /* _NGX_HTTP_KIRO_ERROR_H_INCLUDED_ */
