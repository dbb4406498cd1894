
/*
 * Counters, and what shows them: each is the sum over all workers since the zone
 * was made.
 */


#ifndef _NGX_HTTP_KIRO_STATS_H_INCLUDED_
#define _NGX_HTTP_KIRO_STATS_H_INCLUDED_


#include "ngx_http_kiro.h"


#define NGX_HTTP_KIRO_STATUSES       26
#define NGX_HTTP_KIRO_BOUNDS         16
#define NGX_HTTP_KIRO_CAUSES         (KIRO_FAIL_MAX + KIRO_CHANGE_MAX)
#define NGX_HTTP_KIRO_ERRORS         (KIRO_FAIL_MAX + 1)

/* behind the kinds of failures: the client left before the end */
#define NGX_HTTP_KIRO_CLIENT_CLOSED  KIRO_FAIL_MAX

/* processes with open requests: also those of former configurations */
#define NGX_HTTP_KIRO_OPEN           256


typedef struct {
    ngx_atomic_t                     counts[NGX_HTTP_KIRO_BOUNDS + 1];
    ngx_atomic_t                     sum;         /* of ms, if not said */
} ngx_http_kiro_histogram_t;


/* requests of one account, dialect and model */

typedef struct {
    uint32_t                         hash;
    ngx_uint_t                       api;         /* of ngx_http_kiro_api_names */
    u_char                           account[NGX_HTTP_KIRO_NAME_MAX + 1];
    u_char                           model[NGX_HTTP_KIRO_NAME_MAX + 1];

    ngx_atomic_t                     requests[NGX_HTTP_KIRO_STATUSES];
    ngx_atomic_t                     errors[NGX_HTTP_KIRO_ERRORS];
    ngx_atomic_t                     reasoning_tokens;
    ngx_atomic_t                     cache_read_tokens;
    ngx_atomic_t                     cache_write_tokens;
    ngx_atomic_t                     credits;     /* millionths */
    ngx_http_kiro_histogram_t        input_tokens;     /* tokens */
    ngx_http_kiro_histogram_t        output_tokens;
    ngx_http_kiro_histogram_t        first_token;
    ngx_http_kiro_histogram_t        token_pace;  /* us */
    ngx_http_kiro_histogram_t        duration;
} ngx_http_kiro_series_t;


/* of one account: in its slot */

typedef struct {
    ngx_atomic_t                     attempts;
    ngx_atomic_t                     retries[NGX_HTTP_KIRO_CAUSES];
    ngx_atomic_t                     fallbacks[KIRO_FAIL_MAX];
    ngx_http_kiro_histogram_t        queue_time;
    ngx_http_kiro_histogram_t        token_time;
} ngx_http_kiro_account_stats_t;


/* what is open at the moment, of one process: it may die */

typedef struct {
    ngx_pid_t                        pid;         /* 0: free */
    ngx_atomic_t                     requests;
    ngx_atomic_t                     streams;
} ngx_http_kiro_open_t;


typedef struct {
    ngx_http_kiro_series_t          *series;      /* the first: of no room */
    ngx_atomic_t                     nseries;
    ngx_uint_t                       max;
    ngx_http_kiro_open_t            *open;
} ngx_http_kiro_stats_t;


/* ngx_http_kiro_stats.c */
extern const ngx_uint_t  ngx_http_kiro_stats_statuses[NGX_HTTP_KIRO_STATUSES];
extern const ngx_msec_t  ngx_http_kiro_stats_first_token[NGX_HTTP_KIRO_BOUNDS];
extern const ngx_msec_t  ngx_http_kiro_stats_token_pace[NGX_HTTP_KIRO_BOUNDS];
extern const ngx_msec_t  ngx_http_kiro_stats_duration[NGX_HTTP_KIRO_BOUNDS];
extern const ngx_msec_t  ngx_http_kiro_stats_wait[NGX_HTTP_KIRO_BOUNDS];
extern const ngx_msec_t  ngx_http_kiro_stats_tokens[NGX_HTTP_KIRO_BOUNDS];

ngx_int_t ngx_http_kiro_stats_init(ngx_http_kiro_zone_t *zone, size_t size);
void ngx_http_kiro_stats_init_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_stats_exit_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_stats_begin(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_stats_stream(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_stats_end(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_stats_attempt(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_stats_mark(ngx_http_request_t *r);
ngx_int_t ngx_http_kiro_stats_handler(ngx_http_request_t *r);

/* ngx_http_kiro_metrics.c */
char *ngx_http_kiro_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_KIRO_STATS_H_INCLUDED_ */
