
/*
 * An asynchronous HTTP(S) client without a client request behind it: one request
 * on one connection, for control-plane calls.
 */


#include "ngx_http_kiro.h"


#define NGX_HTTP_KIRO_FETCH_MAX     (1024 * 1024)
#define NGX_HTTP_KIRO_FETCH_BUFFER  4096


struct ngx_http_kiro_fetch_s {
    ngx_pool_t                *pool;
    ngx_log_t                  log;
    ngx_peer_connection_t      peer;
    ngx_http_kiro_endpoint_t  *endpoint;
    ngx_uint_t                 naddr;
    ngx_ssl_t                 *ssl;
    ngx_flag_t                 verify;
    ngx_flag_t                 cancelable;
    ngx_msec_t                 deadline;
    ngx_buf_t                  request;
    kiro_http                 *http;
    ngx_http_kiro_fetch_pt     handler;
    void                      *data;
    const char                *error;        /* of the last address */
    ngx_event_t                start;
};


static void ngx_http_kiro_fetch_start(ngx_event_t *ev);
static void ngx_http_kiro_fetch_connect(ngx_http_kiro_fetch_t *fetch);
static void ngx_http_kiro_fetch_connected(ngx_http_kiro_fetch_t *fetch);
static void ngx_http_kiro_fetch_ssl(ngx_http_kiro_fetch_t *fetch);
static void ngx_http_kiro_fetch_ssl_handler(ngx_connection_t *c);
static void ngx_http_kiro_fetch_write_handler(ngx_event_t *wev);
static void ngx_http_kiro_fetch_read_handler(ngx_event_t *rev);
static void ngx_http_kiro_fetch_dummy_handler(ngx_event_t *wev);
static ngx_int_t ngx_http_kiro_fetch_test_connect(ngx_connection_t *c);
static ngx_msec_t ngx_http_kiro_fetch_left(ngx_http_kiro_fetch_t *fetch);
static void ngx_http_kiro_fetch_next(ngx_http_kiro_fetch_t *fetch,
    const char *error);
static void ngx_http_kiro_fetch_finish(ngx_http_kiro_fetch_t *fetch,
    const char *error);
static void ngx_http_kiro_fetch_close(ngx_http_kiro_fetch_t *fetch);
static u_char *ngx_http_kiro_fetch_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


/*
 * The handler is called once, never from inside of this function: with the whole
 * response, or with what went wrong.  NULL: out of memory.
 */

ngx_http_kiro_fetch_t *
ngx_http_kiro_fetch(ngx_http_kiro_endpoint_t *ep, ngx_ssl_t *ssl,
    ngx_flag_t verify, ngx_str_t *request, ngx_msec_t timeout, ngx_log_t *log,
    ngx_http_kiro_fetch_pt handler, void *data)
{
    ngx_pool_t             *pool;
    ngx_http_kiro_fetch_t  *fetch;

    pool = ngx_create_pool(NGX_HTTP_KIRO_FETCH_BUFFER + 1024, log);
    if (pool == NULL) {
        return NULL;
    }

    fetch = ngx_pcalloc(pool, sizeof(ngx_http_kiro_fetch_t));
    if (fetch == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    fetch->http = kiro_http_create(NGX_HTTP_KIRO_FETCH_MAX);
    if (fetch->http == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    fetch->pool = pool;
    fetch->endpoint = ep;
    fetch->ssl = ssl;
    fetch->verify = verify;
    fetch->deadline = ngx_current_msec + timeout;
    fetch->handler = handler;
    fetch->data = data;
    fetch->error = "the host has no address";

    fetch->request.start = request->data;
    fetch->request.pos = request->data;
    fetch->request.last = request->data + request->len;

    /* handlers of nginx write into the log object: it must be our own */

    fetch->log = *log;
    fetch->log.handler = ngx_http_kiro_fetch_log_error;
    fetch->log.data = fetch;
    fetch->log.action = "connecting to the host";

    pool->log = &fetch->log;

    fetch->start.handler = ngx_http_kiro_fetch_start;
    fetch->start.data = fetch;
    fetch->start.log = &fetch->log;

    ngx_post_event(&fetch->start, &ngx_posted_events);

    return fetch;
}


/* right after the start: an exiting worker does not wait for this one */

void
ngx_http_kiro_fetch_cancelable(ngx_http_kiro_fetch_t *fetch)
{
    fetch->cancelable = 1;
}


void
ngx_http_kiro_fetch_abort(ngx_http_kiro_fetch_t *fetch)
{
    fetch->handler = NULL;
    ngx_http_kiro_fetch_finish(fetch, "aborted");
}


static void
ngx_http_kiro_fetch_start(ngx_event_t *ev)
{
    ngx_http_kiro_fetch_connect(ev->data);
}


static void
ngx_http_kiro_fetch_connect(ngx_http_kiro_fetch_t *fetch)
{
    ngx_int_t          rc;
    ngx_addr_t        *addr;
    ngx_connection_t  *c;

    while (fetch->naddr < fetch->endpoint->naddrs) {

        addr = &fetch->endpoint->addrs[fetch->naddr++];

        ngx_memzero(&fetch->peer, sizeof(ngx_peer_connection_t));

        fetch->peer.sockaddr = addr->sockaddr;
        fetch->peer.socklen = addr->socklen;
        fetch->peer.name = &addr->name;
        fetch->peer.get = ngx_event_get_peer;
        fetch->peer.log = &fetch->log;
        fetch->peer.log_error = NGX_ERROR_ERR;

        rc = ngx_event_connect_peer(&fetch->peer);

        if (rc == NGX_ERROR || rc == NGX_BUSY || rc == NGX_DECLINED) {

            if (fetch->peer.connection) {
                ngx_close_connection(fetch->peer.connection);
                fetch->peer.connection = NULL;
            }

            fetch->error = "connecting to the host failed";
            continue;
        }

        c = fetch->peer.connection;

        c->data = fetch;
        c->pool = fetch->pool;
        c->log = &fetch->log;
        c->read->log = &fetch->log;
        c->write->log = &fetch->log;
        c->sendfile = 0;

        c->read->cancelable = fetch->cancelable;
        c->write->cancelable = fetch->cancelable;

        c->read->handler = ngx_http_kiro_fetch_read_handler;
        c->write->handler = ngx_http_kiro_fetch_write_handler;

        fetch->request.pos = fetch->request.start;

        ngx_add_timer(c->write, ngx_http_kiro_fetch_left(fetch));

        if (rc == NGX_OK) {
            ngx_http_kiro_fetch_connected(fetch);
        }

        return;
    }

    ngx_http_kiro_fetch_finish(fetch, fetch->error);
}


static void
ngx_http_kiro_fetch_connected(ngx_http_kiro_fetch_t *fetch)
{
    ngx_connection_t  *c;

    c = fetch->peer.connection;

    if (fetch->endpoint->ssl && c->ssl == NULL) {
        ngx_http_kiro_fetch_ssl(fetch);
        return;
    }

    ngx_http_kiro_fetch_write_handler(c->write);
}


static void
ngx_http_kiro_fetch_ssl(ngx_http_kiro_fetch_t *fetch)
{
    u_char            *name;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = fetch->peer.connection;

    if (ngx_http_kiro_fetch_test_connect(c) != NGX_OK) {
        ngx_http_kiro_fetch_next(fetch, "connecting to the host failed");
        return;
    }

    if (ngx_ssl_create_connection(fetch->ssl, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK)
    {
        ngx_http_kiro_fetch_next(fetch, "out of memory");
        return;
    }

    if (ngx_inet_addr(fetch->endpoint->host.data, fetch->endpoint->host.len)
        == INADDR_NONE
        && fetch->endpoint->host.len
        && fetch->endpoint->host.data[0] != '[')
    {
        name = ngx_pnalloc(fetch->pool, fetch->endpoint->host.len + 1);
        if (name == NULL) {
            ngx_http_kiro_fetch_next(fetch, "out of memory");
            return;
        }

        ngx_cpystrn(name, fetch->endpoint->host.data,
                    fetch->endpoint->host.len + 1);

        if (SSL_set_tlsext_host_name(c->ssl->connection, (char *) name) == 0) {
            ngx_ssl_error(NGX_LOG_ERR, &fetch->log, 0,
                          "SSL_set_tlsext_host_name(\"%s\") failed", name);
            ngx_http_kiro_fetch_next(fetch, "out of memory");
            return;
        }
    }

    fetch->log.action = "SSL handshaking with the host";

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_kiro_fetch_ssl_handler;
        return;
    }

    ngx_http_kiro_fetch_ssl_handler(c);
}


static void
ngx_http_kiro_fetch_ssl_handler(ngx_connection_t *c)
{
    long                    rc;
    ngx_http_kiro_fetch_t  *fetch;

    fetch = c->data;

    if (!c->ssl->handshaked) {
        ngx_http_kiro_fetch_next(fetch, c->write->timedout
                                 ? "the host does not answer in time"
                                 : "the TLS handshake with the host "
                                   "failed");
        return;
    }

    if (fetch->verify) {
        rc = SSL_get_verify_result(c->ssl->connection);

        if (rc != X509_V_OK) {
            ngx_log_error(NGX_LOG_ERR, &fetch->log, 0,
                          "SSL certificate verify error: (%l:%s)",
                          rc, X509_verify_cert_error_string(rc));
            ngx_http_kiro_fetch_finish(fetch, "the certificate of the "
                                       "host does not verify, see "
                                       "\"ssl_trusted_certificate\"");
            return;
        }

        if (ngx_ssl_check_host(c, &fetch->endpoint->host) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, &fetch->log, 0,
                          "SSL certificate does not match \"%V\"",
                          &fetch->endpoint->host);
            ngx_http_kiro_fetch_finish(fetch, "the certificate of the "
                                       "host is for another name");
            return;
        }
    }

    c->read->handler = ngx_http_kiro_fetch_read_handler;
    c->write->handler = ngx_http_kiro_fetch_write_handler;

    ngx_http_kiro_fetch_write_handler(c->write);
}


static void
ngx_http_kiro_fetch_write_handler(ngx_event_t *wev)
{
    ssize_t                 n;
    ngx_buf_t              *b;
    ngx_connection_t       *c;
    ngx_http_kiro_fetch_t  *fetch;

    c = wev->data;
    fetch = c->data;

    /* set by worker_shutdown_timeout */

    if (c->close && fetch->request.pos == fetch->request.start) {
        ngx_http_kiro_fetch_finish(fetch, "the worker is shutting down");
        return;
    }

    if (wev->timedout) {
        ngx_http_kiro_fetch_next(fetch, "the host does not answer in "
                                 "time");
        return;
    }

    if (fetch->endpoint->ssl && c->ssl == NULL) {
        ngx_http_kiro_fetch_ssl(fetch);
        return;
    }

    if (fetch->request.pos == fetch->request.start
        && ngx_http_kiro_fetch_test_connect(c) != NGX_OK)
    {
        ngx_http_kiro_fetch_next(fetch, "connecting to the host failed");
        return;
    }

    fetch->log.action = "sending a request to the host";

    b = &fetch->request;

    while (b->pos < b->last) {

        n = c->send(c, b->pos, b->last - b->pos);

        if (n == NGX_ERROR) {

            /* it may have got enough of it to rotate the token */

            ngx_http_kiro_fetch_finish(fetch, "sending to the host "
                                       "failed");
            return;
        }

        if (n == NGX_AGAIN || n == 0) {

            if (ngx_handle_write_event(wev, 0) != NGX_OK) {
                ngx_http_kiro_fetch_finish(fetch, "out of memory");
            }

            return;
        }

        b->pos += n;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    wev->handler = ngx_http_kiro_fetch_dummy_handler;

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_kiro_fetch_finish(fetch, "out of memory");
        return;
    }

    fetch->log.action = "reading a response from the host";

    ngx_add_timer(c->read, ngx_http_kiro_fetch_left(fetch));

    ngx_http_kiro_fetch_read_handler(c->read);
}


static void
ngx_http_kiro_fetch_read_handler(ngx_event_t *rev)
{
    ssize_t                 n;
    kiro_status             rc;
    ngx_connection_t       *c;
    ngx_http_kiro_fetch_t  *fetch;
    u_char                  buf[NGX_HTTP_KIRO_FETCH_BUFFER];

    c = rev->data;
    fetch = c->data;

    if (rev->timedout) {
        ngx_http_kiro_fetch_finish(fetch, "the host does not answer in "
                                   "time");
        return;
    }

    if (fetch->request.pos != fetch->request.last) {

        /* not asked yet: the write handler sees what this is */

        if (c->close && fetch->request.pos == fetch->request.start) {
            ngx_http_kiro_fetch_finish(fetch, "the worker is shutting down");
        }

        return;
    }

    /*
     * "worker_shutdown_timeout" sets c->close: an answer that was asked for is
     * waited for nevertheless, the token in it may be the only good one
     */

    for ( ;; ) {

        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {

            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_http_kiro_fetch_finish(fetch, "out of memory");
            }

            return;
        }

        if (n == NGX_ERROR) {
            ngx_http_kiro_fetch_finish(fetch, "the host closed the "
                                       "connection");
            return;
        }

        rc = n ? kiro_http_feed(fetch->http, (char *) buf, n)
               : kiro_http_eof(fetch->http);

        if (n) {
            ngx_explicit_memzero(buf, n);
        }

        if (rc == KIRO_AGAIN && n) {
            continue;
        }

        ngx_http_kiro_fetch_finish(fetch, rc == KIRO_OK ? NULL
                                   : rc == KIRO_NOMEM ? "out of memory"
                                   : n == 0 ? "the host cut its answer"
                                   : "the host sent no proper HTTP");
        return;
    }
}


static void
ngx_http_kiro_fetch_dummy_handler(ngx_event_t *wev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_EVENT, wev->log, 0, "kiro fetch dummy");
}


static ngx_int_t
ngx_http_kiro_fetch_test_connect(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_msec_t
ngx_http_kiro_fetch_left(ngx_http_kiro_fetch_t *fetch)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (fetch->deadline - ngx_current_msec);

    return left > 0 ? (ngx_msec_t) left : 1;
}


/* only while nothing was sent: a refresh token may be good for one use */

static void
ngx_http_kiro_fetch_next(ngx_http_kiro_fetch_t *fetch, const char *error)
{
    fetch->error = error;

    ngx_http_kiro_fetch_close(fetch);

    if ((ngx_msec_int_t) (fetch->deadline - ngx_current_msec) <= 0) {
        ngx_http_kiro_fetch_finish(fetch, error);
        return;
    }

    ngx_http_kiro_fetch_connect(fetch);
}


static void
ngx_http_kiro_fetch_finish(ngx_http_kiro_fetch_t *fetch, const char *error)
{
    ngx_pool_t              *pool;
    ngx_http_kiro_fetch_pt   handler;

    if (fetch->start.posted) {
        ngx_delete_posted_event(&fetch->start);
    }

    ngx_http_kiro_fetch_close(fetch);

    handler = fetch->handler;
    fetch->handler = NULL;

    if (handler) {
        handler(fetch->data, fetch->http, error);
    }

    kiro_http_free(fetch->http);

    pool = fetch->pool;

    /* the log goes with the pool */

    pool->log = ngx_cycle->log;

    ngx_destroy_pool(pool);
}


static void
ngx_http_kiro_fetch_close(ngx_http_kiro_fetch_t *fetch)
{
    ngx_connection_t  *c;

    c = fetch->peer.connection;

    if (c == NULL) {
        return;
    }

    fetch->peer.connection = NULL;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = !c->ssl->handshaked;

        (void) ngx_ssl_shutdown(c);
    }

    ngx_close_connection(c);
}


static u_char *
ngx_http_kiro_fetch_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                 *p;
    ngx_http_kiro_fetch_t  *fetch;

    p = buf;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    fetch = log->data;

    if (fetch) {
        p = ngx_snprintf(buf, len, ", host: \"%V\"", &fetch->endpoint->host);
    }

    return p;
}
