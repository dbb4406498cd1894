
/*
 * Requests for a model: their context, and the reading of their bodies.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_budget.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_models.h"
#include "ngx_http_kiro_stats.h"


static void ngx_http_kiro_chat_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_kiro_parse(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_copy_body(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);


/* more are reported to be refused, in words that do not say so */
#define NGX_HTTP_KIRO_MANY_TOOLS  120


ngx_http_kiro_ctx_t *
ngx_http_kiro_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx) {
        return ctx;
    }

    /* error_page has led here: it is open once */

    ctx = ngx_http_kiro_last(r);

    if (ctx) {
        ngx_http_kiro_stats_end(ctx);
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_kiro_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);
    ctx->before = ngx_http_kiro_fallen(r);

    if (ctx->before) {

        /* one request for its client, whatever the location */

        ctx->api = ctx->before->api;
        ctx->client = ctx->before->client;
        ctx->has_id = ctx->before->has_id;
        ngx_memcpy(ctx->id, ctx->before->id, sizeof(ctx->id));

    } else {
        ctx->api = ngx_http_kiro_dialect(r);
    }

    /* log variables read the core's objects: they live as long as the pool */

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_kiro_ctx_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_kiro_module);

    if (ctx->conf->capture || (ctx->before && ctx->before->capture)) {
        ngx_http_kiro_capture_begin(r, ctx);
    }

    ngx_http_kiro_stats_begin(ctx);

    return ctx;
}


void
ngx_http_kiro_ctx_cleanup(void *data)
{
    ngx_http_kiro_ctx_t *ctx = data;

    ngx_http_kiro_budget_leave(ctx);
    ngx_http_kiro_stats_end(ctx);

    kiro_reply_free(ctx->reply);
    kiro_reply_free(ctx->first_reply);
    kiro_request_free(ctx->kreq);
}


ngx_int_t
ngx_http_kiro_chat(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    ctx->peer = ngx_http_kiro_find_peer(r, ctx);

    if (ctx->peer == NULL || ngx_http_kiro_caller(r, ctx) != NGX_OK) {
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


ngx_int_t
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
        rc = ngx_http_kiro_budget_enter(ctx);
    }

    if (rc == NGX_OK) {
        ngx_http_kiro_notice_give(ctx);
        ngx_http_kiro_count_prompt(ctx);
        ngx_http_kiro_exchange_start(r);
        return;
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_kiro_send_failure(r, ctx, &ctx->failure);

    } else if (rc == NGX_ERROR) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
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
        ctx->failure.rule = "valid-json";
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
    opts.explain = klcf->explain;
    opts.count_only = ctx->count_only;

    if (klcf->aliases) {
        opts.aliases = klcf->aliases->elts;
        opts.naliases = klcf->aliases->nelts;
    }

    (void) ngx_http_kiro_models_refresh(ctx->peer->account);

    opts.catalogue = ngx_http_kiro_models_get(ctx->peer->account);
    opts.known_models = klcf->unknown_model;

    if (ngx_http_kiro_session(r, &opts.session) != NGX_OK
        || ngx_http_kiro_login_id(r, ctx, &opts.account) != NGX_OK)
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
    ctx->known_model = info.known_model ? 1 : 0;

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

    if (ctx->capture) {
        ngx_http_kiro_capture_body(ctx,
                                   (u_char *) kiro_request_buffer(ctx->kreq),
                                   (size_t) len);
    }

    return NGX_OK;
}
