
/*
 * A request of our own to a host of the service.
 */


#ifndef _NGX_HTTP_KIRO_FETCH_H_INCLUDED_
#define _NGX_HTTP_KIRO_FETCH_H_INCLUDED_


#include "ngx_http_kiro.h"


typedef void (*ngx_http_kiro_fetch_pt)(void *data, kiro_http *http,
    const char *error);


/* ngx_http_kiro_fetch.c */
ngx_http_kiro_fetch_t *ngx_http_kiro_fetch(ngx_http_kiro_endpoint_t *ep,
    ngx_str_t *request, ngx_msec_t timeout, ngx_log_t *log,
    ngx_http_kiro_fetch_pt handler, void *data);
void ngx_http_kiro_fetch_cancelable(ngx_http_kiro_fetch_t *fetch);
void ngx_http_kiro_fetch_await(ngx_http_kiro_fetch_t *fetch,
    ngx_msec_t deadline);
void ngx_http_kiro_fetch_abort(ngx_http_kiro_fetch_t *fetch);


#endif /* _NGX_HTTP_KIRO_FETCH_H_INCLUDED_ */
