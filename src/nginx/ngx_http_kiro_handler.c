
/*
 * Content handler: routes and the reading of the request body.
 */


#include "ngx_http_kiro.h"


static ngx_http_kiro_route_t *ngx_http_kiro_route(ngx_http_request_t *r,
    ngx_str_t *path);
static ngx_http_kiro_route_t *ngx_http_kiro_match(ngx_str_t *path);
static ngx_str_t ngx_http_kiro_path(ngx_http_request_t *r);
static ngx_int_t ngx_http_kiro_chat(ngx_http_request_t *r);
static ngx_int_t ngx_http_kiro_count(ngx_http_request_t *r);
static ngx_int_t ngx_http_kiro_root(ngx_http_request_t *r);
static void ngx_http_kiro_chat_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_kiro_parse(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_copy_body(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_method(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, ngx_http_kiro_route_t *route);
static void ngx_http_kiro_ctx_cleanup(void *data);


#define NGX_HTTP_KIRO_GET   (NGX_HTTP_GET|NGX_HTTP_HEAD)

/* more are reported to be refused, in words that do not say so */
#define NGX_HTTP_KIRO_MANY_TOOLS  120


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
      NULL, 0 },

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


ngx_http_kiro_ctx_t *
ngx_http_kiro_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx) {
        return ctx;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_kiro_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);
    ctx->api = ngx_http_kiro_dialect(r);

    /* log variables read the core's objects: they live as long as the pool */

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_kiro_ctx_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_kiro_module);

    return ctx;
}


static void
ngx_http_kiro_ctx_cleanup(void *data)
{
    ngx_http_kiro_ctx_t *ctx = data;

    kiro_reply_free(ctx->reply);
    kiro_reply_free(ctx->first_reply);
    kiro_request_free(ctx->kreq);
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


static ngx_int_t
ngx_http_kiro_chat(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    ctx->peer = ngx_http_kiro_find_peer(r, ctx);

    if (ctx->peer == NULL) {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_kiro_chat_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_kiro_count(ngx_http_request_t *r)
{
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    ctx->count_only = 1;

    return ngx_http_kiro_chat(r);
}


ngx_http_kiro_peer_t *
ngx_http_kiro_find_peer(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_str_t              name;
    ngx_uint_t             i;
    ngx_http_kiro_peer_t  *peer;

    peer = ctx->conf->peers->elts;

    if (ctx->conf->pass->lengths == NULL) {
        ctx->account = peer->account->name;
        return peer;
    }

    if (ngx_http_complex_value(r, ctx->conf->pass, &name) != NGX_OK) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INTERNAL, "out of memory");
        return NULL;
    }

    for (i = 0; i < ctx->conf->peers->nelts; i++) {
        if (peer[i].account->name.len == name.len
            && ngx_strncmp(peer[i].account->name.data, name.data, name.len)
               == 0)
        {
            ctx->account = peer[i].account->name;
            return &peer[i];
        }
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "kiro_pass names the account \"%V\", which is not defined",
                  &name);

    kiro_failure_set(&ctx->failure, KIRO_FAIL_FORBIDDEN,
                     "no account is set up for this client");

    return NULL;
}


static void
ngx_http_kiro_chat_body(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    rc = ngx_http_kiro_parse(r, ctx);

    if (rc == NGX_OK && ctx->count_only) {
        ngx_http_kiro_count_tokens(r);
        return;
    }

    if (rc == NGX_OK) {
        ngx_http_kiro_notice_give(ctx);
        ngx_http_kiro_count_prompt(ctx);
        ngx_http_kiro_exchange_start(r);
        return;
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_kiro_send_failure(r, ctx, &ctx->failure);
    }

    ngx_http_finalize_request(r, rc);
}


/* NGX_DECLINED: ctx->failure says what is wrong with the request */

static ngx_int_t
ngx_http_kiro_parse(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_int_t                  rc;
    kiro_status                status;
    kiro_request_info          info;
    kiro_request_options       opts;
    ngx_http_kiro_loc_conf_t  *klcf;

    if (ngx_http_kiro_find_header(r, "content-encoding")) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INVALID_REQUEST,
                         "compressed request bodies are not supported, send "
                         "the body without Content-Encoding");
        return NGX_DECLINED;
    }

    rc = ngx_http_kiro_copy_body(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    klcf = ctx->conf;

    ngx_memzero(&opts, sizeof(kiro_request_options));

    opts.api = ctx->api;
    opts.default_model = ngx_http_kiro_str(&klcf->default_model);
    opts.thinking = (kiro_thinking) klcf->thinking;
    opts.rescue_tool_calls = klcf->rescue_tool_calls;
    opts.count_only = ctx->count_only;

    if (klcf->aliases) {
        opts.aliases = klcf->aliases->elts;
        opts.naliases = klcf->aliases->nelts;
    }

    (void) ngx_http_kiro_models_refresh(ctx->peer->account);

    opts.catalogue = ngx_http_kiro_models_get(ctx->peer->account);
    opts.known_models = klcf->unknown_model;

    if (ngx_http_kiro_session(r, &opts.session) != NGX_OK
        || ngx_http_kiro_login_id(r, ctx->peer->account, &opts.account)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status = kiro_request_parse(ctx->kreq, &opts, &ctx->failure);

    if (status == KIRO_ERROR) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "kiro: client sent a bad request: %s",
                      ctx->failure.message);
        return NGX_DECLINED;
    }

    if (status != KIRO_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    kiro_request_get_info(ctx->kreq, &info);

    ctx->stream = info.stream ? 1 : 0;

    ctx->model.data = (u_char *) info.model.data;
    ctx->model.len = info.model.len;

    ctx->conversation.data = (u_char *) info.conversation.data;
    ctx->conversation.len = info.conversation.len;

    if (info.tools > NGX_HTTP_KIRO_MANY_TOOLS && !ctx->count_only) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "kiro: the request has %uz tools, the service may "
                      "refuse more than about %d",
                      info.tools, NGX_HTTP_KIRO_MANY_TOOLS);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_copy_body(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    char         *p;
    off_t         len;
    size_t        size;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    len = 0;

    if (r->request_body && r->request_body->bufs) {
        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            len += ngx_buf_size(cl->buf);
        }
    }

    if (len == 0) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INVALID_JSON,
                         "the request has no body, a JSON object is expected");
        return NGX_DECLINED;
    }

    ctx->kreq = kiro_request_create((size_t) len);
    if (ctx->kreq == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = kiro_request_buffer(ctx->kreq);

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        b = cl->buf;
        size = (size_t) ngx_buf_size(b);

        if (ngx_buf_in_memory(b)) {
            ngx_memcpy(p, b->pos, size);

        } else if (size) {
            n = ngx_read_file(b->file, (u_char *) p, size, b->file_pos);

            if (n != (ssize_t) size) {
                ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                              "reading the request body of %O bytes back from "
                              "\"%V\" failed", len, &b->file->name);
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }

        p += size;
    }

    return NGX_OK;
}
