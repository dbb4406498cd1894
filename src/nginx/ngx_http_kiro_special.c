
/*
 * Special responses: what nginx or another module refuses in a kiro_pass location,
 * with a page of nginx's own, has the dialect's JSON instead.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"


static ngx_uint_t ngx_http_kiro_special_place(ngx_http_request_t *r);
static ngx_str_t ngx_http_kiro_special_path(ngx_http_request_t *r);
static void ngx_http_kiro_special_failure(ngx_http_request_t *r,
    kiro_failure *f);


/* called while the configuration is merged, for each place of kiro_pass */

ngx_int_t
ngx_http_kiro_special_add(ngx_conf_t *cf, ngx_str_t *location)
{
    ngx_str_t                 *name;
    ngx_http_conf_ctx_t       *server;
    ngx_http_core_srv_conf_t  *cscf;
    ngx_http_kiro_loc_conf_t  *klcf;

    if (location->len == 0) {
        return NGX_OK;
    }

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    server = cscf->ctx;
    klcf = server->loc_conf[ngx_http_kiro_module.ctx_index];

    if (klcf->places == NULL) {
        klcf->places = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (klcf->places == NULL) {
            return NGX_ERROR;
        }
    }

    name = ngx_array_push(klcf->places);
    if (name == NULL) {
        return NGX_ERROR;
    }

    *name = *location;

    return NGX_OK;
}


ngx_uint_t
ngx_http_kiro_special(ngx_http_request_t *r, ngx_http_kiro_loc_conf_t *klcf)
{
    ngx_http_kiro_ctx_t  *ctx;

    /* an answer with a text that somebody else made has no err_status */

    if (r->headers_out.status < NGX_HTTP_BAD_REQUEST || r->err_status == 0) {
        return 0;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx && ctx->own) {
        return 0;
    }

    return klcf->pass || ngx_http_kiro_special_place(r)
           || ngx_http_kiro_fallback_place(r) != NULL;
}


/* no location was looked for yet: would it have been one of ours? */

static ngx_uint_t
ngx_http_kiro_special_place(ngx_http_request_t *r)
{
    ngx_str_t                 *name, path;
    ngx_uint_t                 i;
    ngx_http_core_srv_conf_t  *cscf;
    ngx_http_kiro_loc_conf_t  *klcf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    if (r->loc_conf != cscf->ctx->loc_conf) {
        return 0;
    }

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);

    if (klcf->places == NULL) {
        return 0;
    }

    path = ngx_http_kiro_special_path(r);

    name = klcf->places->elts;

    for (i = 0; i < klcf->places->nelts; i++) {
        if (path.len >= name[i].len
            && ngx_strncmp(path.data, name[i].data, name[i].len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* of a request line that is too long there is no URI */

static ngx_str_t
ngx_http_kiro_special_path(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t   path;

    if (r->uri.len) {
        return r->uri;
    }

    ngx_str_null(&path);

    p = r->request_line.data;
    last = p + r->request_line.len;

    while (p < last && *p != ' ') {
        p++;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    path.data = p;

    while (p < last && *p != ' ' && *p != '?') {
        p++;
    }

    path.len = p - path.data;

    return path;
}


/* turns the header into that of the dialect's error */

ngx_int_t
ngx_http_kiro_special_header(ngx_http_request_t *r)
{
    ngx_buf_t            *b;
    ngx_str_t             body, uri;
    kiro_failure         *f;
    ngx_http_kiro_ctx_t  *ctx;

    /* the path decides the dialect */

    uri = r->uri;
    r->uri = ngx_http_kiro_special_path(r);

    ctx = ngx_http_kiro_create_ctx(r);

    r->uri = uri;

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    f = &ctx->failure;

    ngx_http_kiro_special_failure(r, f);

    if (ngx_http_kiro_error_headers(r, ctx, f) != NGX_OK) {
        return NGX_ERROR;
    }

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || ngx_http_kiro_failure_json(r, ctx, f, &body) != NGX_OK) {
        return NGX_ERROR;
    }

    b->pos = body.data;
    b->last = body.data + body.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    ctx->out_buf = b;
    ctx->replace = 1;
    ctx->own = 1;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    r->headers_out.content_length_n = body.len;

    return NGX_OK;
}


static void
ngx_http_kiro_special_failure(ngx_http_request_t *r, kiro_failure *f)
{
    ngx_uint_t                 status;
    kiro_failure_kind          kind;
    ngx_http_core_srv_conf_t  *cscf;

    status = r->headers_out.status;
    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    /* 494 to 499 are nginx's own words for a bad request */

    kind = kiro_failure_of_status(status > 493 && status < 500 ? 400 : status);

    /* some say more: why a key is refused */

    if (f->kind != kind) {
        kiro_failure_set(f, kind, "%s",
                         kind == KIRO_FAIL_TOO_LARGE
                         ? (status == NGX_HTTP_REQUEST_URI_TOO_LARGE
                            ? "the request line is longer than this server takes"
                            : "the request body is larger than this server "
                              "takes")
                         : kind == KIRO_FAIL_TOO_MANY_REQUESTS
                         ? "too many requests, try again later"
                         : kind == KIRO_FAIL_UNAUTHENTICATED
                         ? "not authenticated"
                         : kind == KIRO_FAIL_FORBIDDEN
                         ? "access is not allowed"
                         : kind == KIRO_FAIL_NOT_FOUND
                         ? "there is no such route here"
                         : kind == KIRO_FAIL_METHOD
                         ? "this method is not allowed here"
                         : kind == KIRO_FAIL_CLIENT_TIMEOUT
                         ? "the request did not arrive in time"
                         : status >= NGX_HTTP_INTERNAL_SERVER_ERROR
                         ? "the gateway cannot serve this request now"
                         : r->loc_conf == cscf->ctx->loc_conf
                         ? "the request is malformed or has headers that are "
                           "too large"
                         : "the request was refused");
    }

    /* there are clients for which a 429 is final unless it says when */

    if (kind == KIRO_FAIL_TOO_MANY_REQUESTS
        || (kind == KIRO_FAIL_UNAVAILABLE && ngx_http_kiro_limited(r)))
    {
        f->retry_after_ms = 1000;
    }
}


/* the JSON in place of the page */

ngx_chain_t *
ngx_http_kiro_special_body(ngx_http_kiro_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = in; cl; cl = cl->next) {

        b = cl->buf;

        b->pos = b->last;
        b->file_pos = b->file_last;

        if (b->last_buf && ctx->out_buf) {

            cl = ngx_alloc_chain_link(ctx->request->pool);
            if (cl == NULL) {
                return NULL;
            }

            cl->buf = ctx->out_buf;
            cl->next = NULL;

            ctx->out_buf = NULL;

            return cl;
        }
    }

    return NULL;
}
