
/*
 * One attempt: a cloned subrequest with its own upstream.  Its request, and the
 * header of its response; the body is ngx_http_kiro_gate.c's.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_secret.h"
#include "ngx_http_kiro_token.h"


static ngx_int_t ngx_http_kiro_create_request(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_reinit_request(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_process_status_line(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_process_header(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_header_done(ngx_http_request_t *sr,
    ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_abort_request(ngx_http_request_t *sr);


typedef struct {
    ngx_str_t                      target;
    ngx_str_t                      path;
    ngx_str_t                      content_type;
    ngx_str_t                      accept;
} ngx_http_kiro_wire_t;


/* indexed by kiro_call and kiro_wire */

static ngx_http_kiro_wire_t  ngx_http_kiro_wire_forms[][3] = {

    { { ngx_string("KiroRuntimeService.GenerateAssistantResponse"),
        ngx_string("/"),
        ngx_string("application/x-amz-json-1.0"),
        ngx_string("application/vnd.amazon.eventstream") },

      { ngx_string("AmazonCodeWhispererStreamingService."
                   "GenerateAssistantResponse"),
        ngx_string("/"),
        ngx_string("application/x-amz-json-1.0"),
        ngx_string("application/vnd.amazon.eventstream") },

      { ngx_null_string,
        ngx_string("/generateAssistantResponse"),
        ngx_string("application/json"),
        ngx_string("application/vnd.amazon.eventstream") } },

    { { ngx_string("KiroRuntimeService.InvokeMCP"),
        ngx_string("/"),
        ngx_string("application/x-amz-json-1.0"),
        ngx_string("application/json") },

      { ngx_string("AmazonCodeWhispererStreamingService.InvokeMCP"),
        ngx_string("/"),
        ngx_string("application/x-amz-json-1.0"),
        ngx_string("application/json") },

      { ngx_null_string,
        ngx_string("/mcp"),
        ngx_string("application/json"),
        ngx_string("application/json") } }
};


/* headers that kiro_set_header may replace, and Accept */

static ngx_keyval_t  ngx_http_kiro_default_headers[] = {

    { ngx_string("User-Agent"),
      ngx_string(NGX_HTTP_KIRO_USER_AGENT) },

    { ngx_string("x-amzn-codewhisperer-optout"),
      ngx_string("true") },

    { ngx_null_string, ngx_null_string }
};


/* fields that are not set here are off when they are zero */

ngx_int_t
ngx_http_kiro_upstream_conf(ngx_conf_t *cf, ngx_http_kiro_loc_conf_t *klcf,
    ngx_http_kiro_peer_t *peer)
{
    ngx_uint_t                 i;
    ngx_http_kiro_region_t    *region;
    ngx_http_upstream_conf_t  *conf;
    ngx_http_kiro_account_t   *account;

    account = peer->account;

    conf = ngx_pcalloc(cf->pool,
                       account->nregions * sizeof(ngx_http_upstream_conf_t));
    if (conf == NULL) {
        return NGX_ERROR;
    }

    peer->upstreams = conf;

    for (i = 0; i < account->nregions; i++, conf++) {

        region = &account->regions[i];

        conf->upstream = region->upstream;

        conf->connect_timeout = klcf->connect_timeout;
        conf->send_timeout = klcf->send_timeout;
        conf->read_timeout = klcf->read_timeout;
        conf->buffer_size = klcf->buffer_size;

        /* retries are ours: nginx's own would not wait and not look at bodies */

        conf->next_upstream = NGX_HTTP_UPSTREAM_FT_OFF;

        ngx_str_set(&conf->module, "kiro");

        if (region->runtime.ssl) {
            conf->ssl = account->ssl;
            conf->ssl_session_reuse = 1;
            conf->ssl_name = &region->ssl_name;
            conf->ssl_server_name = 1;
            conf->ssl_verify = account->ssl_verify;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kiro_attempt_start(ngx_http_request_t *sr, ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    if (ngx_http_upstream_create(sr) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    u = sr->upstream;

    ngx_str_set(&u->schema, "http://");

    if (ctx->region->runtime.ssl) {
        u->ssl = 1;
        ngx_str_set(&u->schema, "https://");
    }

    u->output.tag = (ngx_buf_tag_t) &ngx_http_kiro_module;

    u->conf = &ctx->peer->upstreams[ctx->region - ctx->peer->account->regions];

    u->create_request = ngx_http_kiro_create_request;
    u->reinit_request = ngx_http_kiro_reinit_request;
    u->process_header = ngx_http_kiro_process_status_line;
    u->abort_request = ngx_http_kiro_abort_request;
    u->finalize_request = ngx_http_kiro_attempt_end;

    u->input_filter_init = ngx_http_kiro_input_filter_init;
    u->input_filter = ngx_http_kiro_input_filter;
    u->input_filter_ctx = sr;

    u->buffering = 0;

    /* the attempts of one request are logged together */

    sr->upstream_states = sr->main->upstream_states;

    sr->state = 0;

    sr->main->count++;

    ngx_http_upstream_init(sr);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_kiro_create_request(ngx_http_request_t *sr)
{
    size_t                       len;
    ngx_buf_t                   *b;
    ngx_uint_t                   i, n;
    ngx_chain_t                 *cl, *body;
    ngx_array_t                  headers;
    ngx_keyval_t                *kv;
    ngx_http_request_t          *r;
    ngx_http_kiro_ctx_t         *ctx;
    ngx_http_kiro_wire_t        *wire;
    ngx_http_kiro_region_t      *region;
    ngx_http_kiro_set_header_t  *h;

    r = sr->main;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    region = ctx->region;
    wire = &ngx_http_kiro_wire_forms[ctx->call][ctx->peer->account->wire];

    if (ngx_array_init(&headers, sr->pool, 8, sizeof(ngx_keyval_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; ngx_http_kiro_default_headers[i].key.len; i++) {

        kv = ngx_array_push(&headers);
        if (kv == NULL) {
            return NGX_ERROR;
        }

        *kv = ngx_http_kiro_default_headers[i];
    }

    kv = ngx_array_push(&headers);
    if (kv == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&kv->key, "Accept");
    kv->value = wire->accept;

    if (ctx->conf->headers) {

        h = ctx->conf->headers->elts;

        for (i = 0; i < ctx->conf->headers->nelts; i++) {

            kv = headers.elts;

            for (n = 0; n < headers.nelts; n++) {
                if (kv[n].key.len == h[i].name.len
                    && ngx_strncasecmp(kv[n].key.data, h[i].name.data,
                                       h[i].name.len)
                       == 0)
                {
                    break;
                }
            }

            if (n < headers.nelts) {
                kv = &kv[n];

            } else {
                kv = ngx_array_push(&headers);
                if (kv == NULL) {
                    return NGX_ERROR;
                }
            }

            kv->key = h[i].name;

            if (ngx_http_complex_value(r, &h[i].value, &kv->value) != NGX_OK) {
                return NGX_ERROR;
            }

            /* values may hold variables: no header may hide in one */

            for (n = 0; n < kv->value.len; n++) {
                if (kv->value.data[n] == CR || kv->value.data[n] == LF) {
                    kv->value.len = n;
                }
            }
        }
    }

    if (ctx->capture) {
        ngx_http_kiro_capture_request(ctx, &headers, &wire->path);
    }

    len = sizeof("POST  HTTP/1.1" CRLF) - 1
          + region->runtime.prefix.len + wire->path.len
          + sizeof("Host: " CRLF) - 1 + region->runtime.host.len
          + sizeof("Authorization: Bearer " CRLF) - 1 + ctx->token.token.len
          + sizeof("Content-Type: " CRLF) - 1 + wire->content_type.len
          + sizeof("X-Amz-Target: " CRLF) - 1 + wire->target.len
          + sizeof("TokenType: EXTERNAL_IDP" CRLF) - 1
          + sizeof("Connection: keep-alive" CRLF) - 1
          + sizeof("Content-Length: " CRLF) - 1 + NGX_SIZE_T_LEN
          + sizeof(CRLF) - 1;

    kv = headers.elts;

    for (i = 0; i < headers.nelts; i++) {
        if (kv[i].value.len) {
            len += kv[i].key.len + sizeof(": ") - 1 + kv[i].value.len
                   + sizeof(CRLF) - 1;
        }
    }

    b = ngx_calloc_buf(sr->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->start = ngx_http_kiro_secret(sr->pool, len);
    if (b->start == NULL) {
        return NGX_ERROR;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + len;
    b->temporary = 1;

    b->last = ngx_sprintf(b->last, "POST %V%V HTTP/1.1" CRLF
                          "Host: %V" CRLF
                          "Authorization: Bearer %V" CRLF
                          "Content-Type: %V" CRLF,
                          &region->runtime.prefix, &wire->path, &region->runtime.host,
                          &ctx->token.token, &wire->content_type);

    if (wire->target.len) {
        b->last = ngx_sprintf(b->last, "X-Amz-Target: %V" CRLF, &wire->target);
    }

    if (ctx->token.login == KIRO_LOGIN_API_KEY) {
        b->last = ngx_cpymem(b->last, "TokenType: API_KEY" CRLF,
                             sizeof("TokenType: API_KEY" CRLF) - 1);

    } else if (ctx->token.login == KIRO_LOGIN_EXTERNAL) {
        b->last = ngx_cpymem(b->last, "TokenType: EXTERNAL_IDP" CRLF,
                             sizeof("TokenType: EXTERNAL_IDP" CRLF) - 1);
    }

    for (i = 0; i < headers.nelts; i++) {
        if (kv[i].value.len) {
            b->last = ngx_sprintf(b->last, "%V: %V" CRLF, &kv[i].key,
                                  &kv[i].value);
        }
    }

    b->last = ngx_sprintf(b->last, "Connection: keep-alive" CRLF
                          "Content-Length: %uz" CRLF CRLF, ctx->body.len);

    cl = ngx_alloc_chain_link(sr->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;

    b = ngx_calloc_buf(sr->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->start = ctx->body.data;
    b->pos = ctx->body.data;
    b->last = ctx->body.data + ctx->body.len;
    b->end = b->last;
    b->memory = 1;
    b->flush = 1;

    body = ngx_alloc_chain_link(sr->pool);
    if (body == NULL) {
        return NGX_ERROR;
    }

    body->buf = b;
    body->next = NULL;
    cl->next = body;

    sr->upstream->request_bufs = cl;

    return NGX_OK;
}


/* not reached while next_upstream is off */

static ngx_int_t
ngx_http_kiro_reinit_request(ngx_http_request_t *sr)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_process_status_line(ngx_http_request_t *sr)
{
    ngx_int_t                 rc;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;

    rc = ngx_http_parse_status_line(sr, &u->buffer, &at->status);

    if (rc == NGX_AGAIN) {
        return rc;
    }

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "upstream sent no valid HTTP/1.1 header");
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    u->state->status = at->status.code;

    if (ctx->capture) {
        ngx_http_kiro_capture_header(ctx, NULL, NULL);
    }

    at->length = -1;

    if (at->status.http_version < NGX_HTTP_VERSION_11) {
        at->close = 1;
    }

    u->process_header = ngx_http_kiro_process_header;

    return ngx_http_kiro_process_header(sr);
}


static ngx_int_t
ngx_http_kiro_process_header(ngx_http_request_t *sr)
{
    ngx_int_t                 rc;
    ngx_str_t                 name, value;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;

    for ( ;; ) {

        rc = ngx_http_parse_header_line(sr, &u->buffer, 1);

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc == NGX_HTTP_PARSE_HEADER_DONE) {
            return ngx_http_kiro_header_done(sr, ctx);
        }

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                          "upstream sent invalid header");
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        name.data = sr->header_name_start;
        name.len = sr->header_name_end - sr->header_name_start;
        value.data = sr->header_start;
        value.len = sr->header_end - sr->header_start;

        if (ctx->capture) {
            ngx_http_kiro_capture_header(ctx, &name, &value);
        }

#define ngx_http_kiro_is(s)                                                   \
        (name.len == sizeof(s) - 1                                            \
         && ngx_strncasecmp(name.data, (u_char *) s, sizeof(s) - 1) == 0)

#define ngx_http_kiro_value_is(s)                                             \
        (value.len == sizeof(s) - 1                                           \
         && ngx_strncasecmp(value.data, (u_char *) s, sizeof(s) - 1) == 0)

        if (ngx_http_kiro_is("content-length")) {
            at->length = ngx_atoof(value.data, value.len);

            if (at->length == NGX_ERROR) {
                ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                              "upstream sent invalid \"Content-Length\" header: "
                              "\"%V\"", &value);
                return NGX_HTTP_UPSTREAM_INVALID_HEADER;
            }

        } else if (ngx_http_kiro_is("transfer-encoding")) {
            at->chunked = ngx_strlcasestrn(value.data, value.data + value.len,
                                           (u_char *) "chunked", 7 - 1)
                          ? 1 : 0;

        } else if (ngx_http_kiro_is("connection")) {
            if (ngx_strlcasestrn(value.data, value.data + value.len,
                                 (u_char *) "close", 5 - 1))
            {
                at->close = 1;
            }

        } else if (ngx_http_kiro_is("x-amzn-errortype")) {
            at->error_type.len = value.len;
            at->error_type.data = ngx_pstrdup(sr->pool, &value);
            if (at->error_type.data == NULL) {
                return NGX_ERROR;
            }

        } else if (ngx_http_kiro_is("retry-after")) {
            at->retry_after.len = value.len;
            at->retry_after.data = ngx_pstrdup(sr->pool, &value);
            if (at->retry_after.data == NULL) {
                return NGX_ERROR;
            }

        } else if (ngx_http_kiro_is("content-type")) {
            at->content_type.len = value.len;
            at->content_type.data = ngx_pstrdup(sr->pool, &value);
            if (at->content_type.data == NULL) {
                return NGX_ERROR;
            }

        } else if (ngx_http_kiro_is("content-encoding")
                   && !ngx_http_kiro_value_is("identity"))
        {
            at->encoding.len = value.len;
            at->encoding.data = ngx_pstrdup(sr->pool, &value);
            if (at->encoding.data == NULL) {
                return NGX_ERROR;
            }
        }
    }
}


static ngx_int_t
ngx_http_kiro_header_done(ngx_http_request_t *sr, ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_upstream_t      *u;
    ngx_http_kiro_attempt_t  *at;

    at = &ctx->attempt;
    u = sr->upstream;

    if (at->status.code == 101) {
        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "upstream switched protocols unasked");
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    if (at->status.code < NGX_HTTP_OK) {

        /* 100 Continue and such: the real header follows */

        ngx_memzero(&at->status, sizeof(ngx_http_status_t));
        at->length = -1;
        at->chunked = 0;
        at->close = 0;
        ngx_str_null(&at->error_type);
        ngx_str_null(&at->retry_after);
        ngx_str_null(&at->content_type);
        ngx_str_null(&at->encoding);
        sr->state = 0;
        u->process_header = ngx_http_kiro_process_status_line;

        if (u->buffer.pos == u->buffer.last) {
            return NGX_AGAIN;
        }

        return ngx_http_kiro_process_status_line(sr);
    }

    at->headers = 1;

    if (at->status.code == NGX_HTTP_OK && !ctx->caller) {
        ngx_http_kiro_token_accept(ctx->peer->account, ctx->token.version);
    }

    if (at->status.code == NGX_HTTP_NO_CONTENT
        || at->status.code == NGX_HTTP_NOT_MODIFIED)
    {
        at->chunked = 0;
        at->length = 0;
    }

    if (at->chunked) {
        at->length = -1;
    }

    if (at->status.code != NGX_HTTP_OK
        && ngx_http_kiro_no_stream(sr, at) != NGX_OK)
    {
        return NGX_ERROR;
    }

    u->process_header = ngx_http_kiro_gate;

    return ngx_http_kiro_gate(sr);
}


static void
ngx_http_kiro_abort_request(ngx_http_request_t *sr)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0,
                   "abort kiro attempt");
}
