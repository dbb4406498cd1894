
/*
 * The log of a captured request: what nginx logs for it at the level "info", and
 * lines of our own.  Of headers only those are shown whose values are known to be
 * harmless.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_capture.h"


static void ngx_http_kiro_capture_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);
static ngx_uint_t ngx_http_kiro_capture_harmless(ngx_str_t *name);
static ngx_uint_t ngx_http_kiro_capture_secretive(ngx_str_t *name);
static void ngx_http_kiro_capture_value(ngx_http_kiro_capture_t *capture,
    ngx_str_t *name, ngx_str_t *value, const char *mark);
static void ngx_http_kiro_capture_secrets(ngx_http_kiro_capture_t *capture,
    ngx_str_t *value);
static void ngx_http_kiro_capture_args(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture);


/* "*" at the end: whatever follows */

static const char  *ngx_http_kiro_capture_harmless_names[] = {
    "accept", "accept-charset", "accept-encoding", "accept-language",
    "anthropic-*", "cache-control", "connection", "content-encoding",
    "content-length", "content-type", "date", "expect", "host", "keep-alive",
    "openai-beta", "openai-version", "retry-after", "server", "te",
    "transfer-encoding", "upgrade", "user-agent", "via", "x-amz-target",
    "x-amz-request-id", "x-amz-id-2", "x-amzn-codewhisperer-optout",
    "x-amzn-errortype", "x-amzn-kiro-agent-mode", "x-amzn-requestid", "x-app",
    "x-stainless-*", "amz-sdk-*", "tokentype", NULL
};


/* parts of the names of those that hold a secret */

static const char  *ngx_http_kiro_capture_secret_names[] = {
    "auth", "cookie", "key", "password", "passwd", "secret", "token", NULL
};


/* puts ours in front of the log's chain */

void
ngx_http_kiro_capture_log(ngx_http_kiro_capture_t *capture, ngx_connection_t *c)
{
    ngx_log_t  *log;

    log = c->log;

    if (log->writer == ngx_http_kiro_capture_writer) {
        return;
    }

    capture->log = *log;

    log->next = &capture->log;
    log->writer = ngx_http_kiro_capture_writer;
    log->wdata = capture;

    if (log->log_level < NGX_LOG_INFO) {
        log->log_level = NGX_LOG_INFO;
    }
}


void
ngx_http_kiro_capture_unlog(ngx_http_kiro_capture_t *capture,
    ngx_connection_t *c)
{
    ngx_log_t  *log;

    log = c->log;

    /* another location's log may stand in its place */

    if (log->writer != ngx_http_kiro_capture_writer || log->wdata != capture) {
        return;
    }

    log->log_level = capture->log.log_level;
    log->file = capture->log.file;
    log->next = capture->log.next;
    log->writer = capture->log.writer;
    log->wdata = capture->log.wdata;
}


static void
ngx_http_kiro_capture_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    ngx_http_kiro_capture_t  *capture;

    capture = log->wdata;

    if (level <= NGX_LOG_INFO && capture->data) {
        kiro_capture_add(capture->data, KIRO_CAPTURE_LOG, (char *) buf, len);
    }
}


void
ngx_http_kiro_capture_note(ngx_http_kiro_capture_t *capture, const char *fmt,
    ...)
{
    u_char              *p, *last, buf[NGX_MAX_ERROR_STR];
    va_list              args;
    ngx_time_t          *tp;
    ngx_msec_int_t       ms;
    ngx_http_request_t  *r;

    if (capture->data == NULL) {
        return;
    }

    last = buf + sizeof(buf) - 1;

    /* since the request came, as the log's time has no milliseconds */

    r = capture->ctx->request;
    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));
    ms = ngx_max(ms, 0);

    p = ngx_slprintf(buf, last, "%V [capture] +%T.%03M ",
                     &ngx_cached_err_log_time, (time_t) ms / 1000, ms % 1000);

    va_start(args, fmt);
    p = ngx_vslprintf(p, last, fmt, args);
    va_end(args);

    *p++ = '\n';

    kiro_capture_add(capture->data, KIRO_CAPTURE_LOG, (char *) buf, p - buf);
}


/* the request of the client, and what of it is secret */

void
ngx_http_kiro_capture_client(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture)
{
    kiro_str          addr;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_http_kiro_capture_note(capture, NGX_HTTP_KIRO_USER_AGENT " (%V), "
                               NGINX_VER, &ngx_http_kiro_build);

    /* who asked is nobody else's matter, unless it is this machine */

    addr = ngx_http_kiro_str(&r->connection->addr_text);

    if (addr.len > 4 && ngx_strncmp(addr.data, "127.", 4) != 0
        && ngx_strncmp(addr.data, "unix", 4) != 0)
    {
        kiro_capture_secret(capture->data, addr);
    }

    ngx_http_kiro_capture_args(r, capture);

    ngx_http_kiro_capture_note(capture, "client: %V", &r->request_line);

    part = &r->headers_in.headers.part;

    for ( /* void */ ; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            ngx_http_kiro_capture_value(capture, &h[i].key, &h[i].value, ">");
        }
    }
}


/* the request of an attempt */

void
ngx_http_kiro_capture_request(ngx_http_kiro_ctx_t *ctx, ngx_array_t *headers,
    ngx_str_t *path)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    ngx_http_kiro_capture_note(ctx->capture,
                               "attempt %ui: POST %V%V to %V of account "
                               "\"%V\", %uz bytes", ctx->capture->attempt,
                               &ctx->region->runtime.prefix, path,
                               &ctx->region->runtime.host, &ctx->account,
                               ctx->body.len);

    kv = headers->elts;

    for (i = 0; i < headers->nelts; i++) {
        ngx_http_kiro_capture_value(ctx->capture, &kv[i].key, &kv[i].value,
                                    ">");
    }
}


/* a header of the reply; no name: its status line */

void
ngx_http_kiro_capture_header(ngx_http_kiro_ctx_t *ctx, ngx_str_t *name,
    ngx_str_t *value)
{
    if (name == NULL) {
        ngx_http_kiro_capture_note(ctx->capture, "attempt %ui: status %ui",
                                   ctx->capture->attempt,
                                   ctx->attempt.status.code);
        return;
    }

    ngx_http_kiro_capture_value(ctx->capture, name, value, "<");
}


static void
ngx_http_kiro_capture_value(ngx_http_kiro_capture_t *capture, ngx_str_t *name,
    ngx_str_t *value, const char *mark)
{
    if (capture->data == NULL) {
        return;
    }

    ngx_http_kiro_capture_hide(capture, name, value);

    if (ngx_http_kiro_capture_harmless(name)) {
        ngx_http_kiro_capture_note(capture, "%s %V: %V", mark, name, value);
        return;
    }

    ngx_http_kiro_capture_note(capture, "%s %V (%uz bytes, not shown)", mark, name,
                               value->len);
}


/* of a header whose name says so */

void
ngx_http_kiro_capture_hide(ngx_http_kiro_capture_t *capture, ngx_str_t *name,
    ngx_str_t *value)
{
    if (ngx_http_kiro_capture_secretive(name)) {
        ngx_http_kiro_capture_secrets(capture, value);
    }
}


static ngx_uint_t
ngx_http_kiro_capture_harmless(ngx_str_t *name)
{
    size_t        len;
    const char  **s;

    for (s = ngx_http_kiro_capture_harmless_names; *s; s++) {

        len = ngx_strlen(*s);

        if ((*s)[len - 1] == '*') {

            if (name->len >= len - 1
                && ngx_strncasecmp(name->data, (u_char *) *s, len - 1) == 0)
            {
                return 1;
            }

        } else if (name->len == len
                   && ngx_strncasecmp(name->data, (u_char *) *s, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_kiro_capture_secretive(ngx_str_t *name)
{
    const char  **s;

    if (ngx_http_kiro_capture_harmless(name)) {
        return 0;
    }

    for (s = ngx_http_kiro_capture_secret_names; *s; s++) {
        if (ngx_strlcasestrn(name->data, name->data + name->len, (u_char *) *s,
                             ngx_strlen(*s) - 1))
        {
            return 1;
        }
    }

    return 0;
}


/* the words of a header: "Bearer KEY", "a=SECRET; b=SECRET", "Basic BASE64" */

static void
ngx_http_kiro_capture_secrets(ngx_http_kiro_capture_t *capture,
    ngx_str_t *value)
{
    u_char     *p, *last, *eq, buf[1024];
    kiro_str    word;
    ngx_str_t   text, user;

    kiro_capture_secret(capture->data, ngx_http_kiro_str(value));

    p = value->data;
    last = value->data + value->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == ';' || *p == ',')) {
            p++;
        }

        text.data = p;

        while (p < last && *p != ' ' && *p != ';' && *p != ',') {
            p++;
        }

        text.len = p - text.data;

        if (text.len == 0) {
            break;
        }

        /* "Bearer" is no secret, and short words are everywhere */

        if (text.len == sizeof("Bearer") - 1
            && ngx_strncasecmp(text.data, (u_char *) "Bearer", text.len) == 0)
        {
            continue;
        }

        kiro_capture_secret(capture->data, ngx_http_kiro_str(&text));

        eq = ngx_strlchr(text.data, p, '=');

        if (eq && eq + 1 < p) {
            word.data = (char *) eq + 1;
            word.len = p - (eq + 1);
            kiro_capture_secret(capture->data, word);
        }
    }

    if (value->len > 6
        && ngx_strncasecmp(value->data, (u_char *) "Basic ", 6) == 0)
    {
        text.data = value->data + 6;
        text.len = value->len - 6;
        user.data = buf;

        if (ngx_base64_decoded_length(text.len) <= sizeof(buf)
            && ngx_decode_base64(&user, &text) == NGX_OK)
        {
            p = ngx_strlchr(user.data, user.data + user.len, ':');

            if (p) {
                word.data = (char *) p + 1;
                word.len = user.data + user.len - (p + 1);
                kiro_capture_secret(capture->data, word);
            }
        }

        ngx_explicit_memzero(buf, sizeof(buf));
    }
}


static void
ngx_http_kiro_capture_args(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture)
{
    u_char     *p, *last, *end, *eq, *dst, *src;
    ngx_str_t   name, value;

    p = r->args.data;
    last = p + r->args.len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        eq = ngx_strlchr(p, end, '=');
        if (eq == NULL) {
            continue;
        }

        name.data = p;
        name.len = eq - p;
        value.data = eq + 1;
        value.len = end - (eq + 1);

        if (!ngx_http_kiro_capture_secretive(&name)) {
            continue;
        }

        kiro_capture_secret(capture->data, ngx_http_kiro_str(&value));

        src = value.data;
        dst = ngx_pnalloc(r->pool, value.len);
        if (dst == NULL) {
            return;
        }

        value.data = dst;
        ngx_unescape_uri(&dst, &src, value.len, 0);
        value.len = dst - value.data;

        kiro_capture_secret(capture->data, ngx_http_kiro_str(&value));
    }
}
