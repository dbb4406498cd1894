
/*
 * The hosts of an account: the runtime that answers, the one that lists profiles
 * and models, both in each region that may be used; the one that refreshes; and
 * TLS to them.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_secret.h"


static ngx_int_t ngx_http_kiro_endpoint_ssl(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_endpoint_regions(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account, ngx_str_t *known);
static ngx_int_t ngx_http_kiro_endpoint_runtime(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account, ngx_http_kiro_region_t *region,
    ngx_uint_t spare);
static ngx_int_t ngx_http_kiro_endpoint_upstream(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account, ngx_http_kiro_region_t *region);
static ngx_int_t ngx_http_kiro_endpoint_auth(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_endpoint_management(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account, ngx_http_kiro_region_t *region);
static u_char *ngx_http_kiro_endpoint_by_region(ngx_str_t *value);
static ngx_int_t ngx_http_kiro_endpoint_in_region(ngx_conf_t *cf,
    ngx_str_t *value, ngx_str_t *region, ngx_str_t *out);


/* stands in URLs and names for the region in use */

static ngx_str_t  ngx_http_kiro_region_word = ngx_string("{region}");


/* the regions that have hosts, in the order in which profiles are looked for */

static ngx_str_t  ngx_http_kiro_regions[] = {
    ngx_string("us-east-1"),
    ngx_string("eu-central-1")
};

#define NGX_HTTP_KIRO_REGIONS                                                 \
    (sizeof(ngx_http_kiro_regions) / sizeof(ngx_str_t))


ngx_int_t
ngx_http_kiro_endpoint_init(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    ngx_str_t                known;
    ngx_uint_t               i;
    ngx_http_kiro_region_t  *region;

    if (account->proxy
        && ngx_http_kiro_host_resolve(cf, NGX_LOG_EMERG, "proxy",
                                      account->proxy)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_kiro_endpoint_ssl(cf, account) != NGX_OK
        || ngx_http_kiro_endpoint_regions(cf, account, &known) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < account->nregions; i++) {

        region = &account->regions[i];

        if (ngx_http_kiro_endpoint_runtime(cf, account, region,
                                           account->nregions > 1
                                           && (region->name.len != known.len
                                               || ngx_strncmp(region->name.data,
                                                              known.data,
                                                              known.len)
                                                  != 0))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_kiro_endpoint_auth(cf, account);
}


/*
 * The region that is set, or else all that there are: the profile ARN decides
 * each time, and it may come late.  An endpoint of the operator's is what it is.
 */

static ngx_int_t
ngx_http_kiro_endpoint_regions(ngx_conf_t *cf, ngx_http_kiro_account_t *account,
    ngx_str_t *known)
{
    kiro_str               name;
    ngx_str_t              only;
    ngx_uint_t             i, n;
    kiro_credential_view   view;

    ngx_str_null(known);

    only = account->region;
    n = 1;

    if (only.len && !kiro_is_region(ngx_http_kiro_str(&only))) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": \"region\" is no region in %s:%ui",
                      &account->name, account->file, account->line);
        return NGX_ERROR;
    }

    if (only.len == 0) {

        ngx_http_kiro_source_view(account, &view);

        if (kiro_arn_region(view.profile_arn, &name) != KIRO_OK) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "kiro_account \"%V\": the profile ARN is malformed, "
                          "set \"profile_arn\" or \"region\", in %s:%ui",
                          &account->name, account->file, account->line);
            return NGX_ERROR;
        }

        only.len = name.len;
        only.data = ngx_pnalloc(cf->pool, name.len);
        if (only.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(only.data, name.data, name.len);

        if (view.login != KIRO_LOGIN_API_KEY
            && (account->endpoint.len == 0
                || ngx_http_kiro_endpoint_by_region(&account->endpoint)))
        {
            n = NGX_HTTP_KIRO_REGIONS;

            if (view.profile_arn.len) {
                *known = only;
            }
        }
    }

    account->regions = ngx_pcalloc(cf->pool,
                                   n * sizeof(ngx_http_kiro_region_t));
    if (account->regions == NULL) {
        return NGX_ERROR;
    }

    account->nregions = n;

    if (n == 1) {
        account->regions[0].name = only;
        return NGX_OK;
    }

    for (i = 0; i < n; i++) {
        account->regions[i].name = ngx_http_kiro_regions[i];

        if (known->len == ngx_http_kiro_regions[i].len
            && ngx_strncmp(known->data, ngx_http_kiro_regions[i].data,
                           known->len)
               == 0)
        {
            break;
        }
    }

    if (known->len && i == n) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": the service has no hosts in \"%V\", "
                      "the region of the profile ARN; set \"region\" if it has "
                      "now, in %s:%ui", &account->name, known, account->file,
                      account->line);
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        account->regions[i].name = ngx_http_kiro_regions[i];
    }

    return NGX_OK;
}


/* whose hosts serve a request that has this ARN */

ngx_http_kiro_region_t *
ngx_http_kiro_region(ngx_http_kiro_account_t *account, ngx_str_t *arn,
    kiro_failure *f)
{
    kiro_str                 name;
    ngx_uint_t               i;
    ngx_http_kiro_region_t  *region;

    region = account->regions;

    if (account->nregions == 1) {
        return region;
    }

    if (kiro_arn_region(ngx_http_kiro_str(arn), &name) == KIRO_OK) {

        for (i = 0; i < account->nregions; i++, region++) {

            if (region->name.len != name.len
                || ngx_strncmp(region->name.data, name.data, name.len) != 0)
            {
                continue;
            }

            if (region->upstream) {
                return region;
            }

            kiro_failure_set(f, KIRO_FAIL_UPSTREAM_CONNECT,
                             "the service's host in %.*s had no address when "
                             "the gateway was started; its operator has to "
                             "reload nginx", (int) name.len, name.data);
            return NULL;
        }
    }

    kiro_failure_set(f, KIRO_FAIL_UPSTREAM_REFUSED,
                     "the service has no hosts in the region of the gateway's "
                     "profile; its operator has to check profile_arn");
    return NULL;
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

    ngx_http_kiro_secret_ssl(account->ssl);

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


static u_char *
ngx_http_kiro_endpoint_by_region(ngx_str_t *value)
{
    return ngx_strnstr(value->data, (char *) ngx_http_kiro_region_word.data,
                       value->len);
}


static ngx_int_t
ngx_http_kiro_endpoint_in_region(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *region, ngx_str_t *out)
{
    u_char     *p;
    ngx_str_t  *word;

    word = &ngx_http_kiro_region_word;

    p = ngx_http_kiro_endpoint_by_region(value);

    if (p == NULL) {
        *out = *value;
        return NGX_OK;
    }

    out->len = value->len - word->len + region->len;
    out->data = ngx_pnalloc(cf->pool, out->len + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(out->data, "%*s%V%*s%Z", (size_t) (p - value->data),
                value->data, region,
                (size_t) (value->data + value->len - p - word->len),
                p + word->len);

    return NGX_OK;
}


/* a spare host is not known to be needed: it may have no address */

static ngx_int_t
ngx_http_kiro_endpoint_runtime(ngx_conf_t *cf, ngx_http_kiro_account_t *account,
    ngx_http_kiro_region_t *region, ngx_uint_t spare)
{
    ngx_str_t  url;

    region->service_host.len = sizeof("runtime..kiro.dev") - 1
                               + region->name.len;
    region->service_host.data = ngx_pnalloc(cf->pool,
                                            region->service_host.len);
    if (region->service_host.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(region->service_host.data, "runtime.%V.kiro.dev",
                &region->name);

    if (account->endpoint.len) {

        if (ngx_http_kiro_endpoint_in_region(cf, &account->endpoint,
                                             &region->name, &url)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        spare = 0;

    } else {
        url.len = sizeof("https://") - 1 + region->service_host.len;
        url.data = ngx_pnalloc(cf->pool, url.len);
        if (url.data == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(url.data, "https://%V", &region->service_host);
    }

    region->spare = spare;

    return ngx_http_kiro_host_parse(cf, account, &url, "endpoint",
                                    &region->runtime);
}


/* how attempts get to the region's host; a spare one may have no address */

static ngx_int_t
ngx_http_kiro_endpoint_upstream(ngx_conf_t *cf, ngx_http_kiro_account_t *account,
    ngx_http_kiro_region_t *region)
{
    ngx_int_t                  rc;
    ngx_uint_t                 level;
    ngx_http_kiro_endpoint_t  *ep;

    ep = &region->runtime;

    region->upstream = ngx_http_kiro_host_block(cf, ep);

    if (region->upstream) {

        if (!ep->no_port) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "kiro_account \"%V\": upstream \"%V\" may not have "
                          "port %d in %s:%ui", &account->name, &ep->name,
                          (int) ep->port, account->file, account->line);
            return NGX_ERROR;
        }

        if (account->proxy) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "kiro_account \"%V\": \"proxy\" needs a plain host, "
                          "\"%V\" is an upstream block, in %s:%ui",
                          &account->name, &ep->name, account->file,
                          account->line);
            return NGX_ERROR;
        }

        region->grouped = 1;
        ep->host = region->service_host;

        return NGX_OK;
    }

    level = region->spare ? NGX_LOG_WARN : NGX_LOG_EMERG;

    rc = ngx_http_kiro_host_resolve(cf, level, "endpoint", ep);

    if (rc == NGX_DECLINED && region->spare) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    region->upstream = ngx_http_kiro_host_upstream(cf, ep);

    return region->upstream ? NGX_OK : NGX_ERROR;
}


/*
 * The name of an upstream{} block is nobody's host name: without "ssl_name" the
 * service's own name is used.  Blocks may follow the account, so this is decided
 * when all of http{} was read.
 */

ngx_int_t
ngx_http_kiro_endpoint_settle(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    u_char                    *p;
    ngx_uint_t                 i, n;
    ngx_http_kiro_region_t    *region;
    ngx_http_kiro_endpoint_t  *ep;

    n = 0;

    for (i = 0; i < account->nregions; i++) {

        region = &account->regions[i];
        ep = &region->runtime;

        if (ngx_http_kiro_endpoint_upstream(cf, account, region) != NGX_OK) {
            return NGX_ERROR;
        }

        if (region->upstream == NULL) {
            continue;
        }

        n++;

        if (account->ssl_name.len
            && ngx_http_kiro_endpoint_in_region(cf, &account->ssl_name,
                                                &region->name, &ep->host)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = ngx_pnalloc(cf->pool, ep->host.len + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_cpystrn(p, ep->host.data, ep->host.len + 1);

        ep->host.data = p;
        region->ssl_name.value = ep->host;

        region->legacy = ep->host.len > sizeof(".amazonaws.com") - 1
                         && ngx_strncasecmp(ep->host.data + ep->host.len
                                            - (sizeof(".amazonaws.com") - 1),
                                            (u_char *) ".amazonaws.com",
                                            sizeof(".amazonaws.com") - 1)
                            == 0;

        if (ngx_http_kiro_endpoint_management(cf, account, region) != NGX_OK) {
            return NGX_ERROR;
        }

        account->has_management |= region->has_management;
    }

    if (n == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": no host of the service has an "
                      "address, check the name server or "
                      "add \"resolver\" or \"proxy\", in %s:%ui",
                      &account->name, account->file, account->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Without it the built-in models are used, and a profile ARN must be known: the
 * default host may be unknown here.  Beside an endpoint that is not the service
 * itself there is no default: a token goes to no host that the operator may not
 * have in mind.
 */

static ngx_int_t
ngx_http_kiro_endpoint_management(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account, ngx_http_kiro_region_t *region)
{
    ngx_int_t                  rc;
    ngx_str_t                  url;
    ngx_uint_t                 level;
    kiro_credential_view       view;
    ngx_http_kiro_endpoint_t  *ep;

    ngx_http_kiro_source_view(account, &view);

    if (account->models_interval == 0 && account->usage_interval == 0
        && view.login == KIRO_LOGIN_API_KEY)
    {
        return NGX_OK;
    }

    if (ngx_http_kiro_endpoint_in_region(cf, &account->management_endpoint,
                                         &region->name, &url)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (url.len == 0) {

        if (!region->grouped
            && (region->runtime.name.len != region->service_host.len
                || ngx_strncasecmp(region->runtime.name.data,
                                   region->service_host.data,
                                   region->service_host.len)
                   != 0))
        {
            return NGX_OK;
        }

        url.len = sizeof("https://management..kiro.dev") - 1
                  + region->name.len;

        url.data = ngx_pnalloc(cf->pool, url.len);
        if (url.data == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(url.data, "https://management.%V.kiro.dev",
                    &region->name);
    }

    ep = &region->management;

    if (ngx_http_kiro_host_parse(cf, account, &url, "management_endpoint", ep)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    level = account->management_endpoint.len ? NGX_LOG_EMERG : NGX_LOG_WARN;

    rc = ngx_http_kiro_host_resolve(cf, level, "management_endpoint", ep);

    if (rc == NGX_DECLINED && level == NGX_LOG_WARN) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "kiro_account \"%V\": the built-in list of models is used "
                      "and profiles cannot be looked up", &account->name);
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (account->ssl_name.len && account->management_endpoint.len) {
        ep->host = region->runtime.host;
    }

    region->has_management = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_endpoint_auth(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    size_t                     len;
    ngx_str_t                  url;
    kiro_credential_view       view;
    ngx_http_kiro_endpoint_t  *ep;
    u_char                     buf[512];

    ngx_http_kiro_source_view(account, &view);

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

    ep = &account->auth;

    if (ngx_http_kiro_host_parse(cf, account, &url, "auth_endpoint", ep)
        != NGX_OK
        || ngx_http_kiro_host_resolve(cf, NGX_LOG_EMERG, "auth_endpoint", ep)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* an identity provider names the whole path, with a slash at the end or not */

    if (view.login == KIRO_LOGIN_EXTERNAL && ep->prefix.data) {
        ep->prefix.len = url.data + url.len - ep->prefix.data;
    }

    if (account->ssl_name.len && account->auth_endpoint.len
        && !ngx_http_kiro_endpoint_by_region(&account->ssl_name))
    {
        ep->host = account->ssl_name;
    }

    account->has_auth = 1;

    return NGX_OK;
}
