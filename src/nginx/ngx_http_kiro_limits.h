
/*
 * The limits of an account, and how much of them is used up.
 */


#ifndef _NGX_HTTP_KIRO_LIMITS_H_INCLUDED_
#define _NGX_HTTP_KIRO_LIMITS_H_INCLUDED_


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_lease.h"


#define NGX_HTTP_KIRO_LIMITS_TIMEOUT  10000  /* ms, of one request */


/* in the zone */

typedef struct {
    ngx_http_kiro_lease_t            lease;
    ngx_msec_t                       due;         /* for the next fetch */
    ngx_uint_t                       fails;
    ngx_atomic_uint_t                refused;     /* this token's version */
    ngx_uint_t                       profile;     /* was taken with the ARN */

    ngx_uint_t                       valid;       /* unsigned  valid:1; */
    ngx_msec_t                       fetched;
    int64_t                          fetched_at;  /* Unix ms */
    kiro_usage_limits                limits;
    kiro_failure                     failure;     /* of the last fetch */
} ngx_http_kiro_known_limits_t;


/* a fetch: for all, or for a caller with its own key */

struct ngx_http_kiro_limits_s {
    ngx_http_kiro_account_t         *account;
    ngx_pool_t                      *pool;
    ngx_log_t                       *log;
    ngx_http_kiro_fetch_t           *fetch;
    ngx_uint_t                       generation;  /* of the lease */
    ngx_http_kiro_token_t            token;
    ngx_http_kiro_region_t          *region;
    ngx_str_t                        request;
    ngx_uint_t                       profile;     /* sends the ARN */

    kiro_usage_limits                limits;
    kiro_failure                     failure;

    unsigned                         tried:1;     /* the other form, too */
    unsigned                         caller:1;
    unsigned                         done:1;
};


/* ngx_http_kiro_limits.c */
ngx_int_t ngx_http_kiro_limits_refresh(ngx_http_kiro_account_t *account);
void ngx_http_kiro_limits_doubt(ngx_http_kiro_account_t *account);
ngx_uint_t ngx_http_kiro_limits_get(ngx_http_kiro_account_t *account,
    ngx_http_kiro_known_limits_t *known);
void ngx_http_kiro_limits_forget(ngx_http_kiro_slot_t *slot);
void ngx_http_kiro_limits_abort(ngx_http_kiro_account_t *account);
ngx_http_kiro_limits_t *ngx_http_kiro_limits_call(
    ngx_http_kiro_account_t *account, ngx_str_t *key, kiro_failure *f);
void ngx_http_kiro_limits_end(ngx_http_kiro_limits_t *job);

/* ngx_http_kiro_limits_route.c */
ngx_int_t ngx_http_kiro_limits(ngx_http_request_t *r);


#endif /* _NGX_HTTP_KIRO_LIMITS_H_INCLUDED_ */
