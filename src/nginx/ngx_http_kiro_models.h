
/*
 * The model list of an account.
 */


#ifndef _NGX_HTTP_KIRO_MODELS_H_INCLUDED_
#define _NGX_HTTP_KIRO_MODELS_H_INCLUDED_


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_lease.h"


/* as kiro/models.h has it */

typedef struct {
    ngx_atomic_t                     version;     /* bumped by a change */
    u_char                          *data;        /* in the slab */
    size_t                           len;         /* 0: there is none */

    ngx_http_kiro_lease_t            lease;
    ngx_msec_t                       due;         /* for the next fetch */
    ngx_uint_t                       fails;
    ngx_atomic_uint_t                refused;     /* this token's version */
    ngx_atomic_uint_t                doubted;     /* version + 1 of this list */
} ngx_http_kiro_list_t;


/* ngx_http_kiro_models.c */
kiro_str ngx_http_kiro_models_get(ngx_http_kiro_account_t *account);
void ngx_http_kiro_models_doubt(ngx_http_kiro_account_t *account);
ngx_int_t ngx_http_kiro_models_refresh(ngx_http_kiro_account_t *account);
void ngx_http_kiro_models_abort(ngx_http_kiro_account_t *account);
ngx_int_t ngx_http_kiro_models(ngx_http_request_t *r);


#endif /* _NGX_HTTP_KIRO_MODELS_H_INCLUDED_ */
