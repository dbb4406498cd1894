
/*
 * Work that may block: in a thread of the pool.
 */


#ifndef _NGX_HTTP_KIRO_TASK_H_INCLUDED_
#define _NGX_HTTP_KIRO_TASK_H_INCLUDED_


#include "ngx_http_kiro.h"


typedef void (*ngx_http_kiro_task_pt)(void *data);


/* ngx_http_kiro_task.c */
ngx_int_t ngx_http_kiro_task(ngx_pool_t *pool, ngx_http_kiro_task_pt run,
    ngx_http_kiro_task_pt done, void *data, ngx_log_t *log);


#endif /* _NGX_HTTP_KIRO_TASK_H_INCLUDED_ */
