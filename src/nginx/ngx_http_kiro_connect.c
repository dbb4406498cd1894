
/*
 * From a host to a connection that can be written to: its addresses one after
 * the other, the proxy's tunnel, TLS.  No request is needed.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"


/* for an answer of the resolver while there are old addresses, ms */

#define NGX_HTTP_KIRO_CONNECT_PATIENCE  1000

/* for one address of several, at least, ms */

#define NGX_HTTP_KIRO_CONNECT_SLICE     1000


static void ngx_http_kiro_connect_step(ngx_event_t *ev);
static void ngx_http_kiro_connect_timeout(ngx_event_t *ev);
static ngx_int_t ngx_http_kiro_connect_addrs(ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_connect_try(ngx_http_kiro_connect_t *connect);
static ngx_int_t ngx_http_kiro_connect_conn(ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_connect_handler(ngx_event_t *ev);
static void ngx_http_kiro_connect_connected(ngx_http_kiro_connect_t *connect);
static ngx_msec_int_t ngx_http_kiro_connect_left(
    ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_connect_close(ngx_http_kiro_connect_t *connect);
static u_char *ngx_http_kiro_connect_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


/*
 * The handler is called once, never from inside of this function.  NULL: out of
 * memory.
 */

ngx_http_kiro_connect_t *
ngx_http_kiro_connect(ngx_http_kiro_endpoint_t *ep, ngx_msec_t timeout,
    ngx_log_t *log, ngx_http_kiro_connect_pt handler, void *data)
{
    ngx_pool_t               *pool;
    ngx_http_kiro_connect_t  *connect;

    pool = ngx_create_pool(2048, log);
    if (pool == NULL) {
        return NULL;
    }

    connect = ngx_pcalloc(pool, sizeof(ngx_http_kiro_connect_t));
    if (connect == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    connect->pool = pool;
    connect->endpoint = ep;
    connect->hop = ep->account->proxy ? ep->account->proxy : ep;
    connect->start = ngx_current_msec;
    connect->deadline = ngx_current_msec + timeout;
    connect->error = NGX_HTTP_KIRO_CONNECT_TIMEOUT;
    connect->text = "the host does not answer in time";
    connect->handler = handler;
    connect->data = data;

    /* handlers of nginx write into the log object: it must be our own */

    connect->log = *log;
    connect->log.handler = ngx_http_kiro_connect_log_error;
    connect->log.data = connect;
    connect->log.action = "connecting to the host";

    pool->log = &connect->log;

    connect->step.handler = ngx_http_kiro_connect_step;
    connect->step.data = connect;
    connect->step.log = &connect->log;

    connect->timer.handler = ngx_http_kiro_connect_timeout;
    connect->timer.data = connect;
    connect->timer.log = &connect->log;

    ngx_post_event(&connect->step, &ngx_posted_events);

    return connect;
}


/* right after the start: an exiting worker does not wait for this one */

void
ngx_http_kiro_connect_cancelable(ngx_http_kiro_connect_t *connect)
{
    connect->timer.cancelable = 1;
}


void
ngx_http_kiro_connect_abort(ngx_http_kiro_connect_t *connect)
{
    connect->handler = NULL;

    ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_INTERNAL,
                                 "aborted");
}


static void
ngx_http_kiro_connect_step(ngx_event_t *ev)
{
    ngx_int_t                 rc;
    ngx_msec_int_t            left;
    ngx_http_kiro_connect_t  *connect;

    connect = ev->data;

    if (connect->timer.timer_set) {
        ngx_del_timer(&connect->timer);
    }

    rc = ngx_http_kiro_resolve(connect->hop, connect);

    if (rc == NGX_OK) {
        rc = ngx_http_kiro_connect_addrs(connect);

        if (rc == NGX_OK) {
            ngx_http_kiro_connect_try(connect);
            return;
        }
    }

    if (rc == NGX_DECLINED) {
        ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_RESOLVE,
                                     connect->hop == connect->endpoint
                                     ? "the host's name cannot be resolved"
                                     : "the proxy's name cannot be resolved");
        return;
    }

    if (rc == NGX_ERROR) {
        ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_INTERNAL,
                                     "out of memory");
        return;
    }

    /* NGX_AGAIN */

    left = ngx_http_kiro_connect_left(connect);

    if (connect->hop->naddrs) {
        left = ngx_min(left, NGX_HTTP_KIRO_CONNECT_PATIENCE);
    }

    ngx_add_timer(&connect->timer, (ngx_msec_t) ngx_max(left, 1));
}


static void
ngx_http_kiro_connect_timeout(ngx_event_t *ev)
{
    ngx_http_kiro_connect_t  *connect;

    connect = ev->data;

    if (connect->conn) {
        ngx_log_error(NGX_LOG_ERR, &connect->log, NGX_ETIMEDOUT,
                      "the host timed out");

        ngx_http_kiro_connect_next(connect, NGX_HTTP_KIRO_CONNECT_TIMEOUT,
                                   "the host does not answer in time");
        return;
    }

    ngx_http_kiro_resolve_leave(connect);

    if (connect->hop->naddrs) {
        connect->impatient = 1;
        ngx_http_kiro_connect_step(&connect->step);
        return;
    }

    ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_TIMEOUT,
                                 "the resolver does not answer in time");
}


/* a copy: the endpoint's may change meanwhile */

static ngx_int_t
ngx_http_kiro_connect_addrs(ngx_http_kiro_connect_t *connect)
{
    u_char                    *p;
    ngx_uint_t                 i;
    ngx_addr_t                *addrs;
    ngx_http_kiro_endpoint_t  *hop;

    hop = connect->hop;

    addrs = ngx_pcalloc(connect->pool, hop->naddrs * sizeof(ngx_addr_t));
    if (addrs == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < hop->naddrs; i++) {

        addrs[i].socklen = hop->addrs[i].socklen;
        addrs[i].name.len = hop->addrs[i].name.len;

        addrs[i].sockaddr = ngx_palloc(connect->pool, addrs[i].socklen);
        p = ngx_pnalloc(connect->pool, addrs[i].name.len);

        if (addrs[i].sockaddr == NULL || p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(addrs[i].sockaddr, hop->addrs[i].sockaddr,
                   addrs[i].socklen);
        ngx_memcpy(p, hop->addrs[i].name.data, addrs[i].name.len);

        addrs[i].name.data = p;
    }

    connect->addrs = addrs;
    connect->naddrs = hop->naddrs;
    connect->first = hop->current;

    return NGX_OK;
}


static void
ngx_http_kiro_connect_try(ngx_http_kiro_connect_t *connect)
{
    ngx_int_t        rc;
    ngx_addr_t      *addr;
    ngx_uint_t       rest;
    ngx_msec_int_t   left;

    while (connect->tried < connect->naddrs) {

        left = ngx_http_kiro_connect_left(connect);

        if (left <= 0) {
            break;
        }

        /* one that swallows packets leaves time for the others */

        rest = connect->naddrs - connect->tried;

        if (rest > 1) {
            left = ngx_min(left, ngx_max(left / (ngx_msec_int_t) rest,
                                         NGX_HTTP_KIRO_CONNECT_SLICE));
        }

        addr = &connect->addrs[(connect->first + connect->tried++)
                               % connect->naddrs];

        ngx_memzero(&connect->peer, sizeof(ngx_peer_connection_t));

        connect->peer.sockaddr = addr->sockaddr;
        connect->peer.socklen = addr->socklen;
        connect->peer.name = &addr->name;
        connect->peer.get = ngx_event_get_peer;
        connect->peer.log = &connect->log;
        connect->peer.log_error = NGX_ERROR_ERR;

        connect->log.action = "connecting to the host";

        rc = ngx_event_connect_peer(&connect->peer);

        if (rc == NGX_ERROR || rc == NGX_BUSY || rc == NGX_DECLINED) {

            if (connect->peer.connection) {
                ngx_close_connection(connect->peer.connection);
                connect->peer.connection = NULL;
            }

            connect->error = NGX_HTTP_KIRO_CONNECT_FAILED;
            connect->text = "connecting to the host failed";
            continue;
        }

        if (ngx_http_kiro_connect_conn(connect) != NGX_OK) {
            ngx_close_connection(connect->peer.connection);
            ngx_http_kiro_connect_finish(connect,
                                         NGX_HTTP_KIRO_CONNECT_INTERNAL,
                                         "out of memory");
            return;
        }

        ngx_add_timer(&connect->timer, (ngx_msec_t) left);

        if (rc == NGX_OK) {
            ngx_http_kiro_connect_connected(connect);
        }

        return;
    }

    ngx_http_kiro_connect_finish(connect, connect->error, connect->text);
}


/* dresses a new connection */

static ngx_int_t
ngx_http_kiro_connect_conn(ngx_http_kiro_connect_t *connect)
{
    ngx_connection_t      *c;
    ngx_http_kiro_conn_t  *conn;

    c = connect->peer.connection;

    c->pool = ngx_create_pool(512, &connect->log);
    if (c->pool == NULL) {
        return NGX_ERROR;
    }

    conn = ngx_pcalloc(c->pool, sizeof(ngx_http_kiro_conn_t));
    if (conn == NULL) {
        goto failed;
    }

    conn->name.data = ngx_pnalloc(c->pool, connect->peer.name->len);
    if (conn->name.data == NULL) {
        goto failed;
    }

    conn->name.len = connect->peer.name->len;
    ngx_memcpy(conn->name.data, connect->peer.name->data, conn->name.len);

    ngx_memcpy(&conn->sockaddr, connect->peer.sockaddr, connect->peer.socklen);
    conn->socklen = connect->peer.socklen;

    conn->connection = c;
    conn->endpoint = connect->endpoint;
    conn->born = ngx_current_msec;

    c->data = connect;
    c->log = &connect->log;
    c->read->log = &connect->log;
    c->write->log = &connect->log;
    c->sendfile = 0;

    c->read->handler = ngx_http_kiro_connect_handler;
    c->write->handler = ngx_http_kiro_connect_handler;

    connect->conn = conn;

    return NGX_OK;

failed:

    ngx_destroy_pool(c->pool);
    c->pool = NULL;

    return NGX_ERROR;
}


static void
ngx_http_kiro_connect_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_kiro_connect_t  *connect;

    c = ev->data;
    connect = c->data;

    /* set by worker_shutdown_timeout */

    if (c->close) {
        ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_EXITING,
                                     "the worker is shutting down");
        return;
    }

    if (ev->write) {
        ngx_http_kiro_connect_connected(connect);
    }
}


static void
ngx_http_kiro_connect_connected(ngx_http_kiro_connect_t *connect)
{
    int                err;
    socklen_t          len;
    ngx_msec_int_t     left;
    ngx_connection_t  *c;

    c = connect->conn->connection;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");
        ngx_http_kiro_connect_next(connect, NGX_HTTP_KIRO_CONNECT_FAILED,
                                   "connecting to the host failed");
        return;
    }

    /* somebody is there: the rest of the time is his */

    left = ngx_http_kiro_connect_left(connect);
    ngx_add_timer(&connect->timer, (ngx_msec_t) ngx_max(left, 1));

    if (ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_http_kiro_connect_next(connect, NGX_HTTP_KIRO_CONNECT_FAILED,
                                   "connecting to the host failed");
        return;
    }

    if (connect->hop != connect->endpoint) {
        ngx_http_kiro_tunnel(connect);
        return;
    }

    ngx_http_kiro_secure(connect);
}


static ngx_msec_int_t
ngx_http_kiro_connect_left(ngx_http_kiro_connect_t *connect)
{
    return (ngx_msec_int_t) (connect->deadline - ngx_current_msec);
}


/* this address is no good */

void
ngx_http_kiro_connect_next(ngx_http_kiro_connect_t *connect,
    ngx_http_kiro_connect_error_e error, const char *text)
{
    connect->error = error;
    connect->text = text;

    if (connect->timer.timer_set) {
        ngx_del_timer(&connect->timer);
    }

    ngx_http_kiro_connect_close(connect);
    ngx_http_kiro_connect_try(connect);
}


void
ngx_http_kiro_connect_finish(ngx_http_kiro_connect_t *connect,
    ngx_http_kiro_connect_error_e error, const char *text)
{
    ngx_pool_t            *pool;
    ngx_http_kiro_conn_t  *conn;

    connect->error = error;
    connect->text = text;

    ngx_http_kiro_resolve_leave(connect);

    if (connect->timer.timer_set) {
        ngx_del_timer(&connect->timer);
    }

    if (connect->step.posted) {
        ngx_delete_posted_event(&connect->step);
    }

    conn = NULL;

    if (error == NGX_HTTP_KIRO_CONNECT_OK && connect->handler) {

        conn = connect->conn;
        conn->took = ngx_current_msec - connect->start;

        connect->conn = NULL;
        connect->peer.connection = NULL;

        /* sticks to the address while it is the same list */

        if (connect->hop->naddrs == connect->naddrs) {
            connect->hop->current = (connect->first + connect->tried - 1)
                                    % connect->naddrs;
        }

        ngx_http_kiro_conn_park(conn);

    } else {
        ngx_http_kiro_connect_close(connect);
    }

    if (connect->handler) {
        connect->handler(connect->data, connect, conn);
    }

    pool = connect->pool;

    /* the log goes with the pool */

    pool->log = ngx_cycle->log;

    ngx_destroy_pool(pool);
}


static void
ngx_http_kiro_connect_close(ngx_http_kiro_connect_t *connect)
{
    if (connect->conn) {
        ngx_http_kiro_conn_close(connect->conn);
        connect->conn = NULL;
        connect->peer.connection = NULL;
    }
}


static u_char *
ngx_http_kiro_connect_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                   *p;
    ngx_http_kiro_connect_t  *connect;

    p = buf;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    connect = log->data;

    if (connect == NULL) {
        return p;
    }

    p = ngx_snprintf(buf, len, ", host: \"%V\", account: \"%V\"",
                     &connect->endpoint->host,
                     &connect->endpoint->account->name);
    len -= p - buf;
    buf = p;

    if (connect->peer.name) {
        p = ngx_snprintf(buf, len, ", address: \"%V\"", connect->peer.name);
        len -= p - buf;
        buf = p;
    }

    if (connect->hop != connect->endpoint) {
        p = ngx_snprintf(buf, len, " (the proxy)");
    }

    return p;
}
