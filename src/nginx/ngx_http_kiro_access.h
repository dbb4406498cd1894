
/*
 * Who may ask: client keys, their own logins, browsers.
 */


#ifndef _NGX_HTTP_KIRO_ACCESS_H_INCLUDED_
#define _NGX_HTTP_KIRO_ACCESS_H_INCLUDED_


#include "ngx_http_kiro.h"


/* a client key: only its hash is kept */

typedef struct {
    ngx_str_t                        name;
    u_char                           digest[32];
} ngx_http_kiro_key_t;


/* kiro_auth: whose credential it is */

#define NGX_HTTP_KIRO_AUTH_ACCOUNT      0
#define NGX_HTTP_KIRO_AUTH_PASSTHROUGH  1
#define NGX_HTTP_KIRO_AUTH_VARIABLE     2


/* ngx_http_kiro_access.c */
ngx_int_t ngx_http_kiro_access_handler(ngx_http_request_t *r);
char *ngx_http_kiro_client_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kiro_client_keys(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_kiro_presented_keys(ngx_http_request_t *r, ngx_str_t *keys);

/* ngx_http_kiro_caller.c */
char *ngx_http_kiro_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_auth_check(ngx_conf_t *cf,
    ngx_http_kiro_loc_conf_t *conf);
ngx_int_t ngx_http_kiro_auth_settle(ngx_conf_t *cf,
    ngx_http_kiro_main_conf_t *kmcf);
ngx_int_t ngx_http_kiro_caller(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_caller_refused(ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_cors.c */
char *ngx_http_kiro_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_kiro_cors_preflight(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf);
ngx_int_t ngx_http_kiro_cors_headers(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf);


#endif /* _NGX_HTTP_KIRO_ACCESS_H_INCLUDED_ */
