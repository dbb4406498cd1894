
/*
 * The way through an HTTP proxy: CONNECT, and its answer.  What follows is between
 * us and the host.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"


#define NGX_HTTP_KIRO_TUNNEL_BUFFER  8192


static ngx_int_t ngx_http_kiro_tunnel_create(ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_tunnel_write_handler(ngx_event_t *wev);
static void ngx_http_kiro_tunnel_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_http_kiro_tunnel_parse(ngx_buf_t *b, ngx_uint_t *status);
static void ngx_http_kiro_tunnel_answered(ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_tunnel_dummy_handler(ngx_event_t *wev);


/* ngx_http_kiro_secure() goes on when the tunnel is there */

void
ngx_http_kiro_tunnel(ngx_http_kiro_connect_t *connect)
{
    ngx_connection_t  *c;

    c = connect->conn->connection;

    if (ngx_http_kiro_tunnel_create(connect) != NGX_OK) {
        ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_INTERNAL,
                                     "out of memory");
        return;
    }

    connect->log.action = "asking the proxy for the host";

    c->read->handler = ngx_http_kiro_tunnel_read_handler;
    c->write->handler = ngx_http_kiro_tunnel_write_handler;

    ngx_http_kiro_tunnel_write_handler(c->write);
}


static ngx_int_t
ngx_http_kiro_tunnel_create(ngx_http_kiro_connect_t *connect)
{
    size_t                     len;
    ngx_buf_t                 *b;
    ngx_str_t                 *auth;
    ngx_http_kiro_endpoint_t  *ep;

    ep = connect->endpoint;
    auth = &ep->account->proxy_authorization;

    len = sizeof("CONNECT :65535 HTTP/1.1" CRLF) - 1 + ep->name.len
          + sizeof("Host: :65535" CRLF) - 1 + ep->name.len
          + sizeof("Proxy-Authorization: Basic " CRLF) - 1 + auth->len
          + sizeof(CRLF) - 1;

    b = ngx_create_temp_buf(connect->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_sprintf(b->last, "CONNECT %V:%d HTTP/1.1" CRLF
                          "Host: %V:%d" CRLF,
                          &ep->name, (int) ep->port,
                          &ep->name, (int) ep->port);

    if (auth->len) {
        b->last = ngx_sprintf(b->last, "Proxy-Authorization: Basic %V" CRLF,
                              auth);
    }

    *b->last++ = CR; *b->last++ = LF;

    connect->request = b;

    if (connect->reply == NULL) {
        connect->reply = ngx_create_temp_buf(connect->pool,
                                             NGX_HTTP_KIRO_TUNNEL_BUFFER);
        if (connect->reply == NULL) {
            return NGX_ERROR;
        }
    }

    connect->reply->last = connect->reply->start;

    return NGX_OK;
}


static void
ngx_http_kiro_tunnel_write_handler(ngx_event_t *wev)
{
    ssize_t                   n;
    ngx_buf_t                *b;
    ngx_connection_t         *c;
    ngx_http_kiro_connect_t  *connect;

    c = wev->data;
    connect = c->data;
    b = connect->request;

    while (b->pos < b->last) {

        n = c->send(c, b->pos, b->last - b->pos);

        if (n == NGX_ERROR) {
            ngx_http_kiro_connect_next(connect, NGX_HTTP_KIRO_CONNECT_PROXY,
                                       "the proxy closed the connection");
            return;
        }

        if (n == NGX_AGAIN || n == 0) {

            if (ngx_handle_write_event(wev, 0) != NGX_OK) {
                ngx_http_kiro_connect_finish(connect,
                                             NGX_HTTP_KIRO_CONNECT_INTERNAL,
                                             "out of memory");
            }

            return;
        }

        b->pos += n;
    }

    ngx_explicit_memzero(b->start, b->last - b->start);

    wev->handler = ngx_http_kiro_tunnel_dummy_handler;

    ngx_http_kiro_tunnel_read_handler(c->read);
}


static void
ngx_http_kiro_tunnel_read_handler(ngx_event_t *rev)
{
    ssize_t                   n;
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_connection_t         *c;
    ngx_http_kiro_connect_t  *connect;

    c = rev->data;
    connect = c->data;
    b = connect->reply;

    if (c->close) {
        ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_EXITING,
                                     "the worker is shutting down");
        return;
    }

    if (connect->request->pos != connect->request->last) {
        return;
    }

    for ( ;; ) {

        n = c->recv(c, b->last, b->end - b->last);

        if (n == NGX_AGAIN) {

            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_http_kiro_connect_finish(connect,
                                             NGX_HTTP_KIRO_CONNECT_INTERNAL,
                                             "out of memory");
            }

            return;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_log_error(NGX_LOG_ERR, &connect->log, 0,
                          "the proxy closed the connection");
            ngx_http_kiro_connect_next(connect, NGX_HTTP_KIRO_CONNECT_PROXY,
                                       "the proxy closed the connection");
            return;
        }

        b->last += n;

        rc = ngx_http_kiro_tunnel_parse(b, &connect->status);

        if (rc == NGX_OK) {
            ngx_http_kiro_tunnel_answered(connect);
            return;
        }

        if (rc == NGX_ERROR || b->last == b->end) {
            connect->status = 0;

            ngx_log_error(NGX_LOG_ERR, &connect->log, 0,
                          "the proxy sent no proper answer");
            ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_PROXY,
                                         "the proxy sent no proper answer");
            return;
        }
    }
}


/* NGX_OK: all of the header is there; nothing may follow a tunnel's */

static ngx_int_t
ngx_http_kiro_tunnel_parse(ngx_buf_t *b, ngx_uint_t *status)
{
    u_char      *p, *end;
    size_t       len;
    ngx_int_t    code;

    static u_char  version[] = "HTTP/1.";

    len = b->last - b->start;

    if (ngx_memcmp(b->start, version, ngx_min(len, sizeof(version) - 1)) != 0) {
        return NGX_ERROR;
    }

    /* "HTTP/1.x 200" */

    if (len < 13) {
        return NGX_AGAIN;
    }

    code = ngx_atoi(b->start + 9, 3);

    if (b->start[8] != ' ' || code < 200 || code > 599
        || (b->start[12] != ' ' && b->start[12] != CR && b->start[12] != LF))
    {
        return NGX_ERROR;
    }

    *status = code;

    for (p = b->start; p < b->last; p++) {

        if (*p != LF) {
            continue;
        }

        end = p + 1;

        if (end < b->last && *end == CR) {
            end++;
        }

        if (end < b->last && *end == LF) {
            return code / 100 == 2 && end + 1 != b->last ? NGX_ERROR : NGX_OK;
        }
    }

    return NGX_AGAIN;
}


static void
ngx_http_kiro_tunnel_answered(ngx_http_kiro_connect_t *connect)
{
    const char        *text;
    ngx_connection_t  *c;

    if (connect->status / 100 == 2) {

        c = connect->conn->connection;

        if (ngx_handle_write_event(c->write, 0) != NGX_OK
            || ngx_handle_read_event(c->read, 0) != NGX_OK)
        {
            ngx_http_kiro_connect_finish(connect,
                                         NGX_HTTP_KIRO_CONNECT_INTERNAL,
                                         "out of memory");
            return;
        }

        ngx_http_kiro_secure(connect);
        return;
    }

    switch (connect->status) {

    case 407:
        text = "the proxy wants other credentials, see \"proxy\"";
        break;

    case 403:
        text = "the proxy forbids the host";
        break;

    default:
        text = "the proxy gives no connection to the host";
    }

    ngx_log_error(NGX_LOG_ERR, &connect->log, 0, "the proxy answered %ui",
                  connect->status);

    ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_PROXY, text);
}


static void
ngx_http_kiro_tunnel_dummy_handler(ngx_event_t *wev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_EVENT, wev->log, 0, "kiro tunnel dummy");
}
