
/*
 * Structures shared by the files of the module.
 */


#ifndef _NGX_HTTP_KIRO_H_INCLUDED_
#define _NGX_HTTP_KIRO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <kiro/credential.h>
#include <kiro/explain.h>
#include <kiro/http.h>
#include <kiro/kiro.h>
#include <kiro/models.h>
#include <kiro/profiles.h>
#include <kiro/reply.h>
#include <kiro/request.h>
#include <kiro/store.h>
#include <kiro/usage_limits.h>

#include "ngx_http_kiro_compat.h"
#include "ngx_http_kiro_connect.h"


#define NGX_HTTP_KIRO_VERSION        "0.1.0"
#define NGX_HTTP_KIRO_USER_AGENT     "ngx_kiro/" NGX_HTTP_KIRO_VERSION

/* of what the zone holds */
#define NGX_HTTP_KIRO_NAME_MAX       64
#define NGX_HTTP_KIRO_FINGERPRINT_MAX  64
#define NGX_HTTP_KIRO_ARN_MAX        320

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
typedef struct ngx_http_kiro_limits_s   ngx_http_kiro_limits_t;
typedef struct ngx_http_kiro_lookup_s   ngx_http_kiro_lookup_t;
typedef struct ngx_http_kiro_ctx_s      ngx_http_kiro_ctx_t;
typedef struct ngx_http_kiro_budget_s   ngx_http_kiro_budget_t;
typedef struct ngx_http_kiro_capture_s  ngx_http_kiro_capture_t;
typedef struct ngx_http_kiro_health_s   ngx_http_kiro_health_t;
typedef struct ngx_http_kiro_region_s   ngx_http_kiro_region_t;
typedef struct ngx_http_kiro_slot_s     ngx_http_kiro_slot_t;
typedef struct ngx_http_kiro_zone_s     ngx_http_kiro_zone_t;


/* configuration */

typedef struct {
    ngx_array_t                      accounts;    /* ngx_http_kiro_account_t * */
    ngx_http_kiro_zone_t            *zone;
    ngx_thread_pool_t               *thread_pool;
    ngx_array_t                     *fallbacks;   /* to be checked */
    ngx_array_t                     *healths;     /* to be settled */
    ngx_uint_t                       enabled;     /* unsigned  enabled:1; */
    ngx_uint_t                       metrics;     /* unsigned  metrics:1; */
    ngx_uint_t                       capture;     /* unsigned  capture:1; */
} ngx_http_kiro_main_conf_t;


typedef struct {
    ngx_str_t                        name;
    ngx_http_complex_value_t         value;
} ngx_http_kiro_set_header_t;


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
    ngx_http_kiro_health_t          *health;      /* kiro_health */
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

    ngx_uint_t                       capture;     /* kiro_capture */
    void                            *capture_path;

    ngx_flag_t                       truncation_notice;
    ngx_uint_t                       thinking;    /* kiro_thinking */
    ngx_uint_t                       tool_stream; /* kiro_tool_stream */
    ngx_flag_t                       rescue_tool_calls;
    ngx_flag_t                       explain;
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
    ngx_msec_t                       token_since; /* waits for one */
    ngx_msec_t                       token_time;
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
    ngx_http_kiro_capture_t         *capture;     /* NULL: off */
    ngx_http_kiro_limits_t          *limits;      /* fetched for this caller */
    ngx_msec_t                       first_token;
    ngx_uint_t                       attempts;
    ngx_uint_t                       retries;     /* with a delay */
    ngx_uint_t                       repeats;     /* attempts made again */
    ngx_uint_t                       retry_cause; /* of the next attempt */
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
    unsigned                         waited:1;    /* has ever */
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

/* ngx_http_kiro_wait.c */
typedef ngx_int_t (*ngx_http_kiro_wait_pt)(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

ngx_int_t ngx_http_kiro_wait(ngx_http_request_t *r, ngx_msec_t time,
    ngx_http_kiro_wait_pt check, ngx_http_kiro_wait_pt answer);

/* ngx_http_kiro_session.c */
ngx_int_t ngx_http_kiro_session(ngx_http_request_t *r, kiro_str *session);
ngx_int_t ngx_http_kiro_login_id(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_str *id);

/* ngx_http_kiro_filter.c */
ngx_int_t ngx_http_kiro_filter_init(ngx_conf_t *cf);
ngx_int_t ngx_http_kiro_filter_drain(ngx_http_request_t *r);
ngx_int_t ngx_http_kiro_filter_comment(ngx_http_request_t *r);
void ngx_http_kiro_sse_type(ngx_http_request_t *r);

/* ngx_http_kiro_variables.c */
extern const ngx_str_t  ngx_http_kiro_api_names[];

ngx_int_t ngx_http_kiro_add_variables(ngx_conf_t *cf);

/* ngx_http_kiro_told.c */
ngx_int_t ngx_http_kiro_variable_at(ngx_http_request_t *r, ngx_uint_t n,
    ngx_str_t *name, ngx_str_t *value);
ngx_int_t ngx_http_kiro_usage(ngx_http_kiro_ctx_t *ctx, kiro_reply_info *info);
ngx_uint_t ngx_http_kiro_error(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx);
const char *ngx_http_kiro_error_name(ngx_uint_t cause);
uint64_t ngx_http_kiro_micro(double credits);

/* ngx_http_kiro_build.c */
extern ngx_str_t  ngx_http_kiro_build;

ngx_int_t ngx_http_kiro_build_init(ngx_cycle_t *cycle);

/* ngx_http_kiro_health.c */
char *ngx_http_kiro_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_health_settle(ngx_conf_t *cf,
    ngx_http_kiro_main_conf_t *kmcf);


static ngx_inline kiro_str
ngx_http_kiro_str(ngx_str_t *s)
{
    kiro_str  k;

    k.data = (const char *) s->data;
    k.len = s->len;

    return k;
}


#endif /* _NGX_HTTP_KIRO_H_INCLUDED_ */
