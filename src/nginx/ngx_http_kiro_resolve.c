
/*
 * The addresses of a host that may change: as the account's resolver has them,
 * kept in each worker.  A name that is not found any more keeps its last ones.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"


#define NGX_HTTP_KIRO_RESOLVE_MAX    16

/* addresses this old are used while a new answer is on its way, s */

#define NGX_HTTP_KIRO_RESOLVE_GRACE  60

/* between lookups that fail while there are addresses, ms */

#define NGX_HTTP_KIRO_RESOLVE_RETRY  5000


static void ngx_http_kiro_resolve_start(ngx_http_kiro_endpoint_t *ep);
static void ngx_http_kiro_resolve_handler(ngx_resolver_ctx_t *rctx);
static ngx_int_t ngx_http_kiro_resolve_copy(ngx_http_kiro_endpoint_t *ep,
    ngx_resolver_ctx_t *rctx);


/*
 * NGX_OK: the endpoint has addresses.  NGX_AGAIN: they are asked for, the
 * connector is woken.  NGX_DECLINED: there are none.
 */

ngx_int_t
ngx_http_kiro_resolve(ngx_http_kiro_endpoint_t *ep,
    ngx_http_kiro_connect_t *connect)
{
    time_t  now;

    if (!ep->lookup) {
        return ep->naddrs ? NGX_OK : NGX_DECLINED;
    }

    now = ngx_time();

    if (ep->naddrs && now < ep->valid) {
        return NGX_OK;
    }

    if (ep->resolving == NULL && !connect->resolved
        && (ep->naddrs == 0
            || (ngx_msec_int_t) (ngx_current_msec - ep->retry) >= 0))
    {
        connect->resolved = 1;

        ngx_http_kiro_resolve_start(ep);
    }

    if (ep->naddrs
        && (ep->resolving == NULL || connect->impatient
            || now < ep->valid + NGX_HTTP_KIRO_RESOLVE_GRACE))
    {
        return NGX_OK;
    }

    if (ep->resolving == NULL) {
        return NGX_DECLINED;
    }

    if (!connect->waiting) {
        ngx_queue_insert_tail(&ep->waiters, &connect->waiter);
        connect->waiting = 1;
    }

    connect->resolved = 1;

    return NGX_AGAIN;
}


void
ngx_http_kiro_resolve_leave(ngx_http_kiro_connect_t *connect)
{
    if (connect->waiting) {
        ngx_queue_remove(&connect->waiter);
        connect->waiting = 0;
    }
}


static void
ngx_http_kiro_resolve_start(ngx_http_kiro_endpoint_t *ep)
{
    ngx_resolver_ctx_t       *rctx;
    ngx_http_kiro_account_t  *account;

    account = ep->account;

    rctx = ngx_resolve_start(account->resolver, NULL);

    if (rctx == NULL || rctx == NGX_NO_RESOLVER) {
        return;
    }

    rctx->name = ep->name;
    rctx->handler = ngx_http_kiro_resolve_handler;
    rctx->data = ep;
    rctx->timeout = account->resolver_timeout;

    /* who waits has a timer of its own */

    rctx->cancelable = 1;

    ep->resolving = rctx;

    /* it may call the handler from inside */

    if (ngx_resolve_name(rctx) != NGX_OK) {
        ep->resolving = NULL;
        ep->retry = ngx_current_msec + NGX_HTTP_KIRO_RESOLVE_RETRY;
    }
}


static void
ngx_http_kiro_resolve_handler(ngx_resolver_ctx_t *rctx)
{
    ngx_queue_t               *q;
    ngx_http_kiro_connect_t   *connect;
    ngx_http_kiro_endpoint_t  *ep;

    ep = rctx->data;

    ep->resolving = NULL;

    if (rctx->state == NGX_OK && ngx_http_kiro_resolve_copy(ep, rctx) == NGX_OK)
    {
        ep->valid = ngx_max(rctx->valid, ngx_time() + 1);

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "kiro_account \"%V\": \"%V\" could not be resolved "
                      "(%i: %s)%s", &ep->account->name, &ep->name, rctx->state,
                      ngx_resolver_strerror(rctx->state),
                      ep->naddrs ? ", its last addresses are used" : "");

        ep->retry = ngx_current_msec + NGX_HTTP_KIRO_RESOLVE_RETRY;
    }

    ngx_resolve_name_done(rctx);

    while (!ngx_queue_empty(&ep->waiters)) {

        q = ngx_queue_head(&ep->waiters);
        connect = ngx_queue_data(q, ngx_http_kiro_connect_t, waiter);

        ngx_http_kiro_resolve_leave(connect);

        ngx_post_event(&connect->step, &ngx_posted_events);
    }
}


/* the resolver's memory is gone when it is told that we are done */

static ngx_int_t
ngx_http_kiro_resolve_copy(ngx_http_kiro_endpoint_t *ep,
    ngx_resolver_ctx_t *rctx)
{
    u_char      *p;
    size_t       len;
    ngx_uint_t   i, n;
    ngx_pool_t  *pool;
    ngx_addr_t  *addrs;

    n = ngx_min(rctx->naddrs, NGX_HTTP_KIRO_RESOLVE_MAX);

    if (n == 0) {
        return NGX_ERROR;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    addrs = ngx_pcalloc(pool, n * sizeof(ngx_addr_t));
    if (addrs == NULL) {
        goto failed;
    }

    for (i = 0; i < n; i++) {

        addrs[i].socklen = rctx->addrs[i].socklen;

        addrs[i].sockaddr = ngx_pcalloc(pool, sizeof(ngx_sockaddr_t));
        p = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);

        if (addrs[i].sockaddr == NULL || p == NULL) {
            goto failed;
        }

        ngx_memcpy(addrs[i].sockaddr, rctx->addrs[i].sockaddr,
                   addrs[i].socklen);

        ngx_inet_set_port(addrs[i].sockaddr, ep->port);

        len = ngx_sock_ntop(addrs[i].sockaddr, addrs[i].socklen, p,
                            NGX_SOCKADDR_STRLEN, 1);

        addrs[i].name.len = len;
        addrs[i].name.data = p;
    }

    if (ep->pool) {
        ngx_destroy_pool(ep->pool);
    }

    ep->pool = pool;
    ep->addrs = addrs;
    ep->naddrs = n;
    ep->current = 0;

    return NGX_OK;

failed:

    ngx_destroy_pool(pool);

    return NGX_ERROR;
}


void
ngx_http_kiro_resolve_exit(ngx_http_kiro_endpoint_t *ep)
{
    if (ep->resolving) {
        ngx_resolve_name_done(ep->resolving);
        ep->resolving = NULL;
    }

    if (ep->pool) {
        ngx_destroy_pool(ep->pool);
        ep->pool = NULL;
        ep->naddrs = 0;
    }
}
