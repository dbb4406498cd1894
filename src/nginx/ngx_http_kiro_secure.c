
/*
 * TLS with the host of a connection: session, handshake, verification.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"


static ngx_int_t ngx_http_kiro_secure_ssl(ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_secure_handler(ngx_event_t *ev);
static void ngx_http_kiro_secure_handshake(ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_secure_verify(ngx_http_kiro_connect_t *connect);
static void ngx_http_kiro_secure_save_session(ngx_connection_t *c);


/* where a connection's endpoint is found when a ticket for its session comes */

static int  ngx_http_kiro_secure_index = -1;


/* the bytes reach the host from here on */

void
ngx_http_kiro_secure(ngx_http_kiro_connect_t *connect)
{
    if (!connect->endpoint->ssl) {
        ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_OK, NULL);
        return;
    }

    if (ngx_http_kiro_secure_ssl(connect) != NGX_OK) {
        ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_INTERNAL,
                                     "out of memory");
        return;
    }

    connect->log.action = "SSL handshaking with the host";

    ngx_http_kiro_secure_handshake(connect);
}


static ngx_int_t
ngx_http_kiro_secure_ssl(ngx_http_kiro_connect_t *connect)
{
    u_char                    *name;
    ngx_connection_t          *c;
    ngx_http_kiro_endpoint_t  *ep;

    ep = connect->endpoint;
    c = connect->conn->connection;

    if (ngx_ssl_create_connection(ep->account->ssl, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* no SNI for a literal address */

    if (ep->host.len
        && ngx_inet_addr(ep->host.data, ep->host.len) == INADDR_NONE
        && ep->host.data[0] != '[')
    {
        name = ngx_pnalloc(connect->pool, ep->host.len + 1);
        if (name == NULL) {
            return NGX_ERROR;
        }

        ngx_cpystrn(name, ep->host.data, ep->host.len + 1);

        if (SSL_set_tlsext_host_name(c->ssl->connection, (char *) name) == 0) {
            ngx_ssl_error(NGX_LOG_ERR, &connect->log, 0,
                          "SSL_set_tlsext_host_name(\"%s\") failed", name);
            return NGX_ERROR;
        }
    }

    if (ngx_http_kiro_secure_index == -1) {
        ngx_http_kiro_secure_index = SSL_get_ex_new_index(0, NULL, NULL, NULL,
                                                          NULL);
    }

    if (ngx_http_kiro_secure_index == -1
        || SSL_set_ex_data(c->ssl->connection, ngx_http_kiro_secure_index, ep)
           == 0)
    {
        return NGX_ERROR;
    }

    c->ssl->save_session = ngx_http_kiro_secure_save_session;

    return ep->session ? ngx_ssl_set_session(c, ep->session) : NGX_OK;
}


static void
ngx_http_kiro_secure_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_kiro_connect_t  *connect;

    c = ev->data;
    connect = c->data;

    if (c->close) {
        ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_EXITING,
                                     "the worker is shutting down");
        return;
    }

    ngx_http_kiro_secure_handshake(connect);
}


static void
ngx_http_kiro_secure_handshake(ngx_http_kiro_connect_t *connect)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_kiro_endpoint_t  *ep;

    ep = connect->endpoint;
    c = connect->conn->connection;

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {

        /* nginx's own handlers do not look at c->close */

        c->read->handler = ngx_http_kiro_secure_handler;
        c->write->handler = ngx_http_kiro_secure_handler;
        return;
    }

    if (!c->ssl->handshaked) {

        if (ep->session) {
            ngx_ssl_free_session(ep->session);
            ep->session = NULL;
        }

        ngx_http_kiro_connect_next(connect, NGX_HTTP_KIRO_CONNECT_TLS,
                                   "the TLS handshake with the host failed");
        return;
    }

    ngx_http_kiro_secure_verify(connect);
}


/* who fails here is configuration, not weather: no other address is tried */

static void
ngx_http_kiro_secure_verify(ngx_http_kiro_connect_t *connect)
{
    long                       rc;
    ngx_connection_t          *c;
    ngx_http_kiro_endpoint_t  *ep;

    ep = connect->endpoint;
    c = connect->conn->connection;

    if (ep->account->ssl_verify) {

        rc = SSL_get_verify_result(c->ssl->connection);

        if (rc != X509_V_OK) {
            ngx_log_error(NGX_LOG_ERR, &connect->log, 0,
                          "SSL certificate verify error: (%l:%s)",
                          rc, X509_verify_cert_error_string(rc));
            ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_VERIFY,
                                         "the certificate of the host does not "
                                         "verify, see "
                                         "\"ssl_trusted_certificate\"");
            return;
        }

        if (ngx_ssl_check_host(c, &ep->host) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, &connect->log, 0,
                          "SSL certificate does not match \"%V\"", &ep->host);
            ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_VERIFY,
                                         "the certificate of the host is for "
                                         "another name");
            return;
        }
    }

    ngx_http_kiro_connect_finish(connect, NGX_HTTP_KIRO_CONNECT_OK, NULL);
}


/* with TLS 1.3 long after the handshake */

static void
ngx_http_kiro_secure_save_session(ngx_connection_t *c)
{
    ngx_ssl_session_t         *session;
    ngx_http_kiro_endpoint_t  *ep;

    ep = SSL_get_ex_data(c->ssl->connection, ngx_http_kiro_secure_index);

    if (ep == NULL) {
        return;
    }

    session = ngx_ssl_get_session(c);
    if (session == NULL) {
        return;
    }

    if (ep->session) {
        ngx_ssl_free_session(ep->session);
    }

    ep->session = session;
}
