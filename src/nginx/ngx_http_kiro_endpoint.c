
/*
 * The hosts of an account: the runtime that answers, the one that refreshes, the
 * one that lists models; and TLS to them.
 */


#include "ngx_http_kiro.h"


static ngx_int_t ngx_http_kiro_endpoint_ssl(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_endpoint_runtime(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_endpoint_auth(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_endpoint_management(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_endpoint_url(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account, ngx_str_t *value, char *name,
    ngx_url_t *u, ngx_uint_t *ssl);


ngx_int_t
ngx_http_kiro_endpoint_init(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    if (ngx_http_kiro_endpoint_ssl(cf, account) != NGX_OK
        || ngx_http_kiro_endpoint_runtime(cf, account) != NGX_OK
        || ngx_http_kiro_endpoint_auth(cf, account) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_endpoint_ssl(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    ngx_pool_cleanup_t  *cln;

    account->ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (account->ssl == NULL) {
        return NGX_ERROR;
    }

    account->ssl->log = cf->log;

    if (ngx_ssl_create(account->ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(account->ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = account->ssl;

    if (account->ssl_trusted_certificate.len) {

        if (ngx_ssl_trusted_certificate(cf, account->ssl,
                                        &account->ssl_trusted_certificate, 5)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (account->ssl_verify
               && SSL_CTX_set_default_verify_paths(account->ssl->ctx) == 0)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    return ngx_ssl_client_session_cache(cf, account->ssl, 1);
}


/* splits off the scheme and lets nginx parse the rest */

static ngx_int_t
ngx_http_kiro_endpoint_url(ngx_conf_t *cf, ngx_http_kiro_account_t *account,
    ngx_str_t *value, char *name, ngx_url_t *u, ngx_uint_t *ssl)
{
    size_t  add;

    if (value->len > 8
        && ngx_strncasecmp(value->data, (u_char *) "https://", 8) == 0)
    {
        add = 8;
        u->default_port = 443;
        *ssl = 1;

    } else if (value->len > 7
               && ngx_strncasecmp(value->data, (u_char *) "http://", 7) == 0)
    {
        add = 7;
        u->default_port = 80;
        *ssl = 0;

    } else {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": \"%s %V\" must begin with "
                      "\"https://\" or \"http://\" in %s:%ui",
                      &account->name, name, value, account->file,
                      account->line);
        return NGX_ERROR;
    }

    u->url.data = value->data + add;
    u->url.len = value->len - add;
    u->uri_part = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_endpoint_runtime(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    ngx_url_t    u;
    ngx_str_t    host;
    ngx_uint_t   ssl;

    host.len = sizeof("runtime..kiro.dev") - 1 + account->region.len;

    host.data = ngx_pnalloc(cf->pool, host.len);
    if (host.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(host.data, "runtime.%V.kiro.dev", &account->region);

    account->service_host = host;

    if (account->endpoint.len == 0) {
        account->endpoint.len = sizeof("https://") - 1 + host.len;

        account->endpoint.data = ngx_pnalloc(cf->pool, account->endpoint.len);
        if (account->endpoint.data == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(account->endpoint.data, "https://%V", &host);
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (ngx_http_kiro_endpoint_url(cf, account, &account->endpoint, "endpoint",
                                  &u, &ssl)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    u.no_resolve = 1;

    account->upstream = ngx_http_upstream_add(cf, &u, 0);
    if (account->upstream == NULL) {
        return NGX_ERROR;
    }

    account->upstream_ssl = ssl;
    account->prefix = u.uri;

    while (account->prefix.len
           && account->prefix.data[account->prefix.len - 1] == '/')
    {
        account->prefix.len--;
    }

    account->host = u.host;

    return NGX_OK;
}


/*
 * The name of an upstream{} block is nobody's host name: without "ssl_name" the
 * service's own name is used.  Blocks may follow the account, so this is decided
 * when all of http{} was read.
 */

ngx_int_t
ngx_http_kiro_endpoint_settle(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    u_char  *p;

    if (account->ssl_name.len) {
        account->host = account->ssl_name;

    } else if (account->upstream->flags & NGX_HTTP_UPSTREAM_CREATE) {
        account->host = account->service_host;
    }

    p = ngx_pnalloc(cf->pool, account->host.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(p, account->host.data, account->host.len + 1);

    account->host.data = p;
    account->ssl_name_value.value = account->host;

    return ngx_http_kiro_endpoint_management(cf, account);
}


/*
 * Without it the built-in models are used, so the default host may be unknown
 * here.  Beside an endpoint that is not the service itself there is no default: a
 * token goes to no host that the operator may not have in mind.
 */

static ngx_int_t
ngx_http_kiro_endpoint_management(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account)
{
    ngx_str_t   url;
    ngx_url_t   u;
    ngx_uint_t  ssl;

    if (account->models_interval == 0) {
        return NGX_OK;
    }

    url = account->management_endpoint;

    if (url.len == 0) {

        if (!(account->upstream->flags & NGX_HTTP_UPSTREAM_CREATE)
            && (account->upstream->host.len != account->service_host.len
                || ngx_strncasecmp(account->upstream->host.data,
                                   account->service_host.data,
                                   account->service_host.len)
                   != 0))
        {
            return NGX_OK;
        }

        url.len = sizeof("https://management..kiro.dev") - 1
                  + account->region.len;

        url.data = ngx_pnalloc(cf->pool, url.len);
        if (url.data == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(url.data, "https://management.%V.kiro.dev",
                    &account->region);
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (ngx_http_kiro_endpoint_url(cf, account, &url, "management_endpoint", &u,
                                  &ssl)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {

        if (account->management_endpoint.len == 0) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "kiro_account \"%V\": %s \"%V\", the built-in list "
                          "of models is used", &account->name,
                          u.err ? u.err : "invalid address", &url);
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": %s in \"management_endpoint\" "
                      "\"%V\" in %s:%ui", &account->name,
                      u.err ? u.err : "invalid address", &url, account->file,
                      account->line);
        return NGX_ERROR;
    }

    account->management.host = account->ssl_name.len
                               && account->management_endpoint.len
                               ? account->ssl_name : u.host;
    account->management.prefix = u.uri;
    account->management.addrs = u.addrs;
    account->management.naddrs = u.naddrs;
    account->management.ssl = ssl;
    account->has_management = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_endpoint_auth(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    size_t                 len;
    ngx_str_t              url;
    ngx_url_t              u;
    ngx_uint_t             ssl;
    kiro_credential_view   view;
    u_char                 buf[512];

    kiro_credential_get(account->credential, &view);

    url = account->auth_endpoint;

    if (url.len == 0) {

        if (view.login == KIRO_LOGIN_API_KEY || !account->refresh) {
            return NGX_OK;
        }

        len = kiro_auth_endpoint(account->credential, (char *) buf,
                                 sizeof(buf));

        if (len == 0 || len > sizeof(buf)) {
            return NGX_OK;
        }

        url.len = len;
        url.data = ngx_pnalloc(cf->pool, len);
        if (url.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(url.data, buf, len);
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (ngx_http_kiro_endpoint_url(cf, account, &url, "auth_endpoint", &u, &ssl)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": %s in \"auth_endpoint\" \"%V\" "
                      "in %s:%ui", &account->name,
                      u.err ? u.err : "invalid address", &url, account->file,
                      account->line);
        return NGX_ERROR;
    }

    account->auth.host = account->ssl_name.len && account->auth_endpoint.len
                         ? account->ssl_name : u.host;
    account->auth.prefix = u.uri;
    account->auth.addrs = u.addrs;
    account->auth.naddrs = u.naddrs;
    account->auth.ssl = ssl;
    account->has_auth = 1;

    while (account->auth.prefix.len
           && account->auth.prefix.data[account->auth.prefix.len - 1] == '/')
    {
        account->auth.prefix.len--;
    }

    return NGX_OK;
}
