
/*
 * A host from its URL: its addresses, and what nginx's upstreams need to know of
 * it.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_exchange.h"


/*
 * Fills an endpoint from a URL, without its addresses.  The directive's name is
 * for the error message.
 */

ngx_int_t
ngx_http_kiro_host_parse(ngx_conf_t *cf, ngx_http_kiro_account_t *account,
    ngx_str_t *value, char *name, ngx_http_kiro_endpoint_t *ep)
{
    size_t     add;
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (value->len > 8
        && ngx_strncasecmp(value->data, (u_char *) "https://", 8) == 0)
    {
        add = 8;
        u.default_port = 443;
        ep->ssl = 1;

    } else if (value->len > 7
               && ngx_strncasecmp(value->data, (u_char *) "http://", 7) == 0)
    {
        add = 7;
        u.default_port = 80;
        ep->ssl = 0;

    } else {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": \"%s %V\" must begin with "
                      "\"https://\" or \"http://\" in %s:%ui",
                      &account->name, name, value, account->file,
                      account->line);
        return NGX_ERROR;
    }

    u.url.data = value->data + add;
    u.url.len = value->len - add;
    u.uri_part = 1;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": %s in \"%s\" \"%V\" in %s:%ui",
                      &account->name, u.err ? u.err : "invalid address", name,
                      value, account->file, account->line);
        return NGX_ERROR;
    }

    ep->account = account;
    ep->name = u.host;
    ep->host = u.host;
    ep->port = u.family == AF_UNIX ? 0 : u.port;
    ep->prefix = u.uri;
    ep->addrs = u.addrs;                  /* of a literal address */
    ep->naddrs = u.naddrs;
    ep->no_port = u.no_port;

    while (ep->prefix.len && ep->prefix.data[ep->prefix.len - 1] == '/') {
        ep->prefix.len--;
    }

    return NGX_OK;
}


/*
 * The addresses: by the resolver when they are needed, by the proxy, or now and
 * for good.
 */

ngx_int_t
ngx_http_kiro_host_resolve(ngx_conf_t *cf, ngx_uint_t level, char *name,
    ngx_http_kiro_endpoint_t *ep)
{
    ngx_url_t                 u;
    ngx_http_kiro_account_t  *account;

    account = ep->account;

    if (ep->naddrs) {
        return NGX_OK;
    }

    if (account->proxy && account->proxy != ep) {
        return NGX_OK;
    }

    if (account->resolver) {
        ep->lookup = 1;
        return NGX_OK;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.host = ep->name;
    u.port = ep->port;

    if (ngx_inet_resolve_host(cf->pool, &u) != NGX_OK || u.naddrs == 0) {

        ngx_log_error(level, cf->log, 0,
                      "kiro_account \"%V\": %s in \"%s\" \"%V\": add "
                      "\"resolver\" to look it up when it is needed%s, in "
                      "%s:%ui", &account->name,
                      u.err ? u.err : "host not found", name, &ep->name,
                      ep == account->proxy
                      ? "" : ", or \"proxy\" to leave that to a proxy",
                      account->file, account->line);

        return NGX_DECLINED;
    }

    ep->addrs = u.addrs;
    ep->naddrs = u.naddrs;

    return NGX_OK;
}


/* http://[user:password@]host[:port]; messages do not show it */

char *
ngx_http_kiro_host_proxy(ngx_conf_t *cf, ngx_http_kiro_account_t *account,
    ngx_str_t *args)
{
    u_char     *p, *at, *last, *dst, *src;
    ngx_str_t   rest, user;
    ngx_url_t   u;

    if (account->proxy) {
        return "is duplicate";
    }

    rest = args[1];

    if (rest.len <= 7
        || ngx_strncasecmp(rest.data, (u_char *) "http://", 7) != 0)
    {
        return "needs a value like \"http://host:port\" or "
               "\"http://user:password@host:port\"";
    }

    rest.data += 7;
    rest.len -= 7;

    last = rest.data + rest.len;
    at = NULL;

    for (p = rest.data; p < last; p++) {
        if (*p == '@') {
            at = p;
        }
    }

    if (at) {
        user.data = ngx_pnalloc(cf->pool, at - rest.data + 1);
        if (user.data == NULL) {
            return NGX_CONF_ERROR;
        }

        dst = user.data;
        src = rest.data;

        ngx_unescape_uri(&dst, &src, at - rest.data, 0);

        user.len = dst - user.data;

        account->proxy_authorization.data = ngx_pnalloc(cf->pool,
                                            ngx_base64_encoded_length(user.len));
        if (account->proxy_authorization.data == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_encode_base64(&account->proxy_authorization, &user);
        ngx_explicit_memzero(user.data, user.len);

        rest.data = at + 1;
        rest.len = last - rest.data;
    }

    while (rest.len && rest.data[rest.len - 1] == '/') {
        rest.len--;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = rest;
    u.default_port = 80;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "kiro_account \"%V\": %s in \"proxy\"",
                           &account->name, u.err ? u.err : "invalid address");
        return NGX_CONF_ERROR;
    }

    account->proxy = ngx_pcalloc(cf->pool, sizeof(ngx_http_kiro_endpoint_t));
    if (account->proxy == NULL) {
        return NGX_CONF_ERROR;
    }

    account->proxy->account = account;
    account->proxy->name = u.host;
    account->proxy->host = u.host;
    account->proxy->port = u.family == AF_UNIX ? 0 : u.port;
    account->proxy->addrs = u.addrs;
    account->proxy->naddrs = u.naddrs;

    return NGX_CONF_OK;
}


/* the upstream{} block of that name; blocks may follow the account */

ngx_http_upstream_srv_conf_t *
ngx_http_kiro_host_block(ngx_conf_t *cf, ngx_http_kiro_endpoint_t *ep)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);

    uscf = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if ((uscf[i]->flags & NGX_HTTP_UPSTREAM_CREATE)
            && uscf[i]->host.len == ep->name.len
            && ngx_strncasecmp(uscf[i]->host.data, ep->name.data, ep->name.len)
               == 0)
        {
            return uscf[i];
        }
    }

    return NULL;
}


/* a plain host: nginx is handed connections of our own */

ngx_http_upstream_srv_conf_t *
ngx_http_kiro_host_upstream(ngx_conf_t *cf, ngx_http_kiro_endpoint_t *ep)
{
    ngx_http_upstream_srv_conf_t  *uscf;

    uscf = ngx_pcalloc(cf->pool, sizeof(ngx_http_upstream_srv_conf_t));
    if (uscf == NULL) {
        return NULL;
    }

    uscf->srv_conf = ngx_pcalloc(cf->pool, sizeof(void *) * ngx_http_max_module);
    if (uscf->srv_conf == NULL) {
        return NULL;
    }

    uscf->host = ep->name;
    uscf->port = ep->port;
    uscf->file_name = ep->account->file;
    uscf->line = ep->account->line;
    uscf->peer.init = ngx_http_kiro_peer_init;

    return uscf;
}
