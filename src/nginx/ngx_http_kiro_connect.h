
/*
 * Connections of our own: addresses of a host, connecting to it, TLS, and the
 * connections that are kept.
 */


#ifndef _NGX_HTTP_KIRO_CONNECT_H_INCLUDED_
#define _NGX_HTTP_KIRO_CONNECT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct ngx_http_kiro_account_s   ngx_http_kiro_account_t;
typedef struct ngx_http_kiro_endpoint_s  ngx_http_kiro_endpoint_t;
typedef struct ngx_http_kiro_conn_s      ngx_http_kiro_conn_t;
typedef struct ngx_http_kiro_connect_s   ngx_http_kiro_connect_t;


/* a host of an account, or its proxy */

struct ngx_http_kiro_endpoint_s {
    ngx_http_kiro_account_t         *account;
    ngx_str_t                        host;        /* Host, SNI, verification */
    ngx_str_t                        prefix;      /* path of the URL or "" */
    ngx_str_t                        name;        /* of the URL: to connect to */
    in_port_t                        port;
    ngx_addr_t                      *addrs;
    ngx_uint_t                       naddrs;
    unsigned                         ssl:1;
    unsigned                         lookup:1;    /* addresses change */
    unsigned                         no_port:1;   /* in the URL */

    /* of this worker; zero before */
    ngx_pool_t                      *pool;        /* of addresses looked up */
    time_t                           valid;       /* until then */
    ngx_msec_t                       retry;       /* not sooner, if it failed */
    ngx_resolver_ctx_t              *resolving;
    ngx_queue_t                      waiters;
    ngx_uint_t                       current;     /* the address that is good */
    ngx_ssl_session_t               *session;
    ngx_queue_t                      idle;        /* newest first */
    ngx_uint_t                       nidle;
};


/* a connection; lives in the connection's pool */

struct ngx_http_kiro_conn_s {
    ngx_queue_t                      queue;       /* while it is idle */
    ngx_connection_t                *connection;
    ngx_http_kiro_endpoint_t        *endpoint;
    ngx_sockaddr_t                   sockaddr;
    socklen_t                        socklen;
    ngx_str_t                        name;
    ngx_msec_t                       born;
    ngx_msec_t                       took;        /* to connect */
    ngx_uint_t                       requests;
};


typedef enum {
    NGX_HTTP_KIRO_CONNECT_OK = 0,
    NGX_HTTP_KIRO_CONNECT_RESOLVE,   /* the name has no address */
    NGX_HTTP_KIRO_CONNECT_FAILED,    /* nobody is there */
    NGX_HTTP_KIRO_CONNECT_PROXY,     /* the proxy said no, or nonsense */
    NGX_HTTP_KIRO_CONNECT_TLS,
    NGX_HTTP_KIRO_CONNECT_VERIFY,    /* somebody else is there */
    NGX_HTTP_KIRO_CONNECT_TIMEOUT,
    NGX_HTTP_KIRO_CONNECT_EXITING,   /* worker_shutdown_timeout */
    NGX_HTTP_KIRO_CONNECT_INTERNAL
} ngx_http_kiro_connect_error_e;


/* conn: NULL if it failed, connect->error says why */

typedef void (*ngx_http_kiro_connect_pt)(void *data,
    ngx_http_kiro_connect_t *connect, ngx_http_kiro_conn_t *conn);


struct ngx_http_kiro_connect_s {
    ngx_pool_t                      *pool;
    ngx_log_t                        log;
    ngx_http_kiro_endpoint_t        *endpoint;
    ngx_http_kiro_endpoint_t        *hop;         /* it, or the proxy */
    ngx_peer_connection_t            peer;
    ngx_http_kiro_conn_t            *conn;
    ngx_addr_t                      *addrs;       /* own copy */
    ngx_uint_t                       naddrs;
    ngx_uint_t                       first;
    ngx_uint_t                       tried;
    ngx_msec_t                       start;
    ngx_msec_t                       deadline;
    ngx_event_t                      timer;
    ngx_event_t                      step;        /* posted */
    ngx_queue_t                      waiter;
    ngx_buf_t                       *request;     /* CONNECT */
    ngx_buf_t                       *reply;
    ngx_http_kiro_connect_error_e    error;
    const char                      *text;        /* of the error */
    ngx_uint_t                       status;      /* of the proxy */
    ngx_http_kiro_connect_pt         handler;
    void                            *data;
    unsigned                         waiting:1;
    unsigned                         resolved:1;
    unsigned                         impatient:1; /* old addresses will do */
};


/* ngx_http_kiro_resolve.c */
ngx_int_t ngx_http_kiro_resolve(ngx_http_kiro_endpoint_t *ep,
    ngx_http_kiro_connect_t *connect);
void ngx_http_kiro_resolve_leave(ngx_http_kiro_connect_t *connect);
void ngx_http_kiro_resolve_exit(ngx_http_kiro_endpoint_t *ep);

/* ngx_http_kiro_connect.c */
ngx_http_kiro_connect_t *ngx_http_kiro_connect(ngx_http_kiro_endpoint_t *ep,
    ngx_msec_t timeout, ngx_log_t *log, ngx_http_kiro_connect_pt handler,
    void *data);
void ngx_http_kiro_connect_cancelable(ngx_http_kiro_connect_t *connect);
void ngx_http_kiro_connect_abort(ngx_http_kiro_connect_t *connect);
void ngx_http_kiro_connect_next(ngx_http_kiro_connect_t *connect,
    ngx_http_kiro_connect_error_e error, const char *text);
void ngx_http_kiro_connect_finish(ngx_http_kiro_connect_t *connect,
    ngx_http_kiro_connect_error_e error, const char *text);

/* ngx_http_kiro_secure.c */
void ngx_http_kiro_secure(ngx_http_kiro_connect_t *connect);

/* ngx_http_kiro_tunnel.c */
void ngx_http_kiro_tunnel(ngx_http_kiro_connect_t *connect);

/* ngx_http_kiro_idle.c */
ngx_int_t ngx_http_kiro_egress_init_worker(ngx_cycle_t *cycle);
void ngx_http_kiro_egress_exit_worker(ngx_cycle_t *cycle);
ngx_http_kiro_conn_t *ngx_http_kiro_idle_get(ngx_http_kiro_endpoint_t *ep);
void ngx_http_kiro_idle_put(ngx_http_kiro_conn_t *conn);
void ngx_http_kiro_conn_park(ngx_http_kiro_conn_t *conn);
void ngx_http_kiro_conn_close(ngx_http_kiro_conn_t *conn);


#endif /* _NGX_HTTP_KIRO_CONNECT_H_INCLUDED_ */
