
/*
 * kiro_capture: what a request leaves for support.
 */


#ifndef _NGX_HTTP_KIRO_CAPTURE_H_INCLUDED_
#define _NGX_HTTP_KIRO_CAPTURE_H_INCLUDED_


#include "ngx_http_kiro.h"

#include <kiro/capture.h>


#define NGX_HTTP_KIRO_CAPTURE_OFF     0
#define NGX_HTTP_KIRO_CAPTURE_ERRORS  1
#define NGX_HTTP_KIRO_CAPTURE_ALL     2

/* "20261121T182000.123Z-req_..." */
#define NGX_HTTP_KIRO_CAPTURE_NAME    64


/* kiro_capture_path */

typedef struct {
    ngx_path_t                      *path;
    ngx_int_t                        max_requests;
    off_t                            max_size;
    ssize_t                          max_file_size;

    /* of this worker: the failure that was logged last */
    u_char                           told[512];
    ngx_uint_t                       warned;      /* unsigned  warned:1; */
} ngx_http_kiro_capture_path_t;


struct ngx_http_kiro_capture_s {
    kiro_capture                    *data;        /* NULL: given away */
    ngx_http_kiro_capture_path_t    *path;
    ngx_http_kiro_ctx_t             *ctx;         /* the newest */
    ngx_uint_t                       mode;
    ngx_uint_t                       attempt;     /* number of the last one */
    ngx_uint_t                       body;        /* unsigned  body:1; */
    ngx_log_t                        log;         /* the one behind ours */
};


/* ngx_http_kiro_capture.c */
void ngx_http_kiro_capture_begin(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_capture_body(ngx_http_kiro_ctx_t *ctx, u_char *p,
    size_t len);
void ngx_http_kiro_capture_attempt(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_capture_raw(ngx_http_kiro_ctx_t *ctx, u_char *p, size_t len);
void ngx_http_kiro_capture_text(ngx_http_kiro_ctx_t *ctx, ngx_str_t *text);
void ngx_http_kiro_capture_sent(ngx_http_kiro_ctx_t *ctx, u_char *p,
    size_t len);
void ngx_http_kiro_capture_chain(ngx_http_kiro_ctx_t *ctx, ngx_chain_t *in);
void ngx_http_kiro_capture_failed(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_capture_handler(ngx_http_request_t *r);

/* ngx_http_kiro_capture_log.c */
void ngx_http_kiro_capture_log(ngx_http_kiro_capture_t *capture,
    ngx_connection_t *c);
void ngx_http_kiro_capture_unlog(ngx_http_kiro_capture_t *capture,
    ngx_connection_t *c);
void ngx_http_kiro_capture_note(ngx_http_kiro_capture_t *capture,
    const char *fmt, ...);
void ngx_http_kiro_capture_client(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture);
void ngx_http_kiro_capture_request(ngx_http_kiro_ctx_t *ctx,
    ngx_array_t *headers, ngx_str_t *path);
void ngx_http_kiro_capture_header(ngx_http_kiro_ctx_t *ctx, ngx_str_t *name,
    ngx_str_t *value);

/* ngx_http_kiro_capture_secret.c */
void ngx_http_kiro_capture_hide(ngx_http_kiro_capture_t *capture,
    ngx_str_t *name, ngx_str_t *value);
ngx_uint_t ngx_http_kiro_capture_harmless(ngx_str_t *name);
void ngx_http_kiro_capture_args(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture);
void ngx_http_kiro_capture_headers(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture);
void ngx_http_kiro_capture_accounts(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture);

/* ngx_http_kiro_capture_save.c */
char *ngx_http_kiro_capture_mode(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kiro_capture_path(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_kiro_capture_save(ngx_http_kiro_capture_t *capture,
    u_char *name);
void ngx_http_kiro_capture_exit_worker(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_KIRO_CAPTURE_H_INCLUDED_ */
