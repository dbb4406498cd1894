
/*
 * Access tokens: the one that is valid, and who gets the next.
 */


#ifndef _NGX_HTTP_KIRO_TOKEN_H_INCLUDED_
#define _NGX_HTTP_KIRO_TOKEN_H_INCLUDED_


#include "ngx_http_kiro.h"


/* a token is not sent any more */

#define NGX_HTTP_KIRO_MARGIN         5000     /* ms */


/* ngx_http_kiro_token.c */
ngx_int_t ngx_http_kiro_token_get(ngx_http_kiro_account_t *account,
    ngx_pool_t *pool, ngx_http_kiro_token_t *token, kiro_failure *f);
ngx_msec_t ngx_http_kiro_token_patience(ngx_http_kiro_account_t *account);
ngx_int_t ngx_http_kiro_token_bearer(ngx_http_kiro_account_t *account,
    ngx_pool_t *pool, ngx_http_kiro_token_t *token, kiro_failure *f);
void ngx_http_kiro_token_accept(ngx_http_kiro_account_t *account,
    ngx_atomic_uint_t version);
void ngx_http_kiro_token_refuse(ngx_http_kiro_account_t *account,
    ngx_atomic_uint_t version);
void ngx_http_kiro_token_wait(ngx_http_kiro_account_t *account,
    ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_token_publish(ngx_http_kiro_account_t *account,
    kiro_credential *cred, ngx_log_t *log);
ngx_int_t ngx_http_kiro_token_init_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_token_exit_worker(ngx_cycle_t *cycle);
int64_t ngx_http_kiro_now(void);

ngx_uint_t ngx_http_kiro_token_usable(ngx_http_kiro_slot_t *slot,
    int64_t now);
void ngx_http_kiro_token_dead(kiro_failure *f);

/* ngx_http_kiro_refresh.c */
void ngx_http_kiro_refresh(ngx_http_kiro_account_t *account);
void ngx_http_kiro_refresh_leave(ngx_http_kiro_account_t *account,
    ngx_msec_t deadline);


#endif /* _NGX_HTTP_KIRO_TOKEN_H_INCLUDED_ */
