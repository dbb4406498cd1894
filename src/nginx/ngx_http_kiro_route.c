
/*
 * Content handler: which path is which route, and whose dialect it speaks.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_limits.h"
#include "ngx_http_kiro_models.h"


static ngx_int_t ngx_http_kiro_method(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, ngx_http_kiro_route_t *route);
static ngx_str_t ngx_http_kiro_path(ngx_http_request_t *r);
static ngx_http_kiro_route_t *ngx_http_kiro_route(ngx_http_request_t *r,
    ngx_str_t *path);
static ngx_http_kiro_route_t *ngx_http_kiro_match(ngx_str_t *path);
static ngx_int_t ngx_http_kiro_root(ngx_http_request_t *r);


#define NGX_HTTP_KIRO_GET   (NGX_HTTP_GET|NGX_HTTP_HEAD)


/* below the location's prefix; a row with "prefix" takes the rest of the path */

static ngx_http_kiro_route_t  ngx_http_kiro_routes[] = {

    { ngx_string(""), NGX_HTTP_KIRO_GET, KIRO_API_OPENAI_CHAT,
      ngx_http_kiro_root, 0 },

    { ngx_string("api/hello"), NGX_HTTP_KIRO_GET, KIRO_API_ANTHROPIC,
      ngx_http_kiro_root, 0 },

    { ngx_string("chat/completions"), NGX_HTTP_POST, KIRO_API_OPENAI_CHAT,
      ngx_http_kiro_chat, 0 },

    { ngx_string("messages"), NGX_HTTP_POST, KIRO_API_ANTHROPIC,
      ngx_http_kiro_chat, 0 },

    { ngx_string("messages/count_tokens"), NGX_HTTP_POST, KIRO_API_ANTHROPIC,
      ngx_http_kiro_count, 0 },

    { ngx_string("messages/batches"), NGX_HTTP_KIRO_GET|NGX_HTTP_POST,
      KIRO_API_ANTHROPIC, NULL, 1 },

    { ngx_string("responses"), NGX_HTTP_POST, KIRO_API_OPENAI_RESPONSES,
      ngx_http_kiro_chat, 0 },

    { ngx_string("models"), NGX_HTTP_KIRO_GET, KIRO_API_OPENAI_CHAT,
      ngx_http_kiro_models, 1 },

    { ngx_string("usage"), NGX_HTTP_KIRO_GET, KIRO_API_OPENAI_CHAT,
      ngx_http_kiro_limits, 0 },

    { ngx_null_string, 0, 0, NULL, 0 }
};


ngx_int_t
ngx_http_kiro_handler(ngx_http_request_t *r)
{
    ngx_str_t               path;
    ngx_int_t               rc;
    ngx_http_kiro_ctx_t    *ctx;
    ngx_http_kiro_route_t  *route;

    if (r != r->main) {

        /* an attempt of ours, or somebody's subrequest: SSI, mirror */

        ctx = ngx_http_get_module_ctx(r->main, ngx_http_kiro_module);

        if (ctx == NULL || ctx->attempt.request != r) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "kiro_pass cannot serve a subrequest");
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_kiro_attempt_start(r, ctx);
    }

    ctx = ngx_http_kiro_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* a key that was refused does not matter where "satisfy any" let it pass */

    ctx->failure.kind = KIRO_FAIL_NONE;

    path = ngx_http_kiro_path(r);
    route = ngx_http_kiro_route(r, &path);

    if (route && (r->method & route->methods) && route->handler) {

        ctx->rest.data = path.data + route->path.len;
        ctx->rest.len = path.len - route->path.len;

        if (ctx->rest.len) {
            ctx->rest.data++;
            ctx->rest.len--;
        }

        return route->handler(r);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (route == NULL) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_NOT_FOUND,
                         "there is no such route here");

    } else if (r->method == NGX_HTTP_HEAD && route->handler) {

        /* a probe: it wants to know whether somebody is there */

        return ngx_http_kiro_root(r);

    } else if (!(r->method & route->methods)) {
        return ngx_http_kiro_method(r, ctx, route);

    } else {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_NOT_BUILT,
                         "this route is not built yet in this version of the "
                         "gateway");
    }

    return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
}


static ngx_int_t
ngx_http_kiro_method(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_route_t *route)
{
    ngx_str_t  allow;

    if (!(route->methods & NGX_HTTP_POST)) {
        ngx_str_set(&allow, "GET, HEAD, OPTIONS");

    } else if (route->methods & NGX_HTTP_GET) {
        ngx_str_set(&allow, "GET, HEAD, POST, OPTIONS");

    } else {
        ngx_str_set(&allow, "HEAD, POST, OPTIONS");
    }

    if (ngx_http_kiro_add_header(r, "Allow", &allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        ctx->own = 1;

        r->headers_out.status = NGX_HTTP_NO_CONTENT;
        r->header_only = 1;

        if (ngx_http_kiro_id_header(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_send_header(r);
    }

    kiro_failure_set(&ctx->failure, KIRO_FAIL_METHOD,
                     "this route takes %s",
                     !(route->methods & NGX_HTTP_POST) ? "GET"
                     : route->methods & NGX_HTTP_GET ? "GET and POST" : "POST");

    return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
}


/* the part of the path below the location, without any "v1/" in front */

static ngx_str_t
ngx_http_kiro_path(ngx_http_request_t *r)
{
    ngx_str_t                  path;
    ngx_http_kiro_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);

    path = r->uri;

    if (path.len >= klcf->location.len
        && ngx_strncmp(path.data, klcf->location.data, klcf->location.len) == 0)
    {
        path.data += klcf->location.len;
        path.len -= klcf->location.len;
    }

    for ( ;; ) {

        while (path.len && path.data[0] == '/') {
            path.data++;
            path.len--;
        }

        if (path.len >= 2 && path.data[0] == 'v' && path.data[1] == '1'
            && (path.len == 2 || path.data[2] == '/'))
        {
            path.data += 2;
            path.len -= 2;
            continue;
        }

        break;
    }

    while (path.len && path.data[path.len - 1] == '/') {
        path.len--;
    }

    return path;
}


/* path is left at the route */

static ngx_http_kiro_route_t *
ngx_http_kiro_route(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char                    *p;
    ngx_str_t                  rest;
    ngx_http_kiro_route_t     *route;
    ngx_http_kiro_loc_conf_t  *klcf;

    rest = *path;

    route = ngx_http_kiro_match(&rest);

    if (route) {
        return route;
    }

    /* a named location or a regex: how long the prefix is shows at a route */

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);

    while (klcf->location.len == 0) {

        p = ngx_strlchr(rest.data, rest.data + rest.len, '/');

        if (p == NULL) {
            break;
        }

        rest.len -= p + 1 - rest.data;
        rest.data = p + 1;

        route = ngx_http_kiro_match(&rest);

        if (route && rest.len) {
            *path = rest;
            return route;
        }
    }

    return NULL;
}


static ngx_http_kiro_route_t *
ngx_http_kiro_match(ngx_str_t *path)
{
    ngx_http_kiro_route_t  *route;

    for (route = ngx_http_kiro_routes; route->path.data; route++) {

        if (path->len < route->path.len
            || ngx_strncmp(path->data, route->path.data, route->path.len) != 0)
        {
            continue;
        }

        if (path->len == route->path.len
            || (route->prefix && path->data[route->path.len] == '/'))
        {
            return route;
        }
    }

    return NULL;
}


/* HEAD of the prefix, or of what one client asks for before it begins */

ngx_uint_t
ngx_http_kiro_probe(ngx_http_request_t *r)
{
    ngx_str_t               path;
    ngx_http_kiro_route_t  *route;

    if (r->method != NGX_HTTP_HEAD) {
        return 0;
    }

    path = ngx_http_kiro_path(r);
    route = ngx_http_kiro_route(r, &path);

    return route && route->handler == ngx_http_kiro_root;
}


/* the dialect that an answer takes when the route alone does not tell */

kiro_api
ngx_http_kiro_dialect(ngx_http_request_t *r)
{
    ngx_str_t               path;
    ngx_http_kiro_route_t  *route;

    path = ngx_http_kiro_path(r);

    if (ngx_strlcasestrn(path.data, path.data + path.len,
                         (u_char *) "messages", sizeof("messages") - 2))
    {
        return KIRO_API_ANTHROPIC;
    }

    route = ngx_http_kiro_route(r, &path);

    if (route && (route->methods & NGX_HTTP_POST)) {
        return route->api;
    }

    if (ngx_http_kiro_find_header(r, "anthropic-version")
        || (r->headers_in.authorization == NULL
            && ngx_http_kiro_find_header(r, "x-api-key")))
    {
        return KIRO_API_ANTHROPIC;
    }

    return KIRO_API_OPENAI_CHAT;
}


/* headers that nginx has no field for */

ngx_table_elt_t *
ngx_http_kiro_find_header(ngx_http_request_t *r, char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);
    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == len
            && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
        {
            return &h[i];
        }
    }
}


static ngx_int_t
ngx_http_kiro_root(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    static u_char  answer[] = "{\"status\":\"ok\",\"server\":\"ngx_kiro\"}";

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_kiro_send_json(r, NGX_HTTP_OK, answer, sizeof(answer) - 1);
}
