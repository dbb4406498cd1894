
/*
 * Zones of budgets: what each key has used of its periods.
 */


#ifndef _NGX_HTTP_KIRO_BUDGET_H_INCLUDED_
#define _NGX_HTTP_KIRO_BUDGET_H_INCLUDED_


#include "ngx_http_kiro.h"


#define NGX_HTTP_KIRO_BUDGET_PERIODS  3
#define NGX_HTTP_KIRO_BUDGET_UNITS    2

#define NGX_HTTP_KIRO_BUDGET_TOKENS   0
#define NGX_HTTP_KIRO_BUDGET_CREDITS  1       /* millionths */

typedef struct {
    ngx_str_t                        name;
    time_t                           length;
    char                            *text;
} ngx_http_kiro_budget_period_t;


/* periods are those of the clock, in UTC */

typedef struct {
    time_t                           number;
    uint64_t                         used;
} ngx_http_kiro_budget_window_t;


typedef struct {
    u_char                           color;       /* of the rbtree node */
    u_char                           dummy;
    u_short                          len;
    ngx_queue_t                      queue;
    time_t                           last;
    uint64_t                         price;       /* of a request, on average */
    ngx_http_kiro_budget_window_t    windows[NGX_HTTP_KIRO_BUDGET_UNITS]
                                            [NGX_HTTP_KIRO_BUDGET_PERIODS];
    u_char                           data[1];
} ngx_http_kiro_budget_node_t;


typedef struct {
    ngx_rbtree_t                     rbtree;
    ngx_rbtree_node_t                sentinel;
    ngx_queue_t                      queue;       /* the one used last first */
} ngx_http_kiro_budget_shm_t;


typedef struct {
    ngx_http_kiro_budget_shm_t      *sh;
    ngx_slab_pool_t                 *shpool;
    ngx_http_complex_value_t         key;
} ngx_http_kiro_budget_zone_t;


typedef struct {
    ngx_shm_zone_t                  *zone;
    ngx_uint_t                       unit;
    ngx_uint_t                       period;
    uint64_t                         most;
} ngx_http_kiro_budget_limit_t;


extern ngx_http_kiro_budget_period_t  ngx_http_kiro_budget_periods[];

/* both under the zone's mutex; NULL: it is not there, there is no room */

ngx_http_kiro_budget_node_t *ngx_http_kiro_budget_find(
    ngx_http_kiro_budget_shm_t *sh, uint32_t hash, ngx_str_t *key);
ngx_http_kiro_budget_node_t *ngx_http_kiro_budget_node(
    ngx_http_kiro_budget_zone_t *zone, uint32_t hash, ngx_str_t *key,
    time_t now);

/* ngx_http_kiro_budget.c */
char *ngx_http_kiro_budget_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kiro_budget(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_budget_enter(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_budget_leave(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_budget_left(ngx_http_kiro_ctx_t *ctx, uint64_t *left);
ngx_int_t ngx_http_kiro_budget_headers(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);


#endif /* _NGX_HTTP_KIRO_BUDGET_H_INCLUDED_ */
