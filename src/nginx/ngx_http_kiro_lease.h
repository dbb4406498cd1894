
/*
 * Work that one worker of the instance does for all.
 */


#ifndef _NGX_HTTP_KIRO_LEASE_H_INCLUDED_
#define _NGX_HTTP_KIRO_LEASE_H_INCLUDED_


#include "ngx_http_kiro.h"


/* in the zone; changed and looked at under the slab mutex */

typedef struct {
    ngx_msec_t                       deadline;
    ngx_uint_t                       generation;  /* of who took it last */
    ngx_pid_t                        pid;
    ngx_uint_t                       taken;       /* unsigned  taken:1; */
} ngx_http_kiro_lease_t;


/* ngx_http_kiro_lease.c */
ngx_uint_t ngx_http_kiro_lease_runs(ngx_http_kiro_lease_t *lease);
ngx_pid_t ngx_http_kiro_lease_orphan(ngx_http_kiro_lease_t *lease);
ngx_uint_t ngx_http_kiro_lease_free(ngx_http_kiro_lease_t *lease,
    ngx_uint_t generation);
ngx_uint_t ngx_http_kiro_lease_take(ngx_http_kiro_lease_t *lease,
    ngx_msec_t time);
ngx_uint_t ngx_http_kiro_lease_ours(ngx_http_kiro_lease_t *lease,
    ngx_uint_t generation);
void ngx_http_kiro_lease_extend(ngx_http_kiro_lease_t *lease,
    ngx_uint_t generation, ngx_msec_t time);
void ngx_http_kiro_lease_end(ngx_http_kiro_lease_t *lease,
    ngx_uint_t generation);

ngx_uint_t ngx_http_kiro_worker_gone(ngx_pid_t pid);
void *ngx_http_kiro_job(size_t size, size_t pool_size, ngx_pool_t **pool,
    ngx_log_t **log);
ngx_msec_t ngx_http_kiro_backoff(ngx_msec_t first, ngx_uint_t fails,
    ngx_msec_t max);


#endif /* _NGX_HTTP_KIRO_LEASE_H_INCLUDED_ */
