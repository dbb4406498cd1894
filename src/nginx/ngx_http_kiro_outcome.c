
/*
 * How an attempt ended: what nginx and the service said becomes a failure, which
 * says whether the exchange may try again.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_queue.h"


static void ngx_http_kiro_attempt_broken(ngx_http_kiro_ctx_t *ctx,
    ngx_http_upstream_t *u, ngx_int_t rc);
static void ngx_http_kiro_attempt_refused(ngx_http_kiro_ctx_t *ctx);
static ngx_uint_t ngx_http_kiro_tls_refused(ngx_http_upstream_t *u);
static void ngx_http_kiro_attempt_log_refusal(ngx_http_kiro_ctx_t *ctx,
    kiro_str body);


/*
 * The only place that sees how nginx ended the attempt while the connection is
 * still there.
 */

void
ngx_http_kiro_attempt_end(ngx_http_request_t *sr, ngx_int_t rc)
{
    ngx_buf_t                *b;
    ngx_http_upstream_t      *u;
    ngx_http_kiro_ctx_t      *ctx;
    ngx_http_kiro_attempt_t  *at;

    ctx = ngx_http_get_module_ctx(sr, ngx_http_kiro_module);

    at = &ctx->attempt;
    u = sr->upstream;

    /* the header of the request: it has the token */

    if (u->request_bufs) {
        b = u->request_bufs->buf;
        ngx_explicit_memzero(b->start, b->end - b->start);
    }

    /* log variables of the main request show all attempts */

    sr->main->upstream_states = sr->upstream_states;
    sr->main->upstream = u;

    if (ctx->state == NGX_HTTP_KIRO_STREAM) {

        /* a client that reads slowly does not keep others from calling */

        ngx_http_kiro_queue_leave(ctx);
    }

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

    if (at->headers && at->error_body == NULL
        && (rc == NGX_HTTP_BAD_GATEWAY || rc == NGX_HTTP_GATEWAY_TIME_OUT))
    {
        ngx_http_kiro_attempt_broken(ctx, u, rc);
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


/* the body of a 200 ended before HTTP said so: the answer may be whole */

static void
ngx_http_kiro_attempt_broken(ngx_http_kiro_ctx_t *ctx, ngx_http_upstream_t *u,
    ngx_int_t rc)
{
    kiro_failure              f;
    ngx_http_kiro_attempt_t  *at;

    at = &ctx->attempt;

    kiro_reply_time(ctx->reply, ngx_time());

    if (!at->chunked && at->length == -1 && rc == NGX_HTTP_BAD_GATEWAY) {

        /* this one lasts until the connection is closed */

        at->eof = 1;
        (void) kiro_reply_eof(ctx->reply);

    } else {
        ngx_http_kiro_attempt_classify(ctx, rc);
        ctx->outcome = NGX_HTTP_KIRO_PENDING;
        f = ctx->failure;
        (void) kiro_reply_abort(ctx->reply, &f);
    }

    switch (kiro_reply_gate(ctx->reply)) {

    case KIRO_GATE_COMMIT:
    case KIRO_GATE_COMPLETE:
        ngx_http_kiro_first_token(ctx);
        u->state->status = NGX_HTTP_OK;
        ctx->outcome = NGX_HTTP_KIRO_COMPLETE;
        return;

    default:
        ctx->failure = *kiro_reply_failure(ctx->reply);
        ctx->outcome = NGX_HTTP_KIRO_FAILED;
        return;
    }
}


/* a certificate is configuration, not weather */

static ngx_uint_t
ngx_http_kiro_tls_refused(ngx_http_upstream_t *u)
{
    ngx_connection_t  *c;

    c = u->peer.connection;

    if (c && c->ssl && c->ssl->handshaked && u->conf->ssl_verify
        && !u->request_sent)
    {
        return SSL_get_verify_result(c->ssl->connection) != X509_V_OK
               || ngx_ssl_check_host(c, &u->ssl_name) != NGX_OK;
    }

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
        if (*p < 0x20 || *p >= 0x7f) {
            *p = ' ';
        }
    }

    ngx_log_error(NGX_LOG_INFO, log, 0,
                  "kiro: the service answered %ui: \"%*s\"",
                  ctx->attempt.status.code, len, text);
}


/* another status than 200, or no event stream */

static void
ngx_http_kiro_attempt_refused(ngx_http_kiro_ctx_t *ctx)
{
    kiro_str                  body;
    ngx_str_t                 text;
    ngx_log_t                *log;
    ngx_http_kiro_attempt_t  *at;

    at = &ctx->attempt;
    log = ctx->request->connection->log;

    text.data = at->error_body->pos;
    text.len = at->error_body->last - at->error_body->pos;

    if (at->encoding.len
        && ngx_http_kiro_inflate(ctx->request->pool, &text) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "kiro: an error of the service is not readable: %uz "
                      "bytes, compressed", text.len);
        text.len = 0;
    }

    if (ctx->capture) {
        ngx_http_kiro_capture_text(ctx, &text);
    }

    body = ngx_http_kiro_str(&text);

    kiro_upstream_failure(at->status.code, ngx_http_kiro_str(&at->error_type),
                          ngx_http_kiro_str(&at->retry_after), body,
                          &ctx->failure);

    if (ctx->failure.kind == KIRO_FAIL_UPSTREAM_PROTOCOL) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "kiro: status %ui with %uz bytes that are no event "
                      "stream: is this the service, or a proxy?",
                      at->status.code, text.len);
    }

    ngx_http_kiro_attempt_log_refusal(ctx, body);
}


/* sets ctx->failure for an attempt that ended without a verdict of the reply */

void
ngx_http_kiro_attempt_classify(ngx_http_kiro_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_kiro_attempt_t  *at;

    at = &ctx->attempt;

    ctx->outcome = NGX_HTTP_KIRO_FAILED;

    if (at->headers && at->error_body) {
        ngx_http_kiro_attempt_refused(ctx);
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
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UPSTREAM_CONNECT, "%s",
                         at->request && at->request->upstream
                         && at->request->upstream->request_sent
                         ? "the service closed the connection without an answer"
                         : "the service cannot be reached");
    }

    ctx->failure.retry = KIRO_RETRY_BACKOFF;
    ctx->failure.upstream_status = at->status.code;
}
