
/*
 * The log of a captured request: what nginx logs for it at the level "info",
 * and lines of our own.  Of headers only those are shown whose values are known
 * to be harmless.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_capture.h"


static void ngx_http_kiro_capture_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);
static void ngx_http_kiro_capture_value(ngx_http_kiro_capture_t *capture,
    ngx_str_t *name, ngx_str_t *value, const char *mark);


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

    ngx_http_kiro_capture_note(capture, "%s %V (%uz bytes, not shown)", mark,
                               name, value->len);
}
