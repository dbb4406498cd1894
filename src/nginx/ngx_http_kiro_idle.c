
/*
 * Connections that are not used at the moment: each worker keeps some for the
 * next attempts.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"


/* how old a connection may get, ms: the service's addresses change */

#define NGX_HTTP_KIRO_IDLE_AGE       3600000
#define NGX_HTTP_KIRO_IDLE_REQUESTS  1000


typedef void (*ngx_http_kiro_endpoint_pt)(ngx_http_kiro_endpoint_t *ep);


static void ngx_http_kiro_egress_each(ngx_cycle_t *cycle,
    ngx_http_kiro_endpoint_pt handler);
static void ngx_http_kiro_egress_init(ngx_http_kiro_endpoint_t *ep);
static void ngx_http_kiro_egress_exit(ngx_http_kiro_endpoint_t *ep);
static void ngx_http_kiro_idle_remove(ngx_http_kiro_conn_t *conn);
static ngx_uint_t ngx_http_kiro_idle_silent(ngx_connection_t *c);
static void ngx_http_kiro_idle_read_handler(ngx_event_t *rev);
static void ngx_http_kiro_conn_dummy_handler(ngx_event_t *ev);


static void
ngx_http_kiro_egress_each(ngx_cycle_t *cycle, ngx_http_kiro_endpoint_pt handler)
{
    ngx_uint_t                   i, n;
    ngx_http_kiro_account_t    **account;
    ngx_http_kiro_main_conf_t   *kmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    if (kmcf == NULL) {
        return;
    }

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        for (n = 0; n < account[i]->nregions; n++) {
            handler(&account[i]->regions[n].runtime);
            handler(&account[i]->regions[n].management);
        }

        handler(&account[i]->auth);

        if (account[i]->proxy) {
            handler(account[i]->proxy);
        }
    }
}


ngx_int_t
ngx_http_kiro_egress_init_worker(ngx_cycle_t *cycle)
{
    ngx_http_kiro_egress_each(cycle, ngx_http_kiro_egress_init);

    return NGX_OK;
}


/* workers do not all begin with the same address */

static void
ngx_http_kiro_egress_init(ngx_http_kiro_endpoint_t *ep)
{
    ngx_queue_init(&ep->waiters);
    ngx_queue_init(&ep->idle);

    if (ep->naddrs) {
        ep->current = ngx_random() % ep->naddrs;
    }
}


/* whoever waits for a connection was aborted before */

void
ngx_http_kiro_egress_exit_worker(ngx_cycle_t *cycle)
{
    ngx_http_kiro_egress_each(cycle, ngx_http_kiro_egress_exit);
}


static void
ngx_http_kiro_egress_exit(ngx_http_kiro_endpoint_t *ep)
{
    ngx_queue_t           *q;
    ngx_http_kiro_conn_t  *conn;

    while (!ngx_queue_empty(&ep->idle)) {

        q = ngx_queue_head(&ep->idle);
        conn = ngx_queue_data(q, ngx_http_kiro_conn_t, queue);

        ngx_http_kiro_idle_remove(conn);
        ngx_http_kiro_conn_close(conn);
    }

    ngx_http_kiro_resolve_exit(ep);

    if (ep->session) {
        ngx_ssl_free_session(ep->session);
        ep->session = NULL;
    }
}


/* the one used last; NULL: there is none */

ngx_http_kiro_conn_t *
ngx_http_kiro_idle_get(ngx_http_kiro_endpoint_t *ep)
{
    ngx_queue_t           *q;
    ngx_http_kiro_conn_t  *conn;

    while (!ngx_queue_empty(&ep->idle)) {

        q = ngx_queue_head(&ep->idle);
        conn = ngx_queue_data(q, ngx_http_kiro_conn_t, queue);

        ngx_http_kiro_idle_remove(conn);

        if (ngx_http_kiro_idle_silent(conn->connection)) {
            ngx_http_kiro_conn_park(conn);
            return conn;
        }

        ngx_http_kiro_conn_close(conn);
    }

    return NULL;
}


/* what came since is perhaps not told yet */

static ngx_uint_t
ngx_http_kiro_idle_silent(ngx_connection_t *c)
{
    int   n;
    char  buf[1];

    n = recv(c->fd, buf, 1, MSG_PEEK);

    return n == -1 && ngx_socket_errno == NGX_EAGAIN;
}


/* takes the connection: keeps it, or closes it */

void
ngx_http_kiro_idle_put(ngx_http_kiro_conn_t *conn)
{
    ngx_queue_t               *q;
    ngx_connection_t          *c;
    ngx_http_kiro_account_t   *account;
    ngx_http_kiro_endpoint_t  *ep;

    ep = conn->endpoint;
    account = ep->account;
    c = conn->connection;

    if (account->keepalive == 0 || ngx_terminate || ngx_exiting || c->close
        || c->read->eof || c->read->error || c->write->error
        || conn->requests >= NGX_HTTP_KIRO_IDLE_REQUESTS
        || ngx_current_msec - conn->born > NGX_HTTP_KIRO_IDLE_AGE
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_http_kiro_conn_close(conn);
        return;
    }

    if (ep->nidle >= (ngx_uint_t) account->keepalive) {

        q = ngx_queue_last(&ep->idle);
        ngx_http_kiro_idle_remove(ngx_queue_data(q, ngx_http_kiro_conn_t,
                                                 queue));
        ngx_http_kiro_conn_close(ngx_queue_data(q, ngx_http_kiro_conn_t,
                                                queue));
    }

    ngx_http_kiro_conn_park(conn);

    ngx_queue_insert_head(&ep->idle, &conn->queue);
    ep->nidle++;

    c->read->handler = ngx_http_kiro_idle_read_handler;
    c->read->delayed = 0;
    c->idle = 1;

    ngx_add_timer(c->read, account->keepalive_timeout);

    if (c->read->ready) {
        ngx_http_kiro_idle_read_handler(c->read);
    }
}


static void
ngx_http_kiro_idle_remove(ngx_http_kiro_conn_t *conn)
{
    ngx_connection_t  *c;

    c = conn->connection;

    ngx_queue_remove(&conn->queue);
    conn->endpoint->nidle--;

    c->idle = 0;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }
}


/* whatever comes unasked, or nothing for too long, ends it */

static void
ngx_http_kiro_idle_read_handler(ngx_event_t *rev)
{
    ngx_connection_t      *c;
    ngx_http_kiro_conn_t  *conn;

    c = rev->data;
    conn = c->data;

    if (!c->close && !rev->timedout && ngx_http_kiro_idle_silent(c)) {

        rev->ready = 0;

        if (ngx_handle_read_event(rev, 0) == NGX_OK) {
            return;
        }
    }

    ngx_http_kiro_idle_remove(conn);
    ngx_http_kiro_conn_close(conn);
}


/* it belongs to nobody's events for a moment, nor to anybody's log */

void
ngx_http_kiro_conn_park(ngx_http_kiro_conn_t *conn)
{
    ngx_connection_t  *c;

    c = conn->connection;

    c->data = conn;

    c->log = ngx_cycle->log;
    c->read->log = ngx_cycle->log;
    c->write->log = ngx_cycle->log;
    c->pool->log = ngx_cycle->log;

    c->read->handler = ngx_http_kiro_conn_dummy_handler;
    c->write->handler = ngx_http_kiro_conn_dummy_handler;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }
}


static void
ngx_http_kiro_conn_dummy_handler(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_EVENT, ev->log, 0, "kiro connection dummy");
}


void
ngx_http_kiro_conn_close(ngx_http_kiro_conn_t *conn)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = conn->connection;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = !c->ssl->handshaked;

        (void) ngx_ssl_shutdown(c);
    }

    pool = c->pool;

    ngx_close_connection(c);

    if (pool) {
        ngx_destroy_pool(pool);
    }
}
