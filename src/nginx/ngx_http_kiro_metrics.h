
/*
 * Families of metrics in Prometheus' text format.
 */


#ifndef _NGX_HTTP_KIRO_METRICS_H_INCLUDED_
#define _NGX_HTTP_KIRO_METRICS_H_INCLUDED_


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_stats.h"


/* no line is longer: three names of 64 characters, each perhaps escaped */

#define NGX_HTTP_KIRO_METRICS_LINE    1024


typedef struct {
    ngx_pool_t                      *pool;
    ngx_chain_t                     *out;
    ngx_chain_t                    **last;
    ngx_buf_t                       *buf;
    off_t                            length;
    ngx_uint_t                       failed;
} ngx_http_kiro_metrics_t;


/* ngx_http_kiro_metrics.c */
void ngx_http_kiro_metrics_head(ngx_http_kiro_metrics_t *m, char *name,
    char *type, char *help);
void ngx_http_kiro_metrics_line(ngx_http_kiro_metrics_t *m,
    const char *fmt, ...);
void ngx_http_kiro_metrics_histogram(ngx_http_kiro_metrics_t *m, char *name,
    u_char *labels, ngx_http_kiro_histogram_t *histogram,
    const ngx_msec_t *bounds, ngx_uint_t digits);
void ngx_http_kiro_metrics_number(u_char *p, ngx_atomic_uint_t value,
    ngx_uint_t digits);
u_char *ngx_http_kiro_metrics_escape(u_char *p, u_char *src);

/* ngx_http_kiro_metrics_series.c */
void ngx_http_kiro_metrics_series(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats);

/* ngx_http_kiro_metrics_account.c */
void ngx_http_kiro_metrics_accounts(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts);

/* ngx_http_kiro_metrics_limits.c */
void ngx_http_kiro_metrics_limits(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts);


#endif /* _NGX_HTTP_KIRO_METRICS_H_INCLUDED_ */
