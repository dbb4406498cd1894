
/*
 * One attempt: a cloned subrequest with its own upstream.  Until the commit gate
 * opens nginx believes that it still reads the response header; everything that
 * fails before that can be tried again.
 */


#include "ngx_http_kiro.h"


static ngx_int_t ngx_http_kiro_create_request(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_reinit_request(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_process_status_line(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_process_header(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_header_done(ngx_http_request_t *sr,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_gate(ngx_http_request_t *sr);
static ngx_int_t ngx_http_kiro_gate_bytes(ngx_http_kiro_ctx_t *ctx, u_char *p,
    size_t n);
static ngx_int_t ngx_http_kiro_gate_verdict(ngx_http_request_t *sr,
    ngx_http_kiro_ctx_t *ctx);
static ngx_int_t ngx_http_kiro_input_filter_init(void *data);
static ngx_int_t ngx_http_kiro_input_filter(void *data, ssize_t bytes);
static ngx_int_t ngx_http_kiro_input_chain(ngx_http_request_t *sr, u_char *p,
    size_t n);
static void ngx_http_kiro_abort_request(ngx_http_request_t *sr);
static void ngx_http_kiro_finalize_request(ngx_http_request_t *sr,
    ngx_int_t rc);
static ngx_uint_t ngx_http_kiro_tls_refused(ngx_http_upstream_t *u);


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

void
ngx_http_kiro_upstream_conf(ngx_http_kiro_loc_conf_t *klcf,
    ngx_http_kiro_peer_t *peer)
{
    ngx_http_upstream_conf_t  *conf;
    ngx_http_kiro_account_t   *account;

    conf = &peer->upstream;
    account = peer->account;

    conf->upstream = account->upstream;

    conf->connect_timeout = klcf->connect_timeout;
    conf->send_timeout = klcf->send_timeout;
    conf->read_timeout = klcf->read_timeout;
    conf->buffer_size = klcf->buffer_size;

    /* retries are ours: nginx's own would not wait and not look at bodies */

    conf->next_upstream = NGX_HTTP_UPSTREAM_FT_OFF;

    ngx_str_set(&conf->module, "kiro");

    if (account->upstream_ssl) {
        conf->ssl = account->ssl;
        conf->ssl_session_reuse = 1;
        conf->ssl_name = &account->ssl_name_value;
        conf->ssl_server_name = 1;
        conf->ssl_verify = account->ssl_verify;
    }
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

#if (NGX_HTTP_SSL)

    if (ctx->peer->account->upstream_ssl) {
        u->ssl = 1;
        ngx_str_set(&u->schema, "https://");
    }

#endif

    u->output.tag = (ngx_buf_tag_t) &ngx_http_kiro_module;

    u->conf = &ctx->peer->upstream;

    u->create_request = ngx_http_kiro_create_request;
    u->reinit_request = ngx_http_kiro_reinit_request;
    u->process_header = ngx_http_kiro_process_status_line;
    u->abort_request = ngx_http_kiro_abort_request;
    u->finalize_request = ngx_http_kiro_finalize_request;

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
    ngx_http_kiro_account_t     *account;
    ngx_http_kiro_set_header_t  *h;

    r = sr->main;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    account = ctx->peer->account;
    wire = &ngx_http_kiro_wire_forms[ctx->call][account->wire];

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

    len = sizeof("POST  HTTP/1.1" CRLF) - 1
          + account->prefix.len + wire->path.len
          + sizeof("Host: " CRLF) - 1 + account->host.len
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

    b = ngx_create_temp_buf(sr->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_sprintf(b->last, "POST %V%V HTTP/1.1" CRLF
                          "Host: %V" CRLF
                          "Authorization: Bearer %V" CRLF
                          "Content-Type: %V" CRLF,
                          &account->prefix, &wire->path, &account->host,
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

#define ngx_http_kiro_is(s)                                                   \
        (name.len == sizeof(s) - 1                                            \
         && ngx_strncasecmp(name.data, (u_char *) s, sizeof(s) - 1) == 0)

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

    if (at->status.code < NGX_HTTP_OK) {

        /* 100 Continue and such: the real header follows */

        ngx_memzero(&at->status, sizeof(ngx_http_status_t));
        sr->state = 0;
        u->process_header = ngx_http_kiro_process_status_line;

        if (u->buffer.pos == u->buffer.last) {
            return NGX_AGAIN;
        }

        return ngx_http_kiro_process_status_line(sr);
    }

    at->headers = 1;

    if (at->status.code == NGX_HTTP_OK) {
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

    if (at->status.code != NGX_HTTP_OK) {
        at->error_body = ngx_create_temp_buf(sr->pool, 4096);
        if (at->error_body == NULL) {
            return NGX_ERROR;
        }
    }

    u->process_header = ngx_http_kiro_gate;

    return ngx_http_kiro_gate(sr);
}


/*
 * Digests body bytes while nginx believes that it reads a header.  The buffer is
 * rewound each time, so that nothing is ever "too big".
 */

static ngx_int_t
ngx_http_kiro_gate(ngx_http_request_t *sr)
{
    size_t                    size;
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;
    b = &u->buffer;

    if (at->length == 0) {
        at->eof = 1;
    }

    while (b->pos < b->last && !at->eof) {

        if (at->chunked) {

            rc = ngx_http_kiro_parse_chunked(sr, b, &at->chunked_ctx);

            if (rc == NGX_OK) {
                size = (size_t) ngx_min((off_t) (b->last - b->pos),
                                        at->chunked_ctx.size);

                rc = ngx_http_kiro_gate_bytes(ctx, b->pos, size);

                b->pos += size;
                at->chunked_ctx.size -= size;

                if (rc != NGX_OK) {
                    return rc;
                }

                continue;
            }

            if (rc == NGX_DONE) {
                at->eof = 1;
                break;
            }

            if (rc == NGX_AGAIN) {
                break;
            }

            ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                          "upstream sent invalid chunked response");
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        size = b->last - b->pos;

        if (at->length != -1) {
            size = (size_t) ngx_min((off_t) size, at->length);
            at->length -= size;
            at->eof = (at->length == 0);
        }

        rc = ngx_http_kiro_gate_bytes(ctx, b->pos, size);

        if (rc != NGX_OK) {
            return rc;
        }

        b->pos += size;
    }

    if (at->eof) {

        /* bytes after the body: the connection is not to be trusted */

        u->keepalive = !at->close && b->pos == b->last;
    }

    b->pos = b->start;
    b->last = b->start;

    return ngx_http_kiro_gate_verdict(sr, ctx);
}


static ngx_int_t
ngx_http_kiro_gate_bytes(ngx_http_kiro_ctx_t *ctx, u_char *p, size_t n)
{
    size_t      size;
    u_char     *start;
    ngx_buf_t  *b;

    b = ctx->attempt.error_body;

    if (b == NULL) {
        return kiro_reply_feed(ctx->reply, (char *) p, n) == KIRO_OK
               ? NGX_OK : NGX_ERROR;
    }

    if ((size_t) (b->end - b->last) < n && b->end - b->start == 4096) {

        /* few error bodies are that long: one step to the limit */

        start = ngx_pnalloc(ctx->request->pool, NGX_HTTP_KIRO_ERROR_BODY);
        if (start == NULL) {
            return NGX_ERROR;
        }

        size = b->last - b->start;

        ngx_memcpy(start, b->start, size);

        b->start = start;
        b->pos = start;
        b->last = start + size;
        b->end = start + NGX_HTTP_KIRO_ERROR_BODY;
    }

    size = ngx_min((size_t) (b->end - b->last), n);

    b->last = ngx_cpymem(b->last, p, size);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_gate_verdict(ngx_http_request_t *sr, ngx_http_kiro_ctx_t *ctx)
{
    kiro_reply_info           info;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_attempt_t  *at;

    at = &ctx->attempt;
    u = sr->upstream;

    /* nginx sets the timer of a header once */

    ngx_add_timer(u->peer.connection->read, u->conf->read_timeout);

    if (at->status.code != NGX_HTTP_OK) {

        if (!at->eof) {
            return NGX_AGAIN;
        }

        ngx_http_kiro_attempt_classify(ctx, NGX_OK);
        return NGX_ERROR;
    }

    if (at->eof && kiro_reply_eof(ctx->reply) != KIRO_OK) {
        return NGX_ERROR;
    }

    switch (kiro_reply_gate(ctx->reply)) {

    case KIRO_GATE_WAIT:

        /* an answer that is collected may take longer than its first token */

        if (!ctx->first_seen) {
            kiro_reply_get_info(ctx->reply, &info);

            if (info.started) {
                ngx_http_kiro_first_token(ctx);
                u->state->header_time = ngx_current_msec - u->start_time;
            }
        }

        return NGX_AGAIN;

    case KIRO_GATE_COMMIT:
        break;

    case KIRO_GATE_COMPLETE:
        if (!ctx->first_seen) {
            ngx_http_kiro_first_token(ctx);
            u->state->header_time = ngx_current_msec - u->start_time;
        }

        ctx->outcome = NGX_HTTP_KIRO_COMPLETE;
        return NGX_ERROR;

    default: /* KIRO_GATE_FAILED */
        u->keepalive = 0;
        ctx->failure = *kiro_reply_failure(ctx->reply);
        u->state->status = kiro_failure_status(ctx->api, ctx->failure.kind);
        ctx->outcome = NGX_HTTP_KIRO_FAILED;
        return NGX_ERROR;
    }

    ngx_http_kiro_first_token(ctx);

    u->headers_in.status_n = NGX_HTTP_OK;

    ctx->state = NGX_HTTP_KIRO_STREAM;

    if (ngx_http_kiro_commit(sr->main, ctx) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_input_filter_init(void *data)
{
    ngx_http_request_t *sr = data;

    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;

    /* what is left: 0 ends, -1 lasts until the connection is closed */

    if (at->eof) {
        u->length = 0;

    } else if (at->chunked) {
        u->length = 1;

    } else {
        u->length = at->length;
    }

    return NGX_OK;
}


/* removes the HTTP framing; the bytes stay where they were read */

static ngx_int_t
ngx_http_kiro_input_filter(void *data, ssize_t bytes)
{
    ngx_http_request_t *sr = data;

    size_t                    size;
    ngx_int_t                 rc;
    ngx_buf_t                *b, buf;
    kiro_failure              f;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;
    b = &u->buffer;

    ngx_memzero(&buf, sizeof(ngx_buf_t));

    buf.pos = b->last;
    buf.last = b->last + bytes;

    /* back-pressure: the buffer fills while the client does not read */

    b->pos = b->last;
    b->last += bytes;

    if (!at->chunked) {

        size = bytes;

        if (u->length != -1) {
            size = (size_t) ngx_min((off_t) bytes, u->length);
            u->length -= size;

            if (u->length == 0) {
                at->eof = 1;
                u->keepalive = !at->close && size == (size_t) bytes;
            }
        }

        return ngx_http_kiro_input_chain(sr, buf.pos, size);
    }

    while (buf.pos < buf.last) {

        rc = ngx_http_kiro_parse_chunked(sr, &buf, &at->chunked_ctx);

        if (rc == NGX_OK) {
            size = (size_t) ngx_min((off_t) (buf.last - buf.pos),
                                    at->chunked_ctx.size);

            if (ngx_http_kiro_input_chain(sr, buf.pos, size) != NGX_OK) {
                return NGX_ERROR;
            }

            buf.pos += size;
            at->chunked_ctx.size -= size;

            continue;
        }

        if (rc == NGX_DONE) {
            at->eof = 1;
            u->keepalive = !at->close && buf.pos == buf.last;
            u->length = 0;
            return NGX_OK;
        }

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "upstream sent invalid chunked response");

        kiro_failure_set(&f, KIRO_FAIL_UPSTREAM_PROTOCOL,
                         "the service sent a malformed response");

        (void) kiro_reply_abort(ctx->reply, &f);

        u->length = 0;

        return NGX_OK;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_input_chain(ngx_http_request_t *sr, u_char *p, size_t n)
{
    ngx_buf_t            *b;
    ngx_chain_t          *cl, **ll;
    ngx_http_upstream_t  *u;

    if (n == 0) {
        return NGX_OK;
    }

    u = sr->upstream;

    for (cl = u->out_bufs, ll = &u->out_bufs; cl; cl = cl->next) {
        ll = &cl->next;
    }

    cl = ngx_chain_get_free_buf(sr->pool, &u->free_bufs);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    *ll = cl;

    b = cl->buf;

    b->pos = p;
    b->last = p + n;
    b->memory = 1;
    b->flush = 1;
    b->tag = u->output.tag;

    return NGX_OK;
}


static void
ngx_http_kiro_abort_request(ngx_http_request_t *sr)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0,
                   "abort kiro attempt");
}


/*
 * The only place that sees how nginx ended the attempt while the connection is
 * still there.
 */

static void
ngx_http_kiro_finalize_request(ngx_http_request_t *sr, ngx_int_t rc)
{
    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;

    /* log variables of the main request show all attempts */

    sr->main->upstream_states = sr->upstream_states;
    sr->main->upstream = u;

    if (rc == NGX_HTTP_CLIENT_CLOSED_REQUEST || sr->connection->error) {
        return;
    }

    if (ctx->state == NGX_HTTP_KIRO_STREAM) {

        if (rc == 0 || kiro_reply_done(ctx->reply)) {
            return;
        }

        /* nginx flushes next: the body filter then sends what this writes */

        kiro_failure_set(&ctx->failure,
                         rc == NGX_HTTP_GATEWAY_TIME_OUT
                         ? KIRO_FAIL_UPSTREAM_TIMEOUT : KIRO_FAIL_UPSTREAM_CUT,
                         rc == NGX_HTTP_GATEWAY_TIME_OUT
                         ? "the service stopped answering"
                         : "the connection to the service broke");

        (void) kiro_reply_abort(ctx->reply, &ctx->failure);

        return;
    }

    if (ctx->outcome != NGX_HTTP_KIRO_PENDING) {
        return;
    }

    if (at->headers && !at->chunked && at->length == -1
        && rc == NGX_HTTP_BAD_GATEWAY && !at->gate_timedout)
    {
        /* a body that lasts until the connection is closed is whole now */

        at->eof = 1;

        if (at->status.code == NGX_HTTP_OK) {
            (void) kiro_reply_eof(ctx->reply);

            switch (kiro_reply_gate(ctx->reply)) {

            case KIRO_GATE_COMMIT:
            case KIRO_GATE_COMPLETE:
                ngx_http_kiro_first_token(ctx);
                u->state->status = NGX_HTTP_OK;
                ctx->outcome = NGX_HTTP_KIRO_COMPLETE;
                return;

            case KIRO_GATE_FAILED:
                ctx->failure = *kiro_reply_failure(ctx->reply);
                ctx->outcome = NGX_HTTP_KIRO_FAILED;
                return;

            default:
                break;
            }
        }

        ngx_http_kiro_attempt_classify(ctx, rc);
        return;
    }

    if (!at->headers && ngx_http_kiro_tls_refused(u)) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_TLS,
                         "the service's certificate does not verify");
        ctx->outcome = NGX_HTTP_KIRO_FAILED;
        return;
    }

    if (u->peer.cached && at->status.code == 0 && !at->gate_timedout
        && rc == NGX_HTTP_BAD_GATEWAY)
    {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_CONNECT,
                         "an idle connection was closed by the service");
        ctx->failure.retry = KIRO_RETRY_NOW;
        ctx->outcome = NGX_HTTP_KIRO_FAILED;
        return;
    }

    ngx_http_kiro_attempt_classify(ctx, rc);
}


/* a certificate is configuration, not weather */

static ngx_uint_t
ngx_http_kiro_tls_refused(ngx_http_upstream_t *u)
{
#if (NGX_HTTP_SSL)

    ngx_connection_t  *c;

    c = u->peer.connection;

    if (c && c->ssl && c->ssl->handshaked && u->conf->ssl_verify
        && !u->request_sent)
    {
        return SSL_get_verify_result(c->ssl->connection) != X509_V_OK
               || ngx_ssl_check_host(c, &u->ssl_name) != NGX_OK;
    }

#endif

    return 0;
}


/* not above info: the service may quote the request; never with the token */

static void
ngx_http_kiro_attempt_log_refusal(ngx_http_kiro_ctx_t *ctx, kiro_str body)
{
    size_t      len;
    u_char     *p, text[512];
    ngx_log_t  *log;
    ngx_str_t  *token;

    log = ctx->request->connection->log;
    token = &ctx->token.token;

    if (log->log_level < NGX_LOG_INFO || body.len == 0 || token->len == 0) {
        return;
    }

    p = (u_char *) body.data;

    if (body.len >= token->len
        && ngx_strlcasestrn(p, p + body.len, token->data, token->len - 1))
    {
        return;
    }

    len = ngx_min(body.len, sizeof(text));
    ngx_memcpy(text, body.data, len);

    for (p = text; p < text + len; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            *p = ' ';
        }
    }

    ngx_log_error(NGX_LOG_INFO, log, 0,
                  "kiro: the service answered %ui: \"%*s\"",
                  ctx->attempt.status.code, len, text);
}


/* sets ctx->failure for an attempt that ended without a verdict of the reply */

void
ngx_http_kiro_attempt_classify(ngx_http_kiro_ctx_t *ctx, ngx_int_t rc)
{
    kiro_str                  body;
    ngx_http_kiro_attempt_t  *at;

    at = &ctx->attempt;

    ctx->outcome = NGX_HTTP_KIRO_FAILED;

    if (at->headers && at->status.code != NGX_HTTP_OK && at->error_body) {

        body.data = (char *) at->error_body->pos;
        body.len = at->error_body->last - at->error_body->pos;

        kiro_upstream_failure(at->status.code,
                              ngx_http_kiro_str(&at->error_type),
                              ngx_http_kiro_str(&at->retry_after),
                              body, &ctx->failure);
        ngx_http_kiro_attempt_log_refusal(ctx, body);
        return;
    }

    if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_TIMEOUT,
                         "the service did not answer in time");

    } else if (rc == NGX_HTTP_INTERNAL_SERVER_ERROR || rc == NGX_ERROR) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INTERNAL,
                         "the gateway ran into an internal error");
        return;

    } else if (at->headers) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_CUT,
                         "the service closed the connection before it answered");

    } else if (at->status.code) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_PROTOCOL,
                         "the service sent a malformed response");

    } else {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_CONNECT,
                         "the service cannot be reached");
    }

    ctx->failure.retry = KIRO_RETRY_BACKOFF;
    ctx->failure.upstream_status = at->status.code;
}
