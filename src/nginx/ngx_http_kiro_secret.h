
/*
 * Memory that is wiped.
 */


#ifndef _NGX_HTTP_KIRO_SECRET_H_INCLUDED_
#define _NGX_HTTP_KIRO_SECRET_H_INCLUDED_


#include "ngx_http_kiro.h"


/* ngx_http_kiro_secret.c */
void *ngx_http_kiro_secret(ngx_pool_t *pool, size_t size);
void ngx_http_kiro_secret_exit_worker(void);
#if (NGX_SSL)
void ngx_http_kiro_secret_ssl(ngx_ssl_t *ssl);
#endif


#endif /* _NGX_HTTP_KIRO_SECRET_H_INCLUDED_ */
