
/*
 * Looking after the accounts from time to time, in each worker.
 */


#ifndef _NGX_HTTP_KIRO_POLL_H_INCLUDED_
#define _NGX_HTTP_KIRO_POLL_H_INCLUDED_


#include "ngx_http_kiro.h"


/* true: it is to be looked after again */

typedef ngx_uint_t (*ngx_http_kiro_poll_pt)(ngx_http_kiro_account_t *account);


typedef struct {
    ngx_event_t                      event;       /* first: it leads here */
    ngx_connection_t                 connection;  /* for debug logging only */
    ngx_msec_t                       interval;
    ngx_http_kiro_poll_pt            look;
} ngx_http_kiro_poll_t;


/* ngx_http_kiro_poll.c */
void ngx_http_kiro_poll_init(ngx_http_kiro_poll_t *poll, ngx_cycle_t *cycle,
    ngx_msec_t interval, ngx_http_kiro_poll_pt look);
void ngx_http_kiro_poll_soon(ngx_http_kiro_poll_t *poll);


#endif /* _NGX_HTTP_KIRO_POLL_H_INCLUDED_ */
