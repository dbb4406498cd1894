
/*
 * Clients in browsers: what a page of another origin may send and read.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"
#include "ngx_http_kiro_error.h"


/* of Access-Control-Request-Headers */

#define NGX_HTTP_KIRO_CORS_HEADERS  2048


static ngx_int_t ngx_http_kiro_cors_origin(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf, ngx_str_t *allow);
static ngx_uint_t ngx_http_kiro_cors_names(ngx_str_t *names);


/* kiro_cors_origin * | origin ... */

char *
ngx_http_kiro_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    u_char      *p, *last;
    ngx_str_t   *value, *origin;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (klcf->origins == NGX_CONF_UNSET_PTR) {
        klcf->origins = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (klcf->origins == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        last = value[i].data + value[i].len;

        if (value[i].len == 1 && value[i].data[0] == '*') {
            goto add;
        }

        /* what browsers send: no path, not even a slash */

        p = ngx_strlchr(value[i].data, last, ':');

        if (p == NULL || p == value[i].data || last - p < 4
            || p[1] != '/' || p[2] != '/'
            || ngx_strlchr(p + 3, last, '/')
            || ngx_strlchr(p + 3, last, '*'))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no origin, it must have the form "
                               "\"https://host\" or \"https://host:port\"",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

    add:

        origin = ngx_array_push(klcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


/* access phase: a preflight has no key and reaches no other module */

ngx_uint_t
ngx_http_kiro_cors_preflight(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf)
{
    ngx_str_t  allow;

    return klcf->origins
           && r->method == NGX_HTTP_OPTIONS
           && ngx_http_kiro_find_header(r, "access-control-request-method")
           && ngx_http_kiro_cors_origin(r, klcf, &allow) == NGX_OK;
}


/* header filter: of every response, also of errors */

ngx_int_t
ngx_http_kiro_cors_headers(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf)
{
    ngx_str_t         allow, value;
    ngx_table_elt_t  *h;

    if (klcf->origins == NULL) {
        return NGX_OK;
    }

    if (ngx_http_kiro_cors_origin(r, klcf, &allow) != NGX_OK) {

        /* a cache must know that it is another response for another origin */

        ngx_str_set(&value, "Origin");

        return ngx_http_kiro_add_header(r, "Vary", &value);
    }

    if (ngx_http_kiro_add_header(r, "Access-Control-Allow-Origin", &allow)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (allow.len != 1) {
        ngx_str_set(&value, "Origin");

        if (ngx_http_kiro_add_header(r, "Vary", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (!ngx_http_kiro_cors_preflight(r, klcf)) {

        ngx_str_set(&value, "Request-Id, X-Request-Id, Retry-After, "
                    "Retry-After-Ms, X-Should-Retry, X-Kiro-Usage, "
                    "X-Kiro-Credits, X-Kiro-Normalized");

        if (klcf->budgets) {
            ngx_str_set(&value, "Request-Id, X-Request-Id, Retry-After, "
                        "Retry-After-Ms, X-Should-Retry, X-Kiro-Usage, "
                        "X-Kiro-Credits, X-Kiro-Normalized, "
                        "X-RateLimit-Limit-Tokens, "
                        "X-RateLimit-Remaining-Tokens, "
                        "X-RateLimit-Reset-Tokens, "
                        "Anthropic-RateLimit-Tokens-Limit, "
                        "Anthropic-RateLimit-Tokens-Remaining, "
                        "Anthropic-RateLimit-Tokens-Reset");
        }

        return ngx_http_kiro_add_header(r, "Access-Control-Expose-Headers",
                                        &value);
    }

    ngx_str_set(&value, "GET, HEAD, POST, OPTIONS");

    if (ngx_http_kiro_add_header(r, "Access-Control-Allow-Methods", &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the SDKs send many headers of their own, more with each version */

    h = ngx_http_kiro_find_header(r, "access-control-request-headers");

    if (h && ngx_http_kiro_cors_names(&h->value)
        && ngx_http_kiro_add_header(r, "Access-Control-Allow-Headers",
                                    &h->value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a public page, a gateway in a private network */

    if (ngx_http_kiro_find_header(r, "access-control-request-private-network"))
    {
        ngx_str_set(&value, "true");

        if (ngx_http_kiro_add_header(r, "Access-Control-Allow-Private-Network",
                                     &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_str_set(&value, "7200");

    return ngx_http_kiro_add_header(r, "Access-Control-Max-Age", &value);
}


static ngx_int_t
ngx_http_kiro_cors_origin(ngx_http_request_t *r,
    ngx_http_kiro_loc_conf_t *klcf, ngx_str_t *allow)
{
    ngx_str_t        *origin;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    origin = klcf->origins->elts;
    h = ngx_http_kiro_find_header(r, "origin");

    for (i = 0; i < klcf->origins->nelts; i++) {

        if (origin[i].len == 1) {
            *allow = origin[i];
            return NGX_OK;
        }

        if (h && h->value.len == origin[i].len
            && ngx_strncasecmp(h->value.data, origin[i].data, origin[i].len)
               == 0)
        {
            *allow = h->value;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* they go back as they came: nothing but names of headers */

static ngx_uint_t
ngx_http_kiro_cors_names(ngx_str_t *names)
{
    u_char      c;
    ngx_uint_t  i;

    if (names->len > NGX_HTTP_KIRO_CORS_HEADERS) {
        return 0;
    }

    for (i = 0; i < names->len; i++) {

        c = names->data[i];

        if ((c < '0' || c > '9') && ((c | 0x20) < 'a' || (c | 0x20) > 'z')
            && c != '-' && c != '_' && c != ',' && c != ' ')
        {
            return 0;
        }
    }

    return names->len != 0;
}
