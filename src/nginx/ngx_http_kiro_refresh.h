
/*
 * What the files of a refresh share.
 */


#ifndef _NGX_HTTP_KIRO_REFRESH_H_INCLUDED_
#define _NGX_HTTP_KIRO_REFRESH_H_INCLUDED_


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_task.h"


#define NGX_HTTP_KIRO_LEASE_SLACK   2000     /* ms, for files beside the fetch */
#define NGX_HTTP_KIRO_LOCKED_RETRY  200      /* ms, another instance refreshes */
#define NGX_HTTP_KIRO_LOCKED_GAP    10000    /* ms, that was another time */
#define NGX_HTTP_KIRO_SOURCE_RETRY  5000     /* ms, "refresh off" */
#define NGX_HTTP_KIRO_SOURCE_WAIT   1000     /* ms, the same without a token */
#define NGX_HTTP_KIRO_DEAD_RETRY    15000    /* ms, look at the source again */
#define NGX_HTTP_KIRO_STALE_RETRY   400      /* ms, the same before that */
#define NGX_HTTP_KIRO_STALE_READS   5
#define NGX_HTTP_KIRO_SAVE_RETRY    5000     /* ms, state_path is not writable */
#define NGX_HTTP_KIRO_BACKOFF_MAX   60000    /* ms */
#define NGX_HTTP_KIRO_BACKOFF_DOWN  15000    /* ms, while no token is valid */
#define NGX_HTTP_KIRO_USABLE        60000    /* ms, worth taking from the source */


/* what is to be done for an account, the most urgent first */

typedef enum {
    NGX_HTTP_KIRO_DUTY_NONE = 0,
    NGX_HTTP_KIRO_DUTY_FINISH,       /* a dead worker left a refreshed login */
    NGX_HTTP_KIRO_DUTY_REFRESH,
    NGX_HTTP_KIRO_DUTY_SAVE          /* the login in use is in memory only */
} ngx_http_kiro_duty_e;


struct ngx_http_kiro_refresh_s {
    ngx_http_kiro_account_t   *account;
    ngx_pool_t                *pool;
    ngx_log_t                 *log;
    ngx_event_t                guard;        /* keeps an exiting worker alive */
    ngx_http_kiro_fetch_t     *fetch;
    ngx_str_t                  request;      /* what it sends */
    ngx_uint_t                 generation;   /* of the lease */
    ngx_uint_t                 duty;         /* ngx_http_kiro_duty_e */
    ngx_atomic_uint_t          version;      /* of the slot at the start */

    kiro_credential           *cred;         /* what is refreshed, or saved */
    kiro_credential           *used;         /* as it was before, for write_back */
    int                        lock;
    ngx_uint_t                 rereads;      /* of the source, after a refusal */
    ngx_event_t                again;        /* for the next one */
    u_char                     stale[16];    /* MD5 of a refused token */

    /* filled by the thread */
    kiro_credential           *read;
    kiro_status                lock_status;
    ngx_http_kiro_remark_t     remark;
    kiro_status                save_status;
    kiro_failure               failure;
    kiro_credential           *found;        /* by write_back */
    kiro_status                back_status;
    kiro_failure               back_failure;

    ngx_http_kiro_task_pt      run;
    ngx_http_kiro_task_pt      done;
    volatile ngx_uint_t        ran;          /* the thread has done its part */

    unsigned                   in_task:1;
    unsigned                   leaving:1;    /* the worker ends */
    unsigned                   busy:1;       /* the source was locked */
    unsigned                   refreshed:1;  /* by this job */
};


/* ngx_http_kiro_refresh_lease.c */
ngx_int_t ngx_http_kiro_refresh_lease(ngx_http_kiro_account_t *account,
    ngx_http_kiro_refresh_t *job);
void ngx_http_kiro_refresh_extend(ngx_http_kiro_refresh_t *job);
void ngx_http_kiro_refresh_release(ngx_http_kiro_refresh_t *job,
    ngx_msec_t next);
void ngx_http_kiro_refresh_keep(ngx_http_kiro_refresh_t *job);

/* ngx_http_kiro_refresh.c */
void ngx_http_kiro_refresh_fetch(ngx_http_kiro_refresh_t *job);
void ngx_http_kiro_refresh_failed(ngx_http_kiro_refresh_t *job,
    const char *why);
void ngx_http_kiro_refresh_dead(ngx_http_kiro_refresh_t *job, const char *why);
void ngx_http_kiro_refresh_end(ngx_http_kiro_refresh_t *job, ngx_msec_t next);
void ngx_http_kiro_refresh_digest(kiro_credential *cred, u_char *md5);
void ngx_http_kiro_refresh_task(ngx_http_kiro_refresh_t *job,
    ngx_http_kiro_task_pt run, ngx_http_kiro_task_pt done);

/* ngx_http_kiro_refresh_read.c */
void ngx_http_kiro_refresh_read(ngx_http_kiro_refresh_t *job);
void ngx_http_kiro_refresh_reread(ngx_http_kiro_refresh_t *job);

/* ngx_http_kiro_refresh_save.c */
void ngx_http_kiro_refresh_save(ngx_http_kiro_refresh_t *job);

/* ngx_http_kiro_write_back.c */
void ngx_http_kiro_write_back_run(ngx_http_kiro_refresh_t *job);
ngx_uint_t ngx_http_kiro_write_back_done(ngx_http_kiro_refresh_t *job);
void ngx_http_kiro_write_back_lease(ngx_http_kiro_refresh_t *job);


#endif /* _NGX_HTTP_KIRO_REFRESH_H_INCLUDED_ */
