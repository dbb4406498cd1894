
/*
 * Accounts: their configuration, their source and their hosts.
 */


#ifndef _NGX_HTTP_KIRO_ACCOUNT_H_INCLUDED_
#define _NGX_HTTP_KIRO_ACCOUNT_H_INCLUDED_


#include "ngx_http_kiro.h"


/* what reading a source has shown, for the log */

typedef struct {
    uint32_t                         crc;         /* of all the rest */
    u_char                           login[320];  /* empty: it was not read */
    u_char                           warning[512];
} ngx_http_kiro_remark_t;


/* the hosts of an API region */

struct ngx_http_kiro_region_s {
    ngx_str_t                        name;
    ngx_str_t                        service_host; /* runtime.{region}... */
    ngx_http_upstream_srv_conf_t    *upstream;    /* NULL: has no address */
    ngx_http_complex_value_t         ssl_name;
    ngx_http_kiro_endpoint_t         runtime;
    ngx_http_kiro_endpoint_t         management;
    unsigned                         grouped:1;   /* "upstream" is a block */
    unsigned                         spare:1;     /* may be without address */
    unsigned                         has_management:1;
    unsigned                         legacy:1;    /* amazonaws.com */
};


struct ngx_http_kiro_account_s {
    ngx_str_t                        name;        /* terminated */

    kiro_source                      source;
    uint32_t                         remark;      /* what the master told */
    ngx_str_t                        credentials_db_key;
    ngx_path_t                      *state_path;

    ngx_str_t                        region;
    ngx_str_t                        auth_region;
    ngx_str_t                        profile_arn;
    ngx_str_t                        endpoint;
    ngx_str_t                        auth_endpoint;
    ngx_str_t                        management_endpoint;
    ngx_str_t                        ssl_name;
    ngx_str_t                        ssl_trusted_certificate;
    ngx_uint_t                       wire;        /* kiro_wire */
    ngx_msec_t                       refresh_before;
    ngx_msec_t                       refresh_timeout;
    ngx_msec_t                       token_timeout;
    ngx_msec_t                       models_interval;  /* 0: off */
    ngx_msec_t                       usage_interval;   /* 0: off */
    ngx_msec_t                       cool_down;   /* 0: off */
    ngx_msec_t                       quota_retry; /* 0: off */
    ngx_msec_t                       suspended_retry;  /* 0: off */
    ngx_uint_t                       concurrency; /* 0: no limit */
    ngx_uint_t                       queue_size;
    ngx_msec_t                       queue_timeout;
    ngx_flag_t                       refresh;
    ngx_flag_t                       allow_exposed_files;
    ngx_flag_t                       write_back;
    ngx_flag_t                       ssl_verify;

    kiro_credential                 *credential;  /* as read by the master */

    ngx_ssl_t                       *ssl;
    ngx_resolver_t                  *resolver;    /* NULL: addresses of the start */
    ngx_msec_t                       resolver_timeout;
    ngx_int_t                        keepalive;   /* idle connections */
    ngx_msec_t                       keepalive_timeout;
    ngx_http_kiro_endpoint_t        *proxy;
    ngx_str_t                        proxy_authorization;
    ngx_http_kiro_region_t          *regions;     /* one, or the profile ARN's */
    ngx_uint_t                       nregions;
    ngx_http_kiro_endpoint_t         auth;
    unsigned                         has_auth:1;
    unsigned                         callers:1;   /* used with their keys */
    unsigned                         has_management:1;   /* of any region */

    ngx_http_kiro_zone_t            *zone;
    ngx_http_kiro_slot_t            *slot;

    /* of this worker */
    ngx_queue_t                      waiters;
    ngx_queue_t                      queued;      /* for kiro_concurrency */
    ngx_msec_t                       swept;
    ngx_http_kiro_refresh_t         *running;
    ngx_http_kiro_models_t          *fetching;
    ngx_http_kiro_limits_t          *limits;
    ngx_http_kiro_lookup_t          *lookup;
    ngx_str_t                        catalogue;   /* copy of the zone's */
    ngx_atomic_uint_t                catalogue_version;

    u_char                          *file;        /* where it was defined */
    ngx_uint_t                       line;
};


/* ngx_http_kiro_account.c */
char *ngx_http_kiro_account_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_http_kiro_account_t *ngx_http_kiro_account_find(
    ngx_http_kiro_main_conf_t *kmcf, ngx_str_t *name);

/* ngx_http_kiro_source.c */
void ngx_http_kiro_source_view(ngx_http_kiro_account_t *account,
    kiro_credential_view *view);
ngx_int_t ngx_http_kiro_source_init(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
void ngx_http_kiro_source_init_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_source_remark(ngx_http_kiro_remark_t *remark,
    kiro_credential *source, kiro_failure *f);
void ngx_http_kiro_source_tell(ngx_http_kiro_account_t *account,
    ngx_http_kiro_remark_t *remark, ngx_log_t *log);

/* ngx_http_kiro_write_back.c */
ngx_int_t ngx_http_kiro_write_back_check(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
void ngx_http_kiro_write_back_init_worker(ngx_cycle_t *cycle);

/* ngx_http_kiro_endpoint.c */
ngx_int_t ngx_http_kiro_endpoint_init(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
ngx_int_t ngx_http_kiro_endpoint_settle(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
ngx_http_kiro_region_t *ngx_http_kiro_region(ngx_http_kiro_account_t *account,
    ngx_str_t *arn, kiro_failure *f);

/* ngx_http_kiro_host.c */
ngx_int_t ngx_http_kiro_host_parse(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account, ngx_str_t *value, char *name,
    ngx_http_kiro_endpoint_t *ep);
ngx_int_t ngx_http_kiro_host_resolve(ngx_conf_t *cf, ngx_uint_t level,
    char *name, ngx_http_kiro_endpoint_t *ep);
char *ngx_http_kiro_host_proxy(ngx_conf_t *cf, ngx_http_kiro_account_t *account,
    ngx_str_t *args);
ngx_http_upstream_srv_conf_t *ngx_http_kiro_host_block(ngx_conf_t *cf,
    ngx_http_kiro_endpoint_t *ep);
ngx_http_upstream_srv_conf_t *ngx_http_kiro_host_upstream(ngx_conf_t *cf,
    ngx_http_kiro_endpoint_t *ep);


#endif /* _NGX_HTTP_KIRO_ACCOUNT_H_INCLUDED_ */
