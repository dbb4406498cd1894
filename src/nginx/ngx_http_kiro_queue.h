
/*
 * Places for the calls of an account, and who waits for one.
 */


#ifndef _NGX_HTTP_KIRO_QUEUE_H_INCLUDED_
#define _NGX_HTTP_KIRO_QUEUE_H_INCLUDED_


#include "ngx_http_kiro.h"


#define NGX_HTTP_KIRO_QUEUE_CLIENTS  1024    /* told apart */


/* a call of the service that runs, or a request that waits for one */

typedef enum {
    NGX_HTTP_KIRO_TICKET_FREE = 0,
    NGX_HTTP_KIRO_TICKET_WAITING,
    NGX_HTTP_KIRO_TICKET_RUNNING
} ngx_http_kiro_ticket_state_e;


typedef struct {
    ngx_uint_t                       state;       /* written last */
    ngx_uint_t                       client;      /* a hash */
    uint64_t                         serial;      /* of the request */
    uint64_t                         granted;     /* number of the grant or 0 */
    ngx_msec_t                       since;       /* runs */
    ngx_pid_t                        pid;
    ngx_int_t                        process;     /* ngx_process_slot */
} ngx_http_kiro_ticket_t;


typedef struct {
    ngx_http_kiro_ticket_t          *tickets;     /* in the slab */
    ngx_uint_t                       ntickets;
    uint64_t                         serial;
    uint64_t                         granted;
    ngx_msec_t                       held;        /* a place, on average */
} ngx_http_kiro_calls_t;


/* ngx_http_kiro_ticket.c; find, grant and return under the zone's mutex */
ngx_int_t ngx_http_kiro_ticket_init(ngx_http_kiro_account_t *account);
ngx_http_kiro_ticket_t *ngx_http_kiro_ticket_find(
    ngx_http_kiro_calls_t *calls, ngx_uint_t *running, ngx_uint_t *waiting);
void ngx_http_kiro_ticket_grant(ngx_http_kiro_calls_t *calls,
    ngx_uint_t most);
void ngx_http_kiro_ticket_return(ngx_http_kiro_calls_t *calls,
    ngx_http_kiro_ticket_t *t);
ngx_uint_t ngx_http_kiro_ticket_sweep(ngx_http_kiro_account_t *account);
ngx_uint_t ngx_http_kiro_ticket_own(ngx_http_kiro_account_t *account);
void ngx_http_kiro_ticket_count(ngx_http_kiro_account_t *account,
    ngx_uint_t *running, ngx_uint_t *waiting);

/* ngx_http_kiro_queue.c */
char *ngx_http_kiro_concurrency(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_kiro_queue_enter(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_queue_resume(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_queue_leave(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_queue_init_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_queue_exit_worker(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_KIRO_QUEUE_H_INCLUDED_ */
