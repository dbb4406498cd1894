
/*
 * The profile ARN of an account, and how the service is asked for it.
 */


#ifndef _NGX_HTTP_KIRO_PROFILE_H_INCLUDED_
#define _NGX_HTTP_KIRO_PROFILE_H_INCLUDED_


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_lease.h"


#define NGX_HTTP_KIRO_PROFILE_TIMEOUT    10000    /* ms, of one page */


/* what the service says about the profile of a login whose record has none */

typedef enum {
    NGX_HTTP_KIRO_PROFILE_UNKNOWN = 0,
    NGX_HTTP_KIRO_PROFILE_FOUND,
    NGX_HTTP_KIRO_PROFILE_BUILDER_ID,
    NGX_HTTP_KIRO_PROFILE_SEVERAL,
    NGX_HTTP_KIRO_PROFILE_NONE
} ngx_http_kiro_profile_e;


typedef struct {
    ngx_uint_t                       state;
    size_t                           arn_len;
    u_char                           arn[NGX_HTTP_KIRO_ARN_MAX];

    ngx_http_kiro_lease_t            lease;
    ngx_msec_t                       due;         /* for the next lookup */
    ngx_uint_t                       fails;
    ngx_atomic_uint_t                refused;     /* this token's version */

    ngx_uint_t                       doubted;     /* unsigned  doubted:1; */
    ngx_uint_t                       lookups;     /* that have ended */
    ngx_msec_t                       looked;      /* when the last one did */
} ngx_http_kiro_profile_t;


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


/* ngx_http_kiro_profile.c */
ngx_int_t ngx_http_kiro_profile_arn(ngx_http_kiro_account_t *account,
    ngx_str_t *arn);
ngx_uint_t ngx_http_kiro_profile_borrowed(ngx_http_kiro_account_t *account);
void ngx_http_kiro_profile_failure(ngx_http_kiro_account_t *account,
    kiro_failure *f);
ngx_int_t ngx_http_kiro_profile_doubt(ngx_http_kiro_account_t *account,
    ngx_http_kiro_token_t *token);
ngx_uint_t ngx_http_kiro_profile_pending(ngx_http_kiro_account_t *account,
    ngx_http_kiro_token_t *token);
ngx_uint_t ngx_http_kiro_profile_late(ngx_http_kiro_account_t *account,
    ngx_http_kiro_token_t *token, kiro_failure *f);
void ngx_http_kiro_profile_load(ngx_http_kiro_account_t *account,
    ngx_log_t *log);
void ngx_http_kiro_profile_forget(ngx_http_kiro_slot_t *slot);

/* ngx_http_kiro_profile_lookup.c */
void ngx_http_kiro_profile(ngx_http_kiro_account_t *account);
void ngx_http_kiro_profile_abort(ngx_http_kiro_account_t *account);
void ngx_http_kiro_profile_failed(ngx_http_kiro_lookup_t *job,
    const char *why);
void ngx_http_kiro_profile_end(ngx_http_kiro_lookup_t *job);

/* ngx_http_kiro_profile_told.c */
void ngx_http_kiro_profile_told(ngx_http_kiro_lookup_t *job);


#endif /* _NGX_HTTP_KIRO_PROFILE_H_INCLUDED_ */
