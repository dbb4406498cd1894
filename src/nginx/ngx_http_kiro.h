
/*
 * Structures shared by the files of the module.
 */


#ifndef _NGX_HTTP_KIRO_H_INCLUDED_
#define _NGX_HTTP_KIRO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <kiro/credential.h>
#include <kiro/http.h>
#include <kiro/kiro.h>
#include <kiro/models.h>
#include <kiro/profiles.h>
#include <kiro/reply.h>
#include <kiro/request.h>
#include <kiro/store.h>

#include "ngx_http_kiro_compat.h"
#include "ngx_http_kiro_connect.h"


#define NGX_HTTP_KIRO_VERSION        "0.1.0"
#define NGX_HTTP_KIRO_USER_AGENT     "ngx_kiro/" NGX_HTTP_KIRO_VERSION

/* limits of what a slot of the zone holds */
#define NGX_HTTP_KIRO_NAME_MAX       64
#define NGX_HTTP_KIRO_FINGERPRINT_MAX  64
#define NGX_HTTP_KIRO_MARGIN         5000     /* ms, a token is not sent any more */
#define NGX_HTTP_KIRO_TOKEN_MAX      8192
#define NGX_HTTP_KIRO_ARN_MAX        320
#define NGX_HTTP_KIRO_RECORD_MAX     24576

/* an error body of the upstream beyond this is not looked at */
#define NGX_HTTP_KIRO_ERROR_BODY     65536

/* for the end of a body behind the last event of its answer */
#define NGX_HTTP_KIRO_END_TIMEOUT    1000

/* of 429, whatever kiro_retries says */
#define NGX_HTTP_KIRO_RATE_RETRIES   2

#define NGX_HTTP_KIRO_ID_LEN         24


typedef struct ngx_http_kiro_refresh_s  ngx_http_kiro_refresh_t;
typedef struct ngx_http_kiro_fetch_s    ngx_http_kiro_fetch_t;
typedef struct ngx_http_kiro_models_s   ngx_http_kiro_models_t;
typedef struct ngx_http_kiro_lookup_s   ngx_http_kiro_lookup_t;
typedef struct ngx_http_kiro_ctx_s      ngx_http_kiro_ctx_t;
typedef struct ngx_http_kiro_budget_s   ngx_http_kiro_budget_t;


/* shared memory */

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


/* the model list of an account, as kiro/models.h has it */

typedef struct {
    ngx_atomic_t                     version;     /* bumped by a change */
    u_char                          *data;        /* in the slab */
    size_t                           len;         /* 0: there is none */

    ngx_msec_t                       lease_deadline;
    ngx_uint_t                       lease_generation;
    ngx_uint_t                       leased;      /* unsigned  leased:1; */

    ngx_msec_t                       due;         /* for the next fetch */
    ngx_uint_t                       fails;
    ngx_atomic_uint_t                refused;     /* this token's version */
    ngx_atomic_uint_t                doubted;     /* version + 1 of this list */
} ngx_http_kiro_list_t;


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

    ngx_msec_t                       lease_deadline;
    ngx_uint_t                       lease_generation;
    ngx_pid_t                        lease_pid;
    ngx_uint_t                       leased;      /* unsigned  leased:1; */

    ngx_msec_t                       due;         /* for the next lookup */
    ngx_uint_t                       fails;
    ngx_atomic_uint_t                refused;     /* this token's version */

    ngx_uint_t                       doubted;     /* unsigned  doubted:1; */
    ngx_uint_t                       lookups;     /* that have ended */
    ngx_msec_t                       looked;      /* when the last one did */
} ngx_http_kiro_profile_t;


/* what reading a source has shown, for the log */

typedef struct {
    uint32_t                         crc;         /* of all the rest */
    u_char                           login[320];  /* empty: it was not read */
    u_char                           warning[512];
} ngx_http_kiro_remark_t;


/*
 * What the service's refusals say about an account; requests that were let
 * through before the last change know an older generation
 */

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
    kiro_failure                     failure;     /* the last one */
} ngx_http_kiro_hold_t;


/* a call of the service that runs, or a request that waits for one */

typedef enum {
    NGX_HTTP_KIRO_TICKET_FREE = 0,
    NGX_HTTP_KIRO_TICKET_WAITING,
    NGX_HTTP_KIRO_TICKET_RUNNING
} ngx_http_kiro_ticket_state_e;


typedef struct {
    ngx_uint_t                       state;       /* written last */
    ngx_uint_t                       client;      /* a hash */
    uint64_t                         serial;      /* of the request */
    uint64_t                         granted;     /* number of the grant or 0 */
    ngx_msec_t                       since;       /* runs */
    ngx_pid_t                        pid;
    ngx_int_t                        process;     /* ngx_process_slot */
} ngx_http_kiro_ticket_t;


typedef struct {
    ngx_http_kiro_ticket_t          *tickets;     /* in the slab */
    ngx_uint_t                       ntickets;
    uint64_t                         serial;
    uint64_t                         granted;
    ngx_msec_t                       held;        /* a place, on average */
} ngx_http_kiro_calls_t;


/*
 * One account in the zone.  Everything is changed under the slab mutex, the
 * only lock that nginx releases for a worker that died; the version and the
 * "bad" mark are also read without it.
 */

typedef struct {
    ngx_queue_t                      queue;
    u_char                           name[NGX_HTTP_KIRO_NAME_MAX + 1];
    u_char                           fingerprint[NGX_HTTP_KIRO_FINGERPRINT_MAX + 1];

    ngx_atomic_t                     version;     /* bumped by a publish */
    ngx_atomic_t                     bad;         /* refused up to this one */
    ngx_atomic_t                     good;        /* was taken, of this version */

    ngx_uint_t                       active;
    ngx_http_kiro_token_data_t       data[2];

    ngx_msec_t                       lease_deadline;
    ngx_uint_t                       lease_generation;
    ngx_pid_t                        lease_pid;
    ngx_uint_t                       leased;      /* unsigned  leased:1; */

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
    ngx_http_kiro_profile_t          profile;
    ngx_http_kiro_calls_t            calls;

    ngx_atomic_t                     refreshes;
    ngx_atomic_t                     refresh_failures;
} ngx_http_kiro_slot_t;


/* a conversation whose last answer lost a tool call */

typedef struct {
    uint64_t                         serial;      /* 0: free; grows with time */
    ngx_msec_t                       time;
    u_char                           key[16];
    size_t                           len;
    u_char                           tools[KIRO_LOST_CALLS];
} ngx_http_kiro_loss_t;


/* counters; each is the sum over all workers since the zone was made */

#define NGX_HTTP_KIRO_STATUSES       26
#define NGX_HTTP_KIRO_BOUNDS         16
#define NGX_HTTP_KIRO_CAUSES         (KIRO_FAIL_MAX + 4)

/* processes with open requests: also those of former configurations */
#define NGX_HTTP_KIRO_OPEN           256


typedef struct {
    ngx_atomic_t                     counts[NGX_HTTP_KIRO_BOUNDS + 1];
    ngx_atomic_t                     sum;         /* ms */
} ngx_http_kiro_histogram_t;


/* requests of one account, dialect and model */

typedef struct {
    uint32_t                         hash;
    ngx_uint_t                       api;         /* of ngx_http_kiro_api_names */
    u_char                           account[NGX_HTTP_KIRO_NAME_MAX + 1];
    u_char                           model[NGX_HTTP_KIRO_NAME_MAX + 1];

    ngx_atomic_t                     requests[NGX_HTTP_KIRO_STATUSES];
    ngx_atomic_t                     input_tokens;
    ngx_atomic_t                     output_tokens;
    ngx_atomic_t                     reasoning_tokens;
    ngx_atomic_t                     cache_read_tokens;
    ngx_atomic_t                     cache_write_tokens;
    ngx_atomic_t                     credits;     /* millionths */
    ngx_http_kiro_histogram_t        first_token;
    ngx_http_kiro_histogram_t        duration;
} ngx_http_kiro_series_t;


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
    ngx_atomic_t                     retries[NGX_HTTP_KIRO_CAUSES];
} ngx_http_kiro_stats_t;


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


typedef struct {
    ngx_http_kiro_shm_t             *sh;
    ngx_slab_pool_t                 *shpool;
    ngx_array_t                     *accounts;    /* of the main conf */
} ngx_http_kiro_zone_t;


/* configuration */

/* the hosts of an API region */

typedef struct {
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
} ngx_http_kiro_region_t;


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
    ngx_http_kiro_lookup_t          *lookup;
    ngx_str_t                        catalogue;   /* copy of the zone's */
    ngx_atomic_uint_t                catalogue_version;

    u_char                          *file;        /* where it was defined */
    ngx_uint_t                       line;
};


typedef struct {
    ngx_array_t                      accounts;    /* ngx_http_kiro_account_t * */
    ngx_http_kiro_zone_t            *zone;
#if (NGX_THREADS)
    ngx_thread_pool_t               *thread_pool;
#endif
    ngx_array_t                     *fallbacks;   /* to be checked */
    ngx_uint_t                       enabled;     /* unsigned  enabled:1; */
    ngx_uint_t                       metrics;     /* unsigned  metrics:1; */
} ngx_http_kiro_main_conf_t;


/* a client key: only its hash is kept */

typedef struct {
    ngx_str_t                        name;
    u_char                           digest[32];
} ngx_http_kiro_key_t;


typedef struct {
    ngx_str_t                        name;
    ngx_http_complex_value_t         value;
} ngx_http_kiro_set_header_t;


/* kiro_auth: whose credential it is */

#define NGX_HTTP_KIRO_AUTH_ACCOUNT      0
#define NGX_HTTP_KIRO_AUTH_PASSTHROUGH  1
#define NGX_HTTP_KIRO_AUTH_VARIABLE     2


/*
 * An account as one location uses it.  The address of an upstream conf must stay
 * the same for all requests: keepalive connections are told apart by it.
 */

typedef struct {
    ngx_http_kiro_account_t         *account;
    ngx_http_upstream_conf_t        *upstreams;   /* one a region */
} ngx_http_kiro_peer_t;


typedef struct {
    ngx_http_complex_value_t        *pass;
    ngx_array_t                     *peers;       /* ngx_http_kiro_peer_t */
    ngx_str_t                        location;    /* prefix of the routes */
    ngx_str_t                        fallback;    /* "@name" */
    ngx_uint_t                       fallback_causes;
    ngx_array_t                     *places;      /* of a server: ngx_str_t */

    ngx_array_t                     *keys;        /* ngx_http_kiro_key_t */
    ngx_uint_t                       auth;
    ngx_http_complex_value_t        *auth_key;    /* of a variable */
    ngx_array_t                     *origins;     /* ngx_str_t */
    ngx_array_t                     *budgets;     /* limits */
    ngx_array_t                     *aliases;     /* kiro_model_alias */
    ngx_array_t                     *headers;     /* ngx_http_kiro_set_header_t */
    ngx_str_t                        default_model;
    ngx_uint_t                       unknown_model;    /* 1: refuse */

    ngx_uint_t                       retries;
    ngx_msec_t                       retry_delay;
    ngx_msec_t                       retry_delay_max;
    ngx_msec_t                       connect_timeout;
    ngx_msec_t                       send_timeout;
    ngx_msec_t                       read_timeout;
    ngx_msec_t                       first_token_timeout;
    ngx_msec_t                       ping_interval;
    ngx_msec_t                       early_headers;    /* 0: off */
    size_t                           buffer_size;
    size_t                           max_response_size;

    ngx_flag_t                       truncation_notice;
    ngx_uint_t                       thinking;    /* kiro_thinking */
    ngx_uint_t                       tool_stream; /* kiro_tool_stream */
    ngx_flag_t                       rescue_tool_calls;
    ngx_uint_t                       filter;      /* kiro_api + 1, 0: off */
} ngx_http_kiro_loc_conf_t;


/* requests */

/* a copy of the zone's token: valid for the request's life */

typedef struct {
    ngx_str_t                        token;
    ngx_str_t                        arn;
    ngx_atomic_uint_t                version;
    ngx_uint_t                       login;
    ngx_uint_t                       lookups;     /* before the ARN */
    unsigned                         builder_id:1;
    unsigned                         doubted:1;   /* another ARN is waited for */
} ngx_http_kiro_token_t;


typedef struct {
    ngx_str_t                        path;
    ngx_uint_t                       methods;
    kiro_api                         api;
    ngx_http_handler_pt              handler;     /* NULL: not built */
    unsigned                         prefix:1;
} ngx_http_kiro_route_t;


typedef enum {
    NGX_HTTP_KIRO_TOKEN = 0,         /* needs a token */
    NGX_HTTP_KIRO_WAIT_TOKEN,
    NGX_HTTP_KIRO_WAIT_PLACE,        /* kiro_concurrency */
    NGX_HTTP_KIRO_BACKOFF,
    NGX_HTTP_KIRO_CONNECT,           /* no idle connection */
    NGX_HTTP_KIRO_ATTEMPT,           /* a subrequest runs, nothing was sent */
    NGX_HTTP_KIRO_STREAM,            /* a subrequest runs, headers were sent */
    NGX_HTTP_KIRO_DONE
} ngx_http_kiro_state_e;


/* how an attempt ended */

typedef enum {
    NGX_HTTP_KIRO_PENDING = 0,
    NGX_HTTP_KIRO_COMPLETE,          /* the reply holds a whole answer */
    NGX_HTTP_KIRO_FAILED             /* ctx->failure says why */
} ngx_http_kiro_outcome_e;


/* what belongs to one attempt */

typedef struct {
    ngx_http_request_t              *request;     /* the subrequest */
    ngx_http_status_t                status;
    ngx_http_chunked_t               chunked_ctx;
    off_t                            length;      /* left of the body, -1: none */
    ngx_str_t                        error_type;
    ngx_str_t                        retry_after;
    ngx_str_t                        content_type;
    ngx_str_t                        encoding;
    ngx_buf_t                       *error_body;  /* of what is no stream */

    unsigned                         headers:1;   /* parsed */
    unsigned                         chunked:1;
    unsigned                         close:1;     /* connection is not kept */
    unsigned                         eof:1;       /* the body is whole */
    unsigned                         seen:1;      /* its first byte */
    unsigned                         gate_timedout:1;
} ngx_http_kiro_attempt_t;


struct ngx_http_kiro_ctx_s {
    ngx_http_request_t              *request;     /* the main request */
    ngx_http_kiro_loc_conf_t        *conf;
    ngx_http_kiro_ctx_t             *before;      /* kiro_fallback */
    ngx_http_kiro_peer_t            *peer;
    ngx_http_kiro_region_t          *region;      /* of this attempt */
    kiro_api                         api;
    kiro_call                        call;        /* of this attempt */

    kiro_request                    *kreq;
    kiro_reply                      *reply;
    kiro_reply                      *first_reply; /* while it is repaired */
    kiro_failure                     failure;

    ngx_uint_t                       state;
    ngx_uint_t                       outcome;
    ngx_http_kiro_attempt_t          attempt;
    ngx_http_kiro_connect_t         *connect;
    ngx_http_kiro_conn_t            *conn;        /* of the next attempt */
    ngx_http_kiro_token_t            token;
    ngx_str_t                        body;        /* Kiro JSON */

    /* drives the main request: posted, or a timer */
    ngx_event_t                      step;
    ngx_event_t                      gate;        /* first token */
    ngx_event_t                      ping;
    ngx_msec_t                       token_deadline;
    ngx_queue_t                      waiter;
    ngx_atomic_uint_t                hold;        /* generation, of the attempt */

    /* kiro_concurrency */
    ngx_queue_t                      place;
    uint64_t                         ticket_serial;    /* 0: had none yet */
    ngx_uint_t                       ticket;
    ngx_msec_t                       queue_since;
    ngx_msec_t                       queue_time;

    ngx_http_request_t             **count;       /* where a thread's work knows us */

    /* body filter */
    ngx_chain_t                     *in;
    ngx_chain_t                     *out;
    ngx_buf_t                       *out_buf;
    ngx_msec_t                       last_out;

    ngx_str_t                        rest;        /* of the path, behind the route */

    /* for variables */
    ngx_str_t                        client;
    ngx_str_t                        fingerprint; /* of the caller's own key */
    ngx_str_t                        account;
    ngx_str_t                        model;
    ngx_str_t                        conversation;
    ngx_str_t                        lost;        /* calls of this answer */
    ngx_str_t                        notice;      /* calls told to the model */
    uint64_t                         notice_serial;
    ngx_http_kiro_budget_t          *budget;      /* NULL: there is none */
    ngx_msec_t                       first_token;
    ngx_uint_t                       attempts;
    ngx_uint_t                       retries;
    double                           credits;     /* of dropped replies */
    const char                      *retry_reason;
    u_char                           id[NGX_HTTP_KIRO_ID_LEN];

    unsigned                         has_id:1;
    unsigned                         stream:1;
    unsigned                         refreshed:1;
    unsigned                         once:1;      /* KIRO_RETRY_ONCE was made */
    unsigned                         profiled:1;  /* KIRO_RETRY_PROFILE, too */
    unsigned                         stale:1;     /* no idle connection again */
    unsigned                         waiting:1;   /* for the account's token */
    unsigned                         caller:1;    /* brought its own key */
    unsigned                         probe:1;     /* the account's only request */
    unsigned                         held:1;      /* failure is the account's */
    unsigned                         ticketed:1;  /* has a ticket, */
    unsigned                         in_queue:1;  /* waits with it, */
    unsigned                         placed:1;    /* or may call */
    unsigned                         queued:1;    /* has ever waited */
    unsigned                         first_seen:1;
    unsigned                         answered:1;  /* by the service */
    unsigned                         early:1;     /* headers before an answer */
    unsigned                         left:1;      /* the client, before the end */
    unsigned                         fell:1;      /* another location's now */
    unsigned                         count_only:1;
    unsigned                         settled:1;   /* lost calls are noted */
    unsigned                         filter:1;    /* kiro_filter */
    unsigned                         own:1;       /* an answer of our own */
    unsigned                         replace:1;   /* a special response */
    unsigned                         in_eof:1;
    unsigned                         in_whole:1;  /* kiro_filter: all came */
    unsigned                         in_cut:1;    /* ... or its upstream broke */
    unsigned                         in_last:1;   /* last_buf of kiro_filter */
    unsigned                         busy:1;
    unsigned                         known_model:1;
    unsigned                         opened:1;    /* counted as open */
    unsigned                         streaming:1; /* ... and as a stream */
};


extern ngx_module_t  ngx_http_kiro_module;


/* ngx_http_kiro_directive.c */
char *ngx_http_kiro_retry_delay(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kiro_one_of(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kiro_time_or_off(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kiro_model_alias(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kiro_set_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ngx_http_kiro_route.c */
ngx_int_t ngx_http_kiro_handler(ngx_http_request_t *r);
ngx_uint_t ngx_http_kiro_probe(ngx_http_request_t *r);
kiro_api ngx_http_kiro_dialect(ngx_http_request_t *r);
ngx_table_elt_t *ngx_http_kiro_find_header(ngx_http_request_t *r, char *name);

/* ngx_http_kiro_handler.c */
ngx_int_t ngx_http_kiro_chat(ngx_http_request_t *r);
ngx_int_t ngx_http_kiro_count(ngx_http_request_t *r);
ngx_http_kiro_peer_t *ngx_http_kiro_find_peer(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
ngx_http_kiro_ctx_t *ngx_http_kiro_create_ctx(ngx_http_request_t *r);
void ngx_http_kiro_ctx_cleanup(void *data);

/* ngx_http_kiro_access.c */
ngx_int_t ngx_http_kiro_access_handler(ngx_http_request_t *r);
char *ngx_http_kiro_client_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kiro_client_keys(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_kiro_presented_keys(ngx_http_request_t *r, ngx_str_t *keys);

/* ngx_http_kiro_caller.c */
char *ngx_http_kiro_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_auth_check(ngx_conf_t *cf,
    ngx_http_kiro_loc_conf_t *conf);
ngx_int_t ngx_http_kiro_auth_settle(ngx_conf_t *cf,
    ngx_http_kiro_main_conf_t *kmcf);
ngx_int_t ngx_http_kiro_caller(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_caller_refused(ngx_http_kiro_ctx_t *ctx);

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

/* ngx_http_kiro_dial.c */
void ngx_http_kiro_dial(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_dialled(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_hang_up(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_peer_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);

/* ngx_http_kiro_exchange.c */
void ngx_http_kiro_exchange_start(ngx_http_request_t *r);
void ngx_http_kiro_exchange_wake(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_exchange_leave(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_exchange_launch(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_park(ngx_http_request_t *r);
void ngx_http_kiro_first_token(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_commit(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_retry.c */
void ngx_http_kiro_exchange_retry(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_finish.c */
void ngx_http_kiro_exchange_fail(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_exchange_complete(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_exchange_finish(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_fallback.c */
char *ngx_http_kiro_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_fallback_check(ngx_conf_t *cf,
    ngx_http_kiro_main_conf_t *kmcf);
ngx_uint_t ngx_http_kiro_fall_back(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
ngx_http_kiro_ctx_t *ngx_http_kiro_fallen(ngx_http_request_t *r);
ngx_http_kiro_ctx_t *ngx_http_kiro_asked(ngx_http_kiro_ctx_t *ctx);
ngx_http_kiro_ctx_t *ngx_http_kiro_fallback_place(ngx_http_request_t *r);
ngx_int_t ngx_http_kiro_fallback_why(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, ngx_str_t *value);

/* ngx_http_kiro_ping.c */
void ngx_http_kiro_ping_init(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_ping_start(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_ping_stop(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_stream_header(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_session.c */
ngx_int_t ngx_http_kiro_session(ngx_http_request_t *r, kiro_str *session);
ngx_int_t ngx_http_kiro_login_id(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_str *id);

/* ngx_http_kiro_notice.c */
ngx_int_t ngx_http_kiro_notice_init(ngx_http_kiro_zone_t *zone, size_t size);
void ngx_http_kiro_notice_give(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_notice_written(ngx_http_kiro_ctx_t *ctx,
    kiro_request_info *info);
void ngx_http_kiro_notice_retry(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_notice_settle(ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_count.c */
void ngx_http_kiro_count_tokens(ngx_http_request_t *r);
void ngx_http_kiro_count_prompt(ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_upstream.c */
ngx_int_t ngx_http_kiro_attempt_start(ngx_http_request_t *sr,
    ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_upstream_conf(ngx_conf_t *cf,
    ngx_http_kiro_loc_conf_t *klcf, ngx_http_kiro_peer_t *peer);

/* ngx_http_kiro_gate.c */
ngx_int_t ngx_http_kiro_gate(ngx_http_request_t *sr);
ngx_int_t ngx_http_kiro_no_stream(ngx_http_request_t *sr,
    ngx_http_kiro_attempt_t *at);
ngx_int_t ngx_http_kiro_input_filter_init(void *data);
ngx_int_t ngx_http_kiro_input_filter(void *data, ssize_t bytes);

/* ngx_http_kiro_inflate.c */
ngx_int_t ngx_http_kiro_inflate(ngx_pool_t *pool, ngx_str_t *text);

/* ngx_http_kiro_outcome.c */
void ngx_http_kiro_attempt_end(ngx_http_request_t *sr, ngx_int_t rc);
void ngx_http_kiro_attempt_classify(ngx_http_kiro_ctx_t *ctx, ngx_int_t rc);

/* ngx_http_kiro_filter.c */
ngx_int_t ngx_http_kiro_filter_init(ngx_conf_t *cf);
ngx_int_t ngx_http_kiro_filter_drain(ngx_http_request_t *r);
ngx_int_t ngx_http_kiro_filter_comment(ngx_http_request_t *r);
void ngx_http_kiro_sse_type(ngx_http_request_t *r);

/* ngx_http_kiro_reply.c */
ngx_int_t ngx_http_kiro_create_reply(ngx_http_kiro_ctx_t *ctx, kiro_str model);
void ngx_http_kiro_drop_reply(ngx_http_kiro_ctx_t *ctx);
double ngx_http_kiro_credits(ngx_http_kiro_ctx_t *ctx);
double ngx_http_kiro_total_credits(ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_special.c */
ngx_int_t ngx_http_kiro_special_add(ngx_conf_t *cf, ngx_str_t *location);
ngx_uint_t ngx_http_kiro_special(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf);
ngx_int_t ngx_http_kiro_special_header(ngx_http_request_t *r);
ngx_chain_t *ngx_http_kiro_special_body(ngx_http_kiro_ctx_t *ctx,
    ngx_chain_t *in);

/* ngx_http_kiro_error.c */
ngx_int_t ngx_http_kiro_send_failure(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_failure *f);
ngx_int_t ngx_http_kiro_failure_json(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_failure *f, ngx_str_t *body);
ngx_int_t ngx_http_kiro_send_json(ngx_http_request_t *r, ngx_uint_t status,
    u_char *data, size_t len);
ngx_int_t ngx_http_kiro_error_headers(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_failure *f);
ngx_int_t ngx_http_kiro_request_id(ngx_http_kiro_ctx_t *ctx,
    ngx_str_t *value);
ngx_int_t ngx_http_kiro_id_header(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_usage_headers(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_add_header(ngx_http_request_t *r, char *name,
    ngx_str_t *value);

/* ngx_http_kiro_zone.c */
char *ngx_http_kiro_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_zone_add(ngx_conf_t *cf,
    ngx_http_kiro_main_conf_t *kmcf, ngx_str_t *name, size_t size);

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

/* ngx_http_kiro_secret.c */
void *ngx_http_kiro_secret(ngx_pool_t *pool, size_t size);
void ngx_http_kiro_secret_exit_worker(void);
#if (NGX_SSL)
void ngx_http_kiro_secret_ssl(ngx_ssl_t *ssl);
#endif

/* ngx_http_kiro_state.c */
typedef struct {
    char                            *name;
    ngx_msec_t                       left;        /* 0: until it is tried */
    kiro_failure_kind                error;       /* the last one */
    ngx_uint_t                       probe;       /* the next request is one */
    ngx_uint_t                       usable;
} ngx_http_kiro_state_view_t;

ngx_int_t ngx_http_kiro_state_check(ngx_http_kiro_account_t *account,
    kiro_failure *f);
ngx_int_t ngx_http_kiro_state_enter(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_failed(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_refused(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_good(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_leave(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_state_reset(ngx_http_kiro_hold_t *hold);
void ngx_http_kiro_state_view(ngx_http_kiro_account_t *account,
    ngx_http_kiro_state_view_t *view);

/* ngx_http_kiro_refresh_lease.c */
ngx_uint_t ngx_http_kiro_worker_gone(ngx_pid_t pid);

/* ngx_http_kiro_queue.c */
char *ngx_http_kiro_concurrency(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_kiro_queue_init(ngx_http_kiro_account_t *account);
ngx_int_t ngx_http_kiro_queue_enter(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_queue_resume(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_queue_leave(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_queue_count(ngx_http_kiro_account_t *account,
    ngx_uint_t *running, ngx_uint_t *waiting);
void ngx_http_kiro_queue_init_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_queue_exit_worker(ngx_cycle_t *cycle);

/* ngx_http_kiro_refresh.c */
void ngx_http_kiro_refresh(ngx_http_kiro_account_t *account);
void ngx_http_kiro_refresh_leave(ngx_http_kiro_account_t *account,
    ngx_msec_t deadline);

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

/* ngx_http_kiro_models.c */
kiro_str ngx_http_kiro_models_get(ngx_http_kiro_account_t *account);
void ngx_http_kiro_models_doubt(ngx_http_kiro_account_t *account);
ngx_int_t ngx_http_kiro_models_refresh(ngx_http_kiro_account_t *account);
void ngx_http_kiro_models_abort(ngx_http_kiro_account_t *account);
ngx_int_t ngx_http_kiro_models(ngx_http_request_t *r);

/* ngx_http_kiro_fetch.c */
typedef void (*ngx_http_kiro_fetch_pt)(void *data, kiro_http *http,
    const char *error);

ngx_http_kiro_fetch_t *ngx_http_kiro_fetch(ngx_http_kiro_endpoint_t *ep,
    ngx_str_t *request, ngx_msec_t timeout, ngx_log_t *log,
    ngx_http_kiro_fetch_pt handler, void *data);
void ngx_http_kiro_fetch_cancelable(ngx_http_kiro_fetch_t *fetch);
void ngx_http_kiro_fetch_await(ngx_http_kiro_fetch_t *fetch,
    ngx_msec_t deadline);
void ngx_http_kiro_fetch_abort(ngx_http_kiro_fetch_t *fetch);

/* ngx_http_kiro_task.c */
typedef void (*ngx_http_kiro_task_pt)(void *data);

ngx_int_t ngx_http_kiro_task(ngx_pool_t *pool, ngx_http_kiro_task_pt run,
    ngx_http_kiro_task_pt done, void *data, ngx_log_t *log);

/* ngx_http_kiro_variables.c */
extern const ngx_str_t  ngx_http_kiro_api_names[];

ngx_int_t ngx_http_kiro_add_variables(ngx_conf_t *cf);
ngx_int_t ngx_http_kiro_usage(ngx_http_kiro_ctx_t *ctx, kiro_reply_info *info);

/* ngx_http_kiro_budget.c */
char *ngx_http_kiro_budget_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_kiro_budget(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_budget_enter(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_budget_leave(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_budget_headers(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_cors.c */
char *ngx_http_kiro_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_kiro_cors_preflight(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf);
ngx_int_t ngx_http_kiro_cors_headers(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf);

/* ngx_http_kiro_stats.c */
extern const ngx_uint_t  ngx_http_kiro_stats_statuses[NGX_HTTP_KIRO_STATUSES];
extern const ngx_msec_t  ngx_http_kiro_stats_first_token[NGX_HTTP_KIRO_BOUNDS];
extern const ngx_msec_t  ngx_http_kiro_stats_duration[NGX_HTTP_KIRO_BOUNDS];

ngx_int_t ngx_http_kiro_stats_init(ngx_http_kiro_zone_t *zone, size_t size);
void ngx_http_kiro_stats_init_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_stats_exit_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_stats_begin(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_stats_stream(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_stats_end(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_stats_retry(ngx_http_kiro_ctx_t *ctx, ngx_uint_t cause);
ngx_int_t ngx_http_kiro_stats_handler(ngx_http_request_t *r);

/* ngx_http_kiro_metrics.c */
char *ngx_http_kiro_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ngx_http_kiro_health.c */
char *ngx_http_kiro_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


static ngx_inline kiro_str
ngx_http_kiro_str(ngx_str_t *s)
{
    kiro_str  k;

    k.data = (const char *) s->data;
    k.len = s->len;

    return k;
}


#endif /* _NGX_HTTP_KIRO_H_INCLUDED_ */
