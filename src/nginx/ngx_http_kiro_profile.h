
/*
 * What the files of a lookup of the profile share.
 */


#ifndef _NGX_HTTP_KIRO_PROFILE_H_INCLUDED_
#define _NGX_HTTP_KIRO_PROFILE_H_INCLUDED_


#include "ngx_http_kiro.h"


#define NGX_HTTP_KIRO_PROFILE_TIMEOUT    10000    /* ms, of one page */


struct ngx_http_kiro_lookup_s {
    ngx_http_kiro_account_t   *account;
    ngx_pool_t                *pool;
    ngx_log_t                 *log;
    ngx_event_t                guard;        /* keeps an exiting worker alive */
    ngx_http_kiro_fetch_t     *fetch;
    ngx_uint_t                 generation;   /* of the lease */
    ngx_http_kiro_token_t      token;
    u_char                     fingerprint[NGX_HTTP_KIRO_FINGERPRINT_MAX + 1];
    ngx_uint_t                 fails;        /* of the lookups before */

    ngx_uint_t                 region;       /* that is being asked */
    ngx_str_t                  request;
    kiro_profiles             *list;
    char                       why[256];     /* of the last failure */
    u_char                     arn[NGX_HTTP_KIRO_ARN_MAX];
    size_t                     arn_len;

    /* filled by the thread */
    kiro_status                save_status;
    kiro_failure               failure;

    unsigned                   told:1;       /* a region had an answer */
    unsigned                   failed:1;     /* a region could not be asked */
    unsigned                   refused:1;    /* ... does not take the token */
    unsigned                   in_task:1;
};


/* ngx_http_kiro_profile_lookup.c */
void ngx_http_kiro_profile_failed(ngx_http_kiro_lookup_t *job,
    const char *why);
void ngx_http_kiro_profile_end(ngx_http_kiro_lookup_t *job);

/* ngx_http_kiro_profile_told.c */
void ngx_http_kiro_profile_told(ngx_http_kiro_lookup_t *job);


#endif /* _NGX_HTTP_KIRO_PROFILE_H_INCLUDED_ */
