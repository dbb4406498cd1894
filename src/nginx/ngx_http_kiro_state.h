
/*
 * What the service's refusals say about an account.
 */


#ifndef _NGX_HTTP_KIRO_STATE_H_INCLUDED_
#define _NGX_HTTP_KIRO_STATE_H_INCLUDED_


#include "ngx_http_kiro.h"


/* in the zone; requests from before its last change know an older generation */

typedef struct {
    ngx_uint_t                       state;       /* kiro_account_state */
    ngx_msec_t                       until;
    ngx_atomic_t                     generation;
    ngx_atomic_uint_t                epoch;       /* since it was last ok */
    ngx_uint_t                       fails;       /* probes in vain */
    ngx_uint_t                       probing;     /* unsigned  probing:1; */
    ngx_pid_t                        probe_pid;
    ngx_msec_t                       probe_deadline;
    ngx_atomic_t                     refusals;    /* in a row, no delay named */
    int64_t                          resets_at;   /* Unix ms: of a quota, or 0 */
    kiro_failure                     failure;     /* the last one */
} ngx_http_kiro_hold_t;


typedef struct {
    char                            *name;
    ngx_msec_t                       left;        /* 0: until it is tried */
    int64_t                          resets_at;   /* Unix ms: of a quota, or 0 */
    kiro_failure_kind                error;       /* the last one */
    ngx_uint_t                       probe;       /* the next request is one */
    ngx_uint_t                       usable;
    char                            *reason;      /* why it is not */
    char                            *why;         /* the same as a sentence */
} ngx_http_kiro_state_view_t;


/* of a kiro_account_state */

typedef struct {
    char                            *name;
    char                            *reason;
    char                            *why;
    ngx_uint_t                       level;   /* of the log */
    ngx_uint_t                       probe;   /* afterwards one request first */
    ngx_msec_t                       max;     /* how long it may grow */
    size_t                           offset;  /* of its time in the account */
} ngx_http_kiro_hold_row_t;


/* ngx_http_kiro_state.c */
extern ngx_http_kiro_hold_row_t  ngx_http_kiro_hold_rows[];

ngx_int_t ngx_http_kiro_state_check(ngx_http_kiro_account_t *account,
    kiro_failure *f);
ngx_int_t ngx_http_kiro_state_enter(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_failed(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_refused(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_good(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_leave(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_limits(ngx_http_kiro_account_t *account,
    kiro_usage_limits *limits);
void ngx_http_kiro_state_reset(ngx_http_kiro_hold_t *hold);
ngx_msec_t ngx_http_kiro_hold_time(ngx_http_kiro_account_t *account,
    ngx_uint_t state);
ngx_int_t ngx_http_kiro_hold_look(ngx_http_kiro_account_t *account,
    ngx_uint_t own, ngx_msec_t *left);

/* ngx_http_kiro_state_view.c */
extern char  *ngx_http_kiro_state_names[];

void ngx_http_kiro_state_view(ngx_http_kiro_account_t *account,
    ngx_http_kiro_state_view_t *view);


#endif /* _NGX_HTTP_KIRO_STATE_H_INCLUDED_ */
