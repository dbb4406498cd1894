
/*
 * An asynchronous HTTP(S) client without a client request behind it: one request
 * on one connection, for control-plane calls.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_fetch.h"

#include <poll.h>


#define NGX_HTTP_KIRO_FETCH_MAX     (1024 * 1024)
#define NGX_HTTP_KIRO_FETCH_BUFFER  4096


struct ngx_http_kiro_fetch_s {
    ngx_pool_t                *pool;
    ngx_log_t                  log;
    ngx_http_kiro_connect_t   *connect;
    ngx_http_kiro_conn_t      *conn;
    ngx_http_kiro_endpoint_t  *endpoint;
    ngx_msec_t                 deadline;
    ngx_buf_t                  request;
    kiro_http                 *http;
    ngx_http_kiro_fetch_pt     handler;
    void                      *data;
    ngx_uint_t                *done;         /* somebody wants to know */
    unsigned                   cancelable:1;
};


static void ngx_http_kiro_fetch_connected(void *data,
    ngx_http_kiro_connect_t *connect, ngx_http_kiro_conn_t *conn);
static void ngx_http_kiro_fetch_write_handler(ngx_event_t *wev);
static void ngx_http_kiro_fetch_read_handler(ngx_event_t *rev);
static void ngx_http_kiro_fetch_dummy_handler(ngx_event_t *wev);
static ngx_msec_t ngx_http_kiro_fetch_left(ngx_http_kiro_fetch_t *fetch);
static void ngx_http_kiro_fetch_finish(ngx_http_kiro_fetch_t *fetch,
    const char *error);
static u_char *ngx_http_kiro_fetch_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


/*
 * The handler is called once, never from inside of this function: with the whole
 * response, or with what went wrong.  NULL: out of memory.
 */

ngx_http_kiro_fetch_t *
ngx_http_kiro_fetch(ngx_http_kiro_endpoint_t *ep, ngx_str_t *request,
    ngx_msec_t timeout, ngx_log_t *log, ngx_http_kiro_fetch_pt handler,
    void *data)
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
    fetch->deadline = ngx_current_msec + timeout;
    fetch->handler = handler;
    fetch->data = data;

    fetch->request.start = request->data;
    fetch->request.pos = request->data;
    fetch->request.last = request->data + request->len;

    /* handlers of nginx write into the log object: it must be our own */

    fetch->log = *log;
    fetch->log.handler = ngx_http_kiro_fetch_log_error;
    fetch->log.data = fetch;
    fetch->log.action = NULL;

    pool->log = &fetch->log;

    fetch->connect = ngx_http_kiro_connect(ep, timeout, log,
                                           ngx_http_kiro_fetch_connected,
                                           fetch);
    if (fetch->connect == NULL) {
        fetch->handler = NULL;
        ngx_http_kiro_fetch_finish(fetch, NULL);
        return NULL;
    }

    return fetch;
}


/* right after the start: an exiting worker does not wait for this one */

void
ngx_http_kiro_fetch_cancelable(ngx_http_kiro_fetch_t *fetch)
{
    fetch->cancelable = 1;

    ngx_http_kiro_connect_cancelable(fetch->connect);
}


void
ngx_http_kiro_fetch_abort(ngx_http_kiro_fetch_t *fetch)
{
    fetch->handler = NULL;
    ngx_http_kiro_fetch_finish(fetch, "aborted");
}


/*
 * At the end of a worker, when there is no event loop any more: waits for the
 * answer if the host was asked.  The handler is called in any case.
 */

void
ngx_http_kiro_fetch_await(ngx_http_kiro_fetch_t *fetch, ngx_msec_t deadline)
{
    ngx_uint_t         done;
    struct pollfd      pfd;
    ngx_msec_int_t     left;
    ngx_connection_t  *c;

    if (fetch->conn == NULL || fetch->request.pos != fetch->request.last) {
        ngx_http_kiro_fetch_finish(fetch, "the worker is shutting down");
        return;
    }

    c = fetch->conn->connection;

    done = 0;
    fetch->done = &done;

    pfd.fd = c->fd;
    pfd.events = POLLIN;

    do {
        ngx_time_update();

        left = (ngx_msec_int_t) (deadline - ngx_current_msec);

        if (left <= 0) {
            ngx_http_kiro_fetch_finish(fetch, "the host does not answer in "
                                       "time");
            return;
        }

        if (poll(&pfd, 1, (int) left) > 0) {
            c->read->ready = 1;
            ngx_http_kiro_fetch_read_handler(c->read);
        }

    } while (!done);
}


static void
ngx_http_kiro_fetch_connected(void *data, ngx_http_kiro_connect_t *connect,
    ngx_http_kiro_conn_t *conn)
{
    ngx_http_kiro_fetch_t *fetch = data;

    ngx_connection_t  *c;

    fetch->connect = NULL;

    if (conn == NULL) {
        ngx_http_kiro_fetch_finish(fetch, connect->text);
        return;
    }

    fetch->conn = conn;

    c = conn->connection;

    c->data = fetch;
    c->log = &fetch->log;
    c->read->log = &fetch->log;
    c->write->log = &fetch->log;
    c->pool->log = &fetch->log;

    c->read->cancelable = fetch->cancelable;
    c->write->cancelable = fetch->cancelable;

#if (NGX_SSL && defined SSL_OP_CLEANSE_PLAINTEXT)

    if (c->ssl) {
        SSL_set_options(c->ssl->connection, SSL_OP_CLEANSE_PLAINTEXT);
    }

#endif

    c->read->handler = ngx_http_kiro_fetch_read_handler;
    c->write->handler = ngx_http_kiro_fetch_write_handler;

    ngx_add_timer(c->write, ngx_http_kiro_fetch_left(fetch));

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
        ngx_http_kiro_fetch_finish(fetch, "the host does not answer in "
                                   "time");
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


static ngx_msec_t
ngx_http_kiro_fetch_left(ngx_http_kiro_fetch_t *fetch)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (fetch->deadline - ngx_current_msec);

    return left > 0 ? (ngx_msec_t) left : 1;
}


static void
ngx_http_kiro_fetch_finish(ngx_http_kiro_fetch_t *fetch, const char *error)
{
    ngx_pool_t              *pool;
    ngx_http_kiro_fetch_pt   handler;

    if (fetch->connect) {
        ngx_http_kiro_connect_abort(fetch->connect);
        fetch->connect = NULL;
    }

    if (fetch->conn) {
        ngx_http_kiro_conn_close(fetch->conn);
        fetch->conn = NULL;
    }

    if (fetch->done) {
        *fetch->done = 1;
    }

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
