
/*
 * A connection of our own for an attempt: had before the attempt starts, given to
 * nginx as if its keepalive had found it, taken back afterwards.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_exchange.h"


typedef struct {
    ngx_http_upstream_t             *upstream;
    ngx_http_kiro_ctx_t             *ctx;
    ngx_http_kiro_conn_t            *conn;
} ngx_http_kiro_peer_data_t;


static void ngx_http_kiro_dial_handler(void *data,
    ngx_http_kiro_connect_t *connect, ngx_http_kiro_conn_t *conn);
static void ngx_http_kiro_dial_failure(ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_dial_state(ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_connect_t *connect);
static ngx_int_t ngx_http_kiro_get_peer(ngx_peer_connection_t *pc, void *data);
static void ngx_http_kiro_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static ngx_int_t ngx_http_kiro_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_kiro_save_session(ngx_peer_connection_t *pc, void *data);


/* goes on with ngx_http_kiro_exchange_launch(), now or later */

void
ngx_http_kiro_dial(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_endpoint_t  *ep;

    if (ctx->region->grouped) {
        ngx_http_kiro_exchange_launch(r, ctx);
        return;
    }

    ep = &ctx->region->runtime;

    if (!ctx->stale) {
        ctx->conn = ngx_http_kiro_idle_get(ep);
    }

    ctx->stale = 0;

    if (ctx->conn) {
        ngx_http_kiro_exchange_launch(r, ctx);
        return;
    }

    ctx->state = NGX_HTTP_KIRO_CONNECT;

    ctx->connect = ngx_http_kiro_connect(ep, ctx->conf->connect_timeout,
                                         r->connection->log,
                                         ngx_http_kiro_dial_handler, ctx);
    if (ctx->connect == NULL) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INTERNAL,
                         "the gateway ran into an internal error");
        ngx_http_kiro_exchange_fail(r, ctx);
    }
}


static void
ngx_http_kiro_dial_handler(void *data, ngx_http_kiro_connect_t *connect,
    ngx_http_kiro_conn_t *conn)
{
    ngx_http_kiro_ctx_t *ctx = data;

    ctx->connect = NULL;
    ctx->conn = conn;

    if (conn == NULL) {
        ngx_http_kiro_dial_failure(ctx, connect);
        ngx_http_kiro_dial_state(ctx, connect);
    }

    ngx_http_kiro_exchange_wake(ctx);
}


/* the exchange was woken: there is a connection, or a failure */

void
ngx_http_kiro_dialled(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    if (ctx->connect) {
        return;
    }

    if (ctx->conn) {
        ngx_http_kiro_exchange_launch(r, ctx);
        return;
    }

    ctx->outcome = NGX_HTTP_KIRO_FAILED;

    ngx_http_kiro_exchange_retry(r, ctx);
}


static void
ngx_http_kiro_dial_failure(ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_connect_t *connect)
{
    kiro_failure  *f;

    f = &ctx->failure;

    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "kiro: no connection to \"%V\": %s", &connect->endpoint->host,
                  connect->text);

    switch (connect->error) {

    case NGX_HTTP_KIRO_CONNECT_VERIFY:
        kiro_failure_set(f, KIRO_FAIL_UPSTREAM_TLS,
                         "the service's certificate does not verify");
        f->retry = KIRO_RETRY_NEVER;
        return;

    case NGX_HTTP_KIRO_CONNECT_TIMEOUT:
        kiro_failure_set(f, KIRO_FAIL_UPSTREAM_TIMEOUT,
                         "the service did not answer in time");
        break;

    case NGX_HTTP_KIRO_CONNECT_RESOLVE:
        kiro_failure_set(f, KIRO_FAIL_UPSTREAM_CONNECT,
                         "the service's name cannot be resolved");
        break;

    case NGX_HTTP_KIRO_CONNECT_PROXY:
        kiro_failure_set(f, KIRO_FAIL_UPSTREAM_CONNECT,
                         "the gateway's proxy gives no connection to the "
                         "service");

        /* what it forbids today it forbids tomorrow */

        if (connect->status >= 400 && connect->status < 500
            && connect->status != NGX_HTTP_REQUEST_TIME_OUT
            && connect->status != NGX_HTTP_TOO_MANY_REQUESTS)
        {
            f->retry = KIRO_RETRY_NEVER;
            return;
        }

        break;

    case NGX_HTTP_KIRO_CONNECT_INTERNAL:
        kiro_failure_set(f, KIRO_FAIL_INTERNAL,
                         "the gateway ran into an internal error");
        return;

    default:
        kiro_failure_set(f, KIRO_FAIL_UPSTREAM_CONNECT,
                         "the service cannot be reached");
        break;
    }

    f->retry = KIRO_RETRY_BACKOFF;
}


/* $upstream_addr and its like show what never became an upstream */

static void
ngx_http_kiro_dial_state(ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_connect_t *connect)
{
    ngx_str_t                  *name, *peer;
    ngx_uint_t                  n;
    ngx_http_request_t         *r;
    ngx_http_upstream_state_t  *state;

    r = ctx->request;

    n = 1;

    if (r->upstream_states == NULL) {

        r->upstream_states = ngx_array_create(r->pool, 1,
                                           sizeof(ngx_http_upstream_state_t));
        if (r->upstream_states == NULL) {
            return;
        }

    } else if (r->upstream_states->nelts) {

        /* an empty one between two upstreams, as nginx does it */

        n = 2;
    }

    peer = connect->peer.name ? connect->peer.name : &connect->hop->name;

    name = ngx_palloc(r->pool, sizeof(ngx_str_t));
    if (name == NULL) {
        return;
    }

    name->len = peer->len;
    name->data = ngx_pstrdup(r->pool, peer);
    if (name->data == NULL) {
        return;
    }

    state = ngx_array_push_n(r->upstream_states, n);
    if (state == NULL) {
        return;
    }

    ngx_memzero(state, n * sizeof(ngx_http_upstream_state_t));

    state += n - 1;

    state->peer = name;
    state->status = connect->error == NGX_HTTP_KIRO_CONNECT_TIMEOUT
                    ? NGX_HTTP_GATEWAY_TIME_OUT : NGX_HTTP_BAD_GATEWAY;
    state->connect_time = (ngx_msec_t) -1;
    state->header_time = (ngx_msec_t) -1;
    state->response_time = ngx_current_msec - connect->start;
}


/* the exchange ends */

void
ngx_http_kiro_hang_up(ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_conn_t  *conn;

    if (ctx->connect) {
        ngx_http_kiro_connect_abort(ctx->connect);
        ctx->connect = NULL;
    }

    if (ctx->conn) {
        conn = ctx->conn;
        ctx->conn = NULL;
        ngx_http_kiro_idle_put(conn);
    }
}


ngx_int_t
ngx_http_kiro_peer_init(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_t        *u;
    ngx_http_kiro_peer_data_t  *kp;

    kp = ngx_pcalloc(r->pool, sizeof(ngx_http_kiro_peer_data_t));
    if (kp == NULL) {
        return NGX_ERROR;
    }

    u = r->upstream;

    kp->upstream = u;
    kp->ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    u->peer.data = kp;
    u->peer.get = ngx_http_kiro_get_peer;
    u->peer.free = ngx_http_kiro_free_peer;
    u->peer.tries = 1;

    u->peer.set_session = ngx_http_kiro_set_session;
    u->peer.save_session = ngx_http_kiro_save_session;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_kiro_peer_data_t *kp = data;

    u_char                *p;
    ngx_str_t             *name;
    ngx_connection_t      *c;
    ngx_http_upstream_t   *u;
    ngx_http_kiro_conn_t  *conn;

    u = kp->upstream;
    conn = kp->ctx->conn;

    if (conn == NULL) {
        return NGX_ERROR;
    }

    /* in the log phase the connection may be gone */

    name = ngx_palloc(kp->ctx->request->pool,
                      sizeof(ngx_str_t) + conn->name.len);
    if (name == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) name + sizeof(ngx_str_t);

    ngx_memcpy(p, conn->name.data, conn->name.len);

    name->len = conn->name.len;
    name->data = p;

    kp->ctx->conn = NULL;
    kp->conn = conn;

    c = conn->connection;

    c->sent = 0;
    c->data = NULL;
    c->log = pc->log;
    c->read->log = pc->log;
    c->write->log = pc->log;
    c->pool->log = pc->log;

    pc->sockaddr = (struct sockaddr *) &conn->sockaddr;
    pc->socklen = conn->socklen;
    pc->name = name;
    pc->connection = c;
    pc->cached = conn->requests ? 1 : 0;

    if (conn->requests++ == 0) {

        /* connecting was part of the attempt */

        u->state->connect_time = conn->took;
        u->start_time -= conn->took;
    }

    return NGX_DONE;
}


static void
ngx_http_kiro_free_peer(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    ngx_http_kiro_peer_data_t *kp = data;

    ngx_connection_t      *c;
    ngx_http_upstream_t   *u;
    ngx_http_kiro_conn_t  *conn;

    u = kp->upstream;
    c = pc->connection;
    conn = kp->conn;

    pc->tries = 0;

    if (conn == NULL || c == NULL) {
        return;
    }

    kp->conn = NULL;

    if ((state & NGX_PEER_FAILED) || !u->keepalive || !u->request_body_sent
        || c->read->timedout || c->write->timedout)
    {
        /* nginx closes it */

        return;
    }

    pc->connection = NULL;

    ngx_http_kiro_idle_put(conn);
}


/* not called: TLS is there already */

static ngx_int_t
ngx_http_kiro_set_session(ngx_peer_connection_t *pc, void *data)
{
    return NGX_OK;
}


static void
ngx_http_kiro_save_session(ngx_peer_connection_t *pc, void *data)
{
}
