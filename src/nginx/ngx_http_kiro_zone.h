
/*
 * What the workers share.  A change of it bumps NGX_HTTP_KIRO_ZONE_LAYOUT.
 */


#ifndef _NGX_HTTP_KIRO_ZONE_H_INCLUDED_
#define _NGX_HTTP_KIRO_ZONE_H_INCLUDED_


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_lease.h"
#include "ngx_http_kiro_limits.h"
#include "ngx_http_kiro_models.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_stats.h"


/* limits of what a slot holds */

#define NGX_HTTP_KIRO_TOKEN_MAX      8192
#define NGX_HTTP_KIRO_RECORD_MAX     24576


typedef enum {
    NGX_HTTP_KIRO_SLOT_OK = 0,
    NGX_HTTP_KIRO_SLOT_RETRYING,     /* the last refresh failed for a while */
    NGX_HTTP_KIRO_SLOT_DEAD          /* a person must log in */
} ngx_http_kiro_slot_state_e;


typedef struct {
    int64_t                          expires;     /* Unix ms, 0: never */
    ngx_uint_t                       login;       /* kiro_login */
    size_t                           token_len;
    size_t                           arn_len;
    size_t                           record_len;
    u_char                           token[NGX_HTTP_KIRO_TOKEN_MAX];
    u_char                           arn[NGX_HTTP_KIRO_ARN_MAX];
    u_char                           record[NGX_HTTP_KIRO_RECORD_MAX];
} ngx_http_kiro_token_data_t;


/*
 * One account in the zone.  Everything is changed under the slab mutex, the
 * only lock that nginx releases for a worker that died; the version and the
 * "bad" mark are also read without it.
 */

struct ngx_http_kiro_slot_s {
    ngx_queue_t                      queue;
    u_char                           name[NGX_HTTP_KIRO_NAME_MAX + 1];
    u_char                           fingerprint[NGX_HTTP_KIRO_FINGERPRINT_MAX + 1];

    ngx_atomic_t                     version;     /* bumped by a publish */
    ngx_atomic_t                     bad;         /* refused up to this one */
    ngx_atomic_t                     good;        /* was taken, of this version */

    ngx_uint_t                       active;
    ngx_http_kiro_token_data_t       data[2];

    ngx_http_kiro_lease_t            lease;       /* of the refresh */

    /* the inactive half has a refreshed login that is in no file yet */
    ngx_uint_t                       pending;     /* unsigned  pending:1; */

    /* the active one could not be saved */
    ngx_uint_t                       unsaved;     /* unsigned  unsaved:1; */
    ngx_msec_t                       save_at;

    ngx_msec_t                       locked;      /* the state, by others: since */
    ngx_msec_t                       locked_seen;

    ngx_uint_t                       futile;      /* refreshes, nothing taken since */
    ngx_msec_t                       refreshed;   /* when, if it was */
    int64_t                          lifetime;    /* ms, of a refreshed token */
    ngx_msec_t                       next_try;
    ngx_uint_t                       fails;
    ngx_uint_t                       state;
    u_char                           dead_token[16];  /* MD5: what was refused */
    char                             last_error[256];
    uint32_t                         remark;      /* of the source: last told */

    ngx_http_kiro_hold_t             hold;
    ngx_http_kiro_list_t             models;
    ngx_http_kiro_known_limits_t     limits;
    ngx_http_kiro_profile_t          profile;
    ngx_http_kiro_calls_t            calls;

    ngx_atomic_t                     refreshes;
    ngx_atomic_t                     refresh_failures;
    ngx_atomic_t                     refresh_refusals;    /* of the failures */

    ngx_http_kiro_account_stats_t    stats;
};


/* a conversation whose last answer lost a tool call */

typedef struct {
    uint64_t                         serial;      /* 0: free; grows with time */
    ngx_msec_t                       time;
    u_char                           key[16];
    size_t                           len;
    u_char                           tools[KIRO_LOST_CALLS];
} ngx_http_kiro_loss_t;


typedef struct {
    ngx_uint_t                       magic;
    ngx_uint_t                       layout;
    size_t                           size;
    ngx_queue_t                      slots;

    ngx_http_kiro_loss_t            *losses;
    ngx_uint_t                       nlosses;
    uint64_t                         loss_serial;
    ngx_atomic_t                     lost;        /* 0: none is in use */

    ngx_http_kiro_stats_t            stats;
} ngx_http_kiro_shm_t;


struct ngx_http_kiro_zone_s {
    ngx_http_kiro_shm_t             *sh;
    ngx_slab_pool_t                 *shpool;
    ngx_array_t                     *accounts;    /* of the main conf */
};


/* ngx_http_kiro_zone.c */
char *ngx_http_kiro_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_zone_add(ngx_conf_t *cf,
    ngx_http_kiro_main_conf_t *kmcf, ngx_str_t *name, size_t size);


#endif /* _NGX_HTTP_KIRO_ZONE_H_INCLUDED_ */
